//! The REST interface, as clients meet it: over HTTP, in front of scripted brokers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use skep_gateway::{BrokerError, GatewayConfig, Role, serve_rest};
use skep_protocol::values::UserTask;
use skep_protocol::{Command, PartitionId, RecordValue, Rejection, UserTaskIntent};
use skep_tls::{Listener, Protocol};
use support::{Fake, echo, key, topology};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Answer {
    status: u16,
    kind: String,
    body: Value,
}

impl Answer {
    fn detail(&self) -> &str {
        self.body["detail"].as_str().unwrap()
    }
}

/// A gateway in front of these brokers.
struct Rest {
    address: String,
    brokers: Arc<Fake>,
}

impl Rest {
    async fn start(brokers: Arc<Fake>) -> Rest {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let config = GatewayConfig {
            request_timeout: Duration::from_millis(200),
            ..GatewayConfig::default()
        };
        let never = std::future::pending();
        tokio::spawn(serve_rest(
            Listener::new(listener, Protocol::Http1, None, 1000).unwrap(),
            config,
            brokers.clone(),
            never,
        ));
        Rest { address, brokers }
    }

    async fn echoing() -> Rest {
        Rest::start(Fake::new(2, |_, command| echo(command))).await
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_as("application/json", method, path, body).await
    }

    async fn call_as(&self, kind: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        // A server that has refused the body may have closed the connection.
        let _ = connection.write_all(request.as_bytes()).await;
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let kind = head
            .lines()
            .find_map(|line| line.strip_prefix("content-type: "));
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            kind: kind.unwrap_or_default().to_owned(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    /// The only command that the brokers have seen.
    fn command(&self) -> (PartitionId, Command, UserTask) {
        let [(partition, command)] = &self.brokers.seen()[..] else {
            panic!("{:?}", self.brokers.seen());
        };
        let RecordValue::UserTask(task) = &command.value else {
            panic!("{command:?}");
        };
        (*partition, command.clone(), task.clone())
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let rest = Rest::echoing().await;
    let mut connection = TcpStream::connect(&rest.address).await.unwrap();
    let head = format!("POST /v2/user-tasks/{}/completion HTTP/1.1", key(1, 7));
    let request = format!("{head}\r\nhost: x\r\ncontent-length: 10\r\n\r\n{{");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let answered = connection.read_to_string(&mut answer);
    let answered = tokio::time::timeout(Duration::from_secs(60), answered).await;
    answered.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(rest.brokers.seen().is_empty());
}

#[tokio::test]
async fn each_request_becomes_the_command_of_its_kind_on_the_partition_of_the_task() {
    let cases = [
        ("POST", "completion", "", UserTaskIntent::Complete),
        (
            "POST",
            "assignment",
            r#"{"assignee": "bee"}"#,
            UserTaskIntent::Assign,
        ),
        (
            "POST",
            "assignment",
            r#"{"assignee": "bee", "allowOverride": false}"#,
            UserTaskIntent::Claim,
        ),
        ("DELETE", "assignee", "", UserTaskIntent::Assign),
        ("PATCH", "", r#"{"action": "look"}"#, UserTaskIntent::Update),
    ];
    for version in ["v1", "v2"] {
        for (method, below, body, intent) in cases {
            let rest = Rest::echoing().await;
            let slash = if below.is_empty() { "" } else { "/" };
            let path = format!("/{version}/user-tasks/{}{slash}{below}", key(2, 7));
            let answer = rest.call(method, &path, body).await;
            assert_eq!(
                (answer.status, &answer.body),
                (204, &Value::Null),
                "{method} {path}"
            );
            let (partition, command, _) = rest.command();
            assert_eq!(partition, PartitionId(2));
            assert_eq!((command.key.0, command.intent), (key(2, 7), intent.into()));
        }
    }
}

#[tokio::test]
async fn a_completion_brings_variables_as_they_are_written() {
    let rest = Rest::echoing().await;
    let path = format!("/v2/user-tasks/{}/completion", key(1, 7));
    let body = r#"{"variables": {"amount": 1.50, "list": [1, {"a": null}]}, "action": "approve", "new": 1}"#;
    assert_eq!(rest.call("POST", &path, body).await.status, 204);
    let (_, _, task) = rest.command();
    assert_eq!(
        task.variables,
        r#"{"amount": 1.50, "list": [1, {"a": null}]}"#
    );
    assert_eq!(task.action, "approve");
}

#[tokio::test]
async fn actions_have_defaults() {
    let cases = [
        ("POST", "/completion", "{}", "complete"),
        ("POST", "/assignment", r#"{"assignee": "bee"}"#, "assign"),
        ("DELETE", "/assignee", "", "unassign"),
        ("PATCH", "", r#"{"changeset": {"priority": 1}}"#, "update"),
    ];
    for (method, below, body, action) in cases {
        let rest = Rest::echoing().await;
        let path = format!("/v2/user-tasks/{}{below}", key(1, 7));
        assert_eq!(rest.call(method, &path, body).await.status, 204);
        assert_eq!(rest.command().2.action, action);
    }
}

#[tokio::test]
async fn taking_a_task_away_is_an_assignment_to_nobody() {
    let rest = Rest::echoing().await;
    let path = format!("/v2/user-tasks/{}/assignee", key(1, 7));
    rest.call("DELETE", &path, "").await;
    assert_eq!(rest.command().2.assignee, "");
}

#[tokio::test]
async fn an_update_names_what_it_changes_and_nothing_else() {
    let rest = Rest::echoing().await;
    let path = format!("/v2/user-tasks/{}", key(1, 7));
    let changeset = json!({"changeset": {
        "candidateGroups": [], "candidateUsers": ["ann", "bob"], "dueDate": "2026-05-23T01:02:03+01:00",
        "followUpDate": null, "priority": 100,
    }});
    let answer = rest.call("PATCH", &path, &changeset.to_string()).await;
    assert_eq!(answer.status, 204, "{:?}", answer.body);
    let (_, _, task) = rest.command();
    assert_eq!(
        task.changed_attributes,
        [
            "candidateGroupsList",
            "candidateUsersList",
            "dueDate",
            "priority"
        ]
    );
    assert_eq!(task.candidate_groups, Vec::<String>::new());
    assert_eq!(task.candidate_users, ["ann", "bob"]);
    assert_eq!(task.due_date, "2026-05-23T01:02:03+01:00");
    assert_eq!(task.priority, 100);
}

#[tokio::test]
async fn a_request_that_is_not_as_it_must_be_is_a_400_and_reaches_no_broker() {
    let rest = Rest::echoing().await;
    let task = key(1, 7);
    let deep = format!(
        r#"{{"variables": {{"x": {}{}}}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let cases: [(&str, String, &str, &str); 16] = [
        (
            "POST",
            "x/completion".into(),
            "{}",
            "which is a whole number",
        ),
        ("POST", format!("{task}/completion"), "{", "cannot be read"),
        ("POST", format!("{task}/completion"), "[]", "cannot be read"),
        ("POST", format!("{task}/completion"), &deep, ""),
        (
            "POST",
            format!("{task}/completion"),
            r#"{"variables": [1]}"#,
            "root level object",
        ),
        (
            "POST",
            format!("{task}/completion"),
            r#"{"variables": "x"}"#,
            "root level object",
        ),
        (
            "POST",
            format!("{task}/completion"),
            r#"{"action": 1}"#,
            "cannot be read",
        ),
        ("POST", format!("{task}/assignment"), "", "cannot be read"),
        (
            "POST",
            format!("{task}/assignment"),
            "{}",
            "No assignee provided",
        ),
        (
            "POST",
            format!("{task}/assignment"),
            r#"{"assignee": " "}"#,
            "No assignee provided",
        ),
        ("PATCH", format!("{task}"), "", "No update data provided"),
        (
            "PATCH",
            format!("{task}"),
            r#"{"changeset": {}}"#,
            "No update data provided",
        ),
        (
            "PATCH",
            format!("{task}"),
            r#"{"changeset": {"dueDate": null}}"#,
            "No update data provided",
        ),
        (
            "PATCH",
            format!("{task}"),
            r#"{"changeset": {"dueDate": "tomorrow"}}"#,
            "due date 'tomorrow' cannot be parsed",
        ),
        (
            "PATCH",
            format!("{task}"),
            r#"{"changeset": {"followUpDate": "2026"}}"#,
            "follow-up date '2026' cannot be parsed",
        ),
        (
            "PATCH",
            format!("{task}"),
            r#"{"changeset": {"priority": 101}}"#,
            "within the [0,100] range",
        ),
    ];
    for (method, path, body, detail) in cases {
        let path = format!("/v2/user-tasks/{path}");
        let answer = rest.call(method, &path, body).await;
        assert_eq!(answer.status, 400, "{path} {body}: {:?}", answer.body);
        assert_eq!(answer.kind, "application/problem+json");
        assert!(
            answer.detail().contains(detail),
            "{path}: {}",
            answer.detail()
        );
        assert_eq!(answer.body["type"], "about:blank");
        assert_eq!(answer.body["status"], 400);
        assert_eq!(answer.body["instance"], path.as_str());
    }
    assert_eq!(rest.brokers.seen(), []);
}

#[tokio::test]
async fn what_is_not_json_is_415_and_what_is_too_large_413() {
    let rest = Rest::echoing().await;
    let path = format!("/v2/user-tasks/{}/completion", key(1, 7));
    let answer = rest.call_as("text/plain", "POST", &path, "{}").await;
    assert_eq!(
        (answer.status, &*answer.kind),
        (415, "application/problem+json")
    );
    let charset = "application/json; charset=utf-8";
    assert_eq!(rest.call_as(charset, "POST", &path, "{}").await.status, 204);
    let large = " ".repeat((4 << 20) + 1);
    assert_eq!(rest.call("POST", &path, &large).await.status, 413);
}

#[tokio::test]
async fn a_refusal_has_the_status_of_its_kind_and_the_text_that_grpc_gives() {
    let reason = || "so it is".to_owned();
    let cases = [
        (Rejection::not_found(reason()), 404, "NOT_FOUND"),
        (Rejection::invalid_state(reason()), 409, "INVALID_STATE"),
        (
            Rejection::invalid_argument(reason()),
            400,
            "INVALID_ARGUMENT",
        ),
        (Rejection::already_exists(reason()), 400, "ALREADY_EXISTS"),
    ];
    for (rejection, status, title) in cases {
        let refuse = move |_: PartitionId, _: &Command| Ok(Err(rejection.clone()));
        let rest = Rest::start(Fake::new(1, refuse)).await;
        let path = format!("/v2/user-tasks/{}/completion", key(1, 7));
        let answer = rest.call("POST", &path, "").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.body["title"], title);
        let text = format!("Command 'COMPLETE' rejected with code '{title}': so it is");
        assert_eq!(answer.detail(), text);
    }
}

#[tokio::test]
async fn what_brokers_cannot_do_is_503_504_or_500() {
    let message = || "it cannot".to_owned();
    let cases = [
        (
            BrokerError::ResourceExhausted { message: message() },
            503,
            "RESOURCE_EXHAUSTED",
        ),
        (
            BrokerError::ConnectionLost { message: message() },
            503,
            "UNAVAILABLE",
        ),
        // Asked again until the time is over.
        (
            BrokerError::Unavailable { message: message() },
            504,
            "DEADLINE_EXCEEDED",
        ),
        (BrokerError::Timeout, 504, "DEADLINE_EXCEEDED"),
        (
            BrokerError::Internal {
                code: "X".to_owned(),
                message: message(),
            },
            500,
            "INTERNAL",
        ),
    ];
    for (error, status, title) in cases {
        let fail = move |_: PartitionId, _: &Command| Err(error.clone());
        let rest = Rest::start(Fake::new(1, fail)).await;
        let path = format!("/v2/user-tasks/{}/completion", key(1, 7));
        let answer = rest.call("POST", &path, "").await;
        assert_eq!(
            (answer.status, &answer.body["title"]),
            (status, &json!(title))
        );
    }
    let rest = Rest::echoing().await;
    let answer = rest.call("POST", "/v2/user-tasks/1/completion", "").await;
    assert_eq!(answer.status, 503, "a key of no partition");
}

#[tokio::test]
async fn the_topology_has_lower_case_roles() {
    let rest = Rest::echoing().await;
    rest.brokers.set_topology(topology(2, &[1], Role::Follower));
    let expected = json!({
        "brokers": [{
            "nodeId": 0, "host": "broker-0", "port": 26501, "version": "8.6.0",
            "partitions": [{"partitionId": 1, "role": "follower", "health": "healthy"}],
        }],
        "clusterSize": 1, "partitionsCount": 2, "replicationFactor": 1, "gatewayVersion": "8.6.0",
    });
    for path in ["/v1/topology", "/v2/topology"] {
        let answer = rest.call("GET", path, "").await;
        assert_eq!((answer.status, &answer.body), (200, &expected));
        assert_eq!(answer.kind, "application/json");
    }
}

#[tokio::test]
async fn other_paths_are_404_and_other_methods_405() {
    let rest = Rest::echoing().await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("POST", "/v2/jobs/activation", 404),
        ("POST", "/v2/user-tasks", 404),
        ("GET", "/v2/user-tasks/1/completion", 405),
        ("POST", "/v2/topology", 405),
    ] {
        let answer = rest.call(method, path, "").await;
        assert_eq!(
            (answer.status, &*answer.kind),
            (status, "application/problem+json"),
            "{path}"
        );
        assert_eq!(answer.body["instance"], path);
    }
}

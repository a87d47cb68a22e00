//! User tasks that the engine keeps, through the REST API of a real broker.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::net::TcpListener;

use common::{Place, free_port, repository, request};

/// Keys that a new instance takes before that of its user task, at most.
const KEYS_BEFORE: i64 = 20;

fn with_rest(port: u16) -> Place {
    let mut place = Place::without_store(1);
    place.set("CAMUNDA_REST_ENABLED", "true");
    place.set("SERVER_PORT", &port.to_string());
    place.set("SERVER_ADDRESS", "127.0.0.1");
    place
}

#[test]
fn a_user_task_is_claimed_updated_and_completed_and_its_instance_goes_on() {
    let port = free_port();
    let place = with_rest(port);
    let broker = place.start();
    let process = repository().join("testdata/corpus/v85_native_user_task/process.bpmn");
    place.skep(&["deploy", process.to_str().unwrap()]);
    let started = place.skep(&["start", "native-task"]);
    let digits = |word: &&str| word.len() > 10 && word.bytes().all(|byte| byte.is_ascii_digit());
    let instance = started.split([' ', '\n', '.', ',']).find(digits).unwrap();
    let instance: i64 = instance.parse().unwrap();

    let assign = |key: i64| {
        let path = format!("/v2/user-tasks/{key}/assignment");
        request(port, "POST", &path, r#"{"assignee": "bee"}"#).0
    };
    let mut keys = instance + 1..instance + KEYS_BEFORE;
    let task = keys.find(|key| assign(*key) == 204).unwrap();
    let path = |below: &str| format!("/v2/user-tasks/{task}{below}");
    let claim = r#"{"assignee": "wasp", "allowOverride": false}"#;
    let (status, body) = request(port, "POST", &path("/assignment"), claim);
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("it has already been assigned"), "{body}");
    assert_eq!(request(port, "DELETE", &path("/assignee"), "").0, 204);
    assert_eq!(request(port, "POST", &path("/assignment"), claim).0, 204);
    let changes = r#"{"changeset": {"candidateGroups": ["hive"], "priority": 90}}"#;
    assert_eq!(request(port, "PATCH", &path(""), changes).0, 204);
    let done = r#"{"variables": {"approved": true}}"#;
    assert_eq!(request(port, "POST", &path("/completion"), done).0, 204);
    let (status, body) = request(port, "POST", &path("/completion"), done);
    assert_eq!(status, 404, "{body}");
    let worked = place.skep(&["work", "native-task-after", "--idle", "1s"]);
    assert!(worked.contains("Completed 1 jobs"), "{worked}");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_port_that_was_chosen_must_be_free_and_one_that_was_not_need_not() {
    let port = free_port();
    let occupied = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let place = with_rest(port);
    let (code, text) = place.fails(&["broker"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("SERVER_PORT"), "{text}");
    drop(occupied);
    // Whether or not it is free here.
    let _occupied = TcpListener::bind(("127.0.0.1", 8080));
    let mut place = Place::without_store(1);
    place.set("CAMUNDA_REST_ENABLED", "true");
    let mut broker = place.start();
    broker.line("there is no REST API");
    assert_eq!(broker.stop(), Some(0));
}

//! What every node has, and what a gateway has a broker answer.

use super::*;

#[tokio::test]
async fn loggers_have_the_shapes_of_springs_actuator() {
    let fake = Arc::new(Fake::default());
    let (status, all) = call(&fake, "GET", "/actuator/loggers", "").await;
    assert_eq!(status, 200);
    assert_eq!(
        all,
        json!({
            "levels": ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"],
            "loggers": {"ROOT": {"effectiveLevel": "INFO"}},
            "groups": {},
        })
    );
    let root = "/actuator/loggers/ROOT";
    let (_, one) = call(&fake, "GET", root, "").await;
    assert_eq!(one, json!({"effectiveLevel": "INFO"}));
    for (path, body, expected) in [
        (root, r#"{"configuredLevel": "debug"}"#, 204),
        (root, r#"{"configuredLevel": null}"#, 204),
        (root, "{}", 204),
        (root, r#"{"configuredLevel": "LOUD"}"#, 400),
        (root, r#"{"configuredLevel": 1}"#, 400),
        (root, "", 400),
        ("/actuator/loggers/nobody", "{}", 404),
    ] {
        let (status, _) = call(&fake, "POST", path, body).await;
        assert_eq!(status, expected, "{path} {body}");
    }
    assert_eq!(
        call(&fake, "GET", "/actuator/loggers/nobody", "").await.0,
        404
    );
}

#[tokio::test]
async fn no_more_than_some_requests_are_answered_at_a_time_and_probes_always() {
    let fake = Arc::new(Fake {
        silent: true,
        ..Fake::default()
    });
    let loggers = Arc::<FakeLoggers>::default();
    let api = Api::of_broker(fake, loggers, &everything(), Duration::from_secs(60));
    let ask = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        api.0.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    // They ask a partition that does not answer.
    let mut waiting: Vec<_> = (0..REQUESTS_MAX)
        .map(|_| Box::pin(ask("POST", "/actuator/backups/7")))
        .collect();
    for one in &mut waiting {
        assert!(futures::poll!(one.as_mut()).is_pending());
    }
    let refused = ask("GET", "/actuator/cluster").await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(ask("GET", "/actuator/health").await.unwrap().status(), 200);
    drop(waiting);
    assert_eq!(ask("GET", "/actuator/cluster").await.unwrap().status(), 200);
}

#[tokio::test]
async fn requests_that_come_too_fast_are_refused_and_probes_never() {
    let fake = Arc::new(Fake::default());
    let loggers = Arc::<FakeLoggers>::default();
    let api = Api::of_broker(fake, loggers, &everything(), Duration::from_secs(60));
    let ask = async |path: &str| {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = api.0.clone().oneshot(request).await.unwrap();
        answer.status().as_u16()
    };
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match ask("/actuator/cluster").await {
            200 => assert!(Instant::now() < end, "nothing is too fast"),
            status => break assert_eq!(status, 429),
        }
    }
    for path in ["/actuator/health", "/actuator/prometheus"] {
        assert_eq!(ask(path).await, 200, "{path}");
    }
}

/// A gateway whose broker answers itself, or none is there.
struct FakeGateway(Option<Api>);

impl GatewayNode for FakeGateway {
    fn health(&self) -> Health {
        Health {
            started: true,
            ready: true,
            alive: true,
        }
    }
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
    fn metrics(&self) -> String {
        String::new()
    }
    fn relay(&self, asked: Asked) -> BoxFuture<'_, Result<Answered, RequestError>> {
        Box::pin(async move {
            match &self.0 {
                Some(broker) => Ok(broker.answer(asked).await),
                None => Err(RequestError::NoLeader("nobody is there".to_owned())),
            }
        })
    }
}

#[tokio::test]
async fn a_gateway_answers_what_a_broker_does_and_no_more() {
    let fake = Arc::new(Fake::default());
    let patience = Duration::from_secs(60);
    let loggers = || Arc::<FakeLoggers>::default();
    let broker = Api::of_broker(fake.clone(), loggers(), &everything(), patience);
    let gateway = |broker: Option<Api>| {
        let node = Arc::new(FakeGateway(broker));
        Api::of_gateway(node, loggers(), &everything(), patience)
    };
    for (method, path, body) in [
        ("POST", "/actuator/backups", r#"{"backupId": 7}"#),
        ("POST", "/actuator/backups/7", ""),
        ("GET", "/actuator/backups/7", ""),
        ("GET", "/actuator/backups", ""),
        ("GET", "/actuator/backupRuntime/8", ""),
        ("DELETE", "/actuator/backups/7", ""),
        ("GET", "/actuator/cluster", ""),
        ("POST", "/actuator/rebalance", ""),
    ] {
        let ask = |api: Api| async move {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(Body::from(body.to_owned())).unwrap();
            let response = api.0.oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            (
                status,
                response.into_body().collect().await.unwrap().to_bytes(),
            )
        };
        let relayed = ask(gateway(Some(broker.clone()))).await;
        // What is done twice is answered otherwise.
        if method == "GET" {
            assert_eq!(relayed, ask(broker.clone()).await, "{method} {path}");
        }
        let expected: &[u16] = match (method, path) {
            ("POST", "/actuator/backups") => &[202],
            ("POST", "/actuator/backups/7") => &[409],
            ("GET", "/actuator/backupRuntime/8") => &[404],
            ("DELETE", _) | ("POST", "/actuator/rebalance") => &[204],
            _ => &[200],
        };
        assert!(
            expected.contains(&relayed.0),
            "{method} {path}: {relayed:?}"
        );
        let (status, _) = ask(gateway(None)).await;
        assert_eq!(status, 502, "{method} {path}");
    }
    let asked = Asked {
        method: "POST".to_owned(),
        target: "/actuator/loggers/ROOT".to_owned(),
        body: b"{}".to_vec(),
    };
    assert_eq!(broker.answer(asked).await.status, 404, "a node is its own");
}

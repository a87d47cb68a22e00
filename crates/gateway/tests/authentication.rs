//! Who is let in, by gRPC and by REST.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use skep_auth::{Authenticator, User};
use skep_gateway::proto::TopologyRequest;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_gateway::{GatewayConfig, serve_rest};
use skep_tls::{Listener, Protocol};
use support::{Fake, start_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Only what hangs needs as long.
const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> GatewayConfig {
    let user = User {
        name: "demo".to_owned(),
        password: "secret".to_owned(),
    };
    GatewayConfig {
        authenticator: Some(Arc::new(Authenticator::basic(&[user]))),
        ..GatewayConfig::default()
    }
}

fn header(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

#[tokio::test]
async fn calls_of_strangers_are_unauthenticated() {
    let mut served = start_with(Fake::new(1, |_, _| panic!("nobody was let in")), config()).await;
    let mut asked = async |header: Option<String>| {
        let mut request = Request::new(TopologyRequest {});
        if let Some(header) = header {
            let value = header.parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        served.client.topology(request).await
    };
    let answer = asked(Some(header("demo:secret"))).await.unwrap();
    assert_eq!(answer.into_inner().partitions_count, 1);
    for stranger in [
        None,
        Some(header("demo:other")),
        Some("Bearer a".to_owned()),
    ] {
        let status = asked(stranger).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        assert!(!status.message().is_empty());
    }
}

#[tokio::test]
async fn requests_of_strangers_are_unauthorized_and_challenged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let brokers = Fake::new(1, |_, _| panic!("nobody was let in"));
    let (listener, never) = (
        Listener::new(listener, Protocol::Http1, None, 1000).unwrap(),
        std::future::pending(),
    );
    tokio::spawn(serve_rest(listener, config(), brokers, never));
    let asked = async |path: &str, header: Option<String>| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let header = header.map_or(String::new(), |one| format!("authorization: {one}\r\n"));
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = asked("/v2/topology", Some(header("demo:secret"))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for path in ["/v2/topology", "/v2/absent"] {
        let answer = asked(path, Some(header("demo:other"))).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("www-authenticate: Basic"), "{answer}");
        assert!(!answer.contains("other"), "{answer}");
    }
    // Two were wrong by now, each by a connection of its own.
    for _ in 2..10 {
        let answer = asked("/v2/topology", Some(header("demo:other"))).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
    let answer = asked("/v2/topology", None).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let end = Instant::now() + PATIENCE;
    let mut refused = String::new();
    while !refused.starts_with("HTTP/1.1 429") {
        assert!(Instant::now() < end, "{refused}");
        refused = asked("/v2/topology", Some(header("demo:other"))).await;
    }
    assert!(!refused.contains("www-authenticate"), "{refused}");
}

#[tokio::test]
async fn who_guesses_is_not_listened_to_for_a_while_but_who_is_known_is() {
    let brokers = Fake::new(1, |_, _| panic!("nobody was let in"));
    let mut served = start_with(brokers, config()).await;
    let asked = async |client: &mut GatewayClient<Channel>, credentials: &str| {
        let mut request = Request::new(TopologyRequest {});
        let value = header(credentials).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        client.topology(request).await
    };
    asked(&mut served.client, "demo:secret").await.unwrap();
    let address = served.address.clone();
    let mut stranger = GatewayClient::connect(address).await.unwrap();
    // The clock goes on meanwhile, and each second allows one more.
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end);
        let status = asked(&mut stranger, "demo:other").await.unwrap_err();
        if status.code() == Code::ResourceExhausted {
            break;
        }
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    }
    asked(&mut served.client, "demo:secret").await.unwrap();
}

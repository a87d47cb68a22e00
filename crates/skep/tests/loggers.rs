//! Levels of logs that are changed while a broker runs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::net::TcpStream;

use common::{Place, free_port};

#[test]
fn a_level_changes_what_is_logged_at_once() {
    let mut place = Place::without_store(1);
    // So that it listens for other nodes.
    place.set("ZEEBE_BROKER_GATEWAY_ENABLE", "false");
    let internal = free_port();
    place.set(
        "ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT",
        &internal.to_string(),
    );
    let mut broker = place.start();
    let set = |logger: &str, level: &str| {
        let body = format!(r#"{{"configuredLevel": {level}}}"#);
        let path = format!("/actuator/loggers/{logger}");
        assert_eq!(place.ask("POST", &path, &body).0, 204);
    };
    // Zeebe's name for what is skep_transport here, which says at this level that somebody hangs up.
    set("io.atomix.cluster", r#""DEBUG""#);
    drop(TcpStream::connect(("127.0.0.1", internal)).unwrap());
    broker.await_line("a connection came to nothing");
    let (status, shown) = place.get("/actuator/loggers/skep_transport.node");
    assert_eq!((status, &*shown), (200, r#"{"effectiveLevel":"DEBUG"}"#));

    // That a level has changed is said at INFO: of these three, the last alone.
    broker.line("what is logged has changed");
    set("io.atomix.cluster", "null");
    broker.await_line("what is logged has changed");
    set("ROOT", r#""WARN""#);
    set("skep", r#""INFO""#);
    let said = broker.await_line("what is logged has changed");
    assert!(said.contains("logger=\"skep\" to=\"INFO\""), "{said}");
    assert_eq!(place.ask("POST", "/actuator/loggers/nobody", "{}").0, 404);
    assert_eq!(broker.stop(), Some(0));
}

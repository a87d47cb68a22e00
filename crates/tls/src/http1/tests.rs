use std::sync::Arc;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;
use crate::identity::Protocol;

const LONG: Duration = Duration::from_secs(60 * 60);
/// Only what hangs needs as long.
const UNTIL: Duration = Duration::from_secs(60);

async fn listening() -> (Listener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let listener = Listener::new(listener, Protocol::Http1, None, 10);
    (listener.expect("it listens"), address)
}

async fn dialled(address: SocketAddr, says: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let said = stream.write_all(says.as_bytes()).await;
    said.expect("it is connected");
    stream
}

/// All that is said until the connection ends.
async fn heard(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let ended = timeout(UNTIL, stream.read_to_end(&mut bytes)).await;
    // In order or not.
    let _ = ended.expect("the connection ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn requests_that_do_not_end_do_not_hold_up_the_end() {
    let patience = Patience {
        head: LONG,
        end: Duration::from_millis(10),
    };
    let (listener, address) = listening().await;
    let begun = Arc::new(Notify::new());
    let seen = Arc::clone(&begun);
    let endless = async move || {
        seen.notify_one();
        std::future::pending::<()>().await
    };
    let router = Router::new().route("/", get(endless));
    let asked = dialled(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let half = dialled(address, "GET / HTTP/1.1\r\n").await;
    let serving = serve(patience, listener, router, |_| (), begun.notified());
    assert!(timeout(UNTIL, serving).await.is_ok());
    assert_eq!(heard(asked).await, "");
    assert_eq!(heard(half).await, "");
}

#[tokio::test]
async fn what_is_answered_in_time_after_the_order_to_stop_is_answered() {
    let patience = Patience {
        head: LONG,
        end: LONG,
    };
    let (listener, address) = listening().await;
    let [begun, stopped] = [(); 2].map(|()| Arc::new(Notify::new()));
    let (seen, told) = (Arc::clone(&begun), Arc::clone(&stopped));
    let slow = async move || {
        seen.notify_one();
        told.notified().await;
        "late"
    };
    let router = Router::new().route("/", get(slow));
    let shutdown = async {
        begun.notified().await;
        stopped.notify_one();
    };
    let asked = dialled(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let serving = serve(patience, listener, router, |_| (), shutdown);
    assert!(timeout(UNTIL, serving).await.is_ok());
    let answer = heard(asked).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"));
}

#[tokio::test]
async fn who_begins_a_request_and_does_not_go_on_is_left_and_so_is_who_asks_nothing_more() {
    let patience = Patience {
        head: Duration::from_millis(50),
        end: LONG,
    };
    let (listener, address) = listening().await;
    let router = Router::new().route("/", get(async || "there"));
    let never = std::future::pending();
    let serving = tokio::spawn(serve(patience, listener, router, |_| (), never));
    let half = dialled(address, "GET / HTTP/1.1\r\nhost: a\r\n").await;
    let idle = dialled(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!heard(half).await.contains("there"));
    assert!(heard(idle).await.ends_with("there"));
    serving.abort();
}

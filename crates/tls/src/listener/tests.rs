use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const LONG: Duration = Duration::from_secs(60 * 60);
/// Only what hangs needs as long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn listening(
    limits: Limits,
    protocol: Protocol,
    connections_max: usize,
) -> (Listener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let listener = Listener::within(limits, listener, (protocol, None), connections_max);
    (listener.expect("it listens"), address)
}

async fn dialled(address: SocketAddr, says: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(says).await.expect("it is connected");
    stream
}

async fn accepted(listener: &mut Listener) -> Accepted {
    let accepted = timeout(PATIENCE, listener.accept()).await;
    accepted.expect("somebody speaks").0
}

async fn read(mut from: impl AsyncRead + Unpin, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let read = timeout(PATIENCE, from.read_exact(&mut bytes)).await;
    read.expect("it comes").expect("it is connected");
    bytes
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    // Whether in order or not.
    let read = timeout(PATIENCE, stream.read(&mut [0; 1])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn who_says_nothing_has_no_place_and_is_left() {
    let limits = Limits {
        within: Duration::from_millis(50),
        ..LIMITS
    };
    let (mut listener, address) = listening(limits, Protocol::Http1, 1).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(dialled(address, b"").await);
    }
    let speaking = tokio::spawn(async move {
        let _there = dialled(address, b"GET /").await;
        std::future::pending::<()>().await
    });
    let accepted = accepted(&mut listener).await;
    assert_eq!(read(accepted, 5).await, b"GET /");
    for one in &mut silent {
        assert!(is_closed(one).await);
    }
    speaking.abort();
}

#[tokio::test]
async fn when_all_places_are_taken_by_those_who_say_nothing_who_speaks_is_served() {
    let limits = Limits {
        within: LONG,
        handshakes_max: 3,
        turn: Duration::from_millis(1),
    };
    let (mut listener, address) = listening(limits, Protocol::Http1, 1).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(dialled(address, b"").await);
    }
    let _speaking = dialled(address, b"GET /").await;
    let accepted = accepted(&mut listener).await;
    assert_eq!(read(accepted, 5).await, b"GET /");
    assert!(is_closed(&mut silent[0]).await, "it made room");
}

#[tokio::test]
async fn a_part_of_what_http2_begins_with_is_not_enough_and_something_else_is() {
    let limits = Limits {
        within: LONG,
        ..LIMITS
    };
    let (mut listener, address) = listening(limits, Protocol::Http2, 3).await;
    let mut slow = dialled(address, b"PRI * HTTP/2.0\r\n").await;
    let _other = dialled(address, b"GET /").await;
    let (first, mut rest) = (
        accepted(&mut listener).await,
        &b"\r\nSM\r\n\r\nand more"[..],
    );
    assert_eq!(read(first, 5).await, b"GET /");
    slow.write_all_buf(&mut rest)
        .await
        .expect("it is connected");
    let second = accepted(&mut listener).await;
    let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more";
    assert_eq!(read(second, whole.len()).await, whole);
}

#[tokio::test]
async fn what_was_read_first_is_given_in_as_small_parts_as_it_is_asked_for() {
    let (mut listener, address) = listening(LIMITS, Protocol::Http1, 1).await;
    let _speaking = dialled(address, b"abcdef").await;
    let mut accepted = accepted(&mut listener).await;
    for byte in b"abcdef" {
        assert_eq!(read(&mut accepted, 1).await, [*byte]);
    }
}

#[tokio::test]
async fn the_system_finds_out_when_the_other_side_is_gone() {
    let (mut listener, address) = listening(LIMITS, Protocol::Http1, 1).await;
    let _speaking = dialled(address, b"GET /").await;
    let accepted = accepted(&mut listener).await;
    let Connection::Plain(stream) = &accepted.begun.connection else {
        panic!("there is no TLS");
    };
    let socket = SockRef::from(stream);
    assert!(socket.keepalive().expect("it is a socket"));
    let unanswered = socket.tcp_user_timeout().expect("it is a socket");
    assert_eq!(unanswered, Some(UNANSWERED_MAX));
}

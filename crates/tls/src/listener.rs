//! Accepting connections.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use skep_rate::Rate;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connection::Connection;
use crate::identity::{Acceptor, Protocol};
use crate::new_connections::NewConnections;
use crate::opening::Opening;
use crate::places::{HANDSHAKE_TURN, HandshakePlaces};

/// A client that has not finished its handshake by then, and said something, is left.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Connections at once that have not come so far: each costs some ten KiB, with TLS, and a file handle.
const HANDSHAKES_MAX: usize = 512;
/// Accepting has failed, most likely for want of file handles: some may be free again after this.
const PAUSE: Duration = Duration::from_millis(100);
/// New connections of one address: as many as a host full of clients makes when it starts, then as many as cost next to nothing.
const CONNECTIONS: Rate = Rate::new(CONNECTIONS_PER_SECOND as u32, 1_000);
const CONNECTIONS_PER_SECOND: usize = 100;
/// When a connection on which nothing comes is asked whether the other side is there, how often, and how many times. A client that
/// is cut off without a word, or does not read what it is sent, is left after two minutes.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);
const UNANSWERED_MAX: Duration = Duration::from_secs(120);

const _: () = assert!(
    CONNECTIONS_PER_SECOND * (HANDSHAKE_TURN.as_millis() as usize) < HANDSHAKES_MAX * 1_000,
    "one address cannot hold all places of handshakes"
);

/// What bounds connections that are not given out yet.
#[derive(Clone, Copy)]
struct Limits {
    within: Duration,
    handshakes_max: usize,
    turn: Duration,
}

const LIMITS: Limits = Limits {
    within: HANDSHAKE_WITHIN,
    handshakes_max: HANDSHAKES_MAX,
    turn: HANDSHAKE_TURN,
};

/// Where connections come in, with or without TLS; no more at a time than it was given places.
pub struct Listener {
    address: SocketAddr,
    begun: mpsc::Receiver<(Begun, SocketAddr)>,
    accepting: JoinHandle<()>,
    places: Arc<Semaphore>,
    /// It was said that all places are taken.
    told: bool,
}

/// A connection on which somebody speaks.
struct Begun {
    connection: Connection,
    opening: Opening,
}

/// A connection that was accepted, and its place.
pub struct Accepted {
    begun: Begun,
    _place: OwnedSemaphorePermit,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener {
    /// Over a bound listener. Accepts on the current tokio runtime from now on. Whoever comes while all places are taken waits until
    /// one is free.
    pub fn new(
        listener: TcpListener,
        protocol: Protocol,
        tls: Option<Acceptor>,
        connections_max: usize,
    ) -> io::Result<Listener> {
        Listener::within(LIMITS, listener, (protocol, tls), connections_max)
    }

    fn within(
        limits: Limits,
        listener: TcpListener,
        spoken: (Protocol, Option<Acceptor>),
        connections_max: usize,
    ) -> io::Result<Listener> {
        let address = listener.local_addr()?;
        // Few are ready ahead of their turn: nobody looks after them until then.
        let (ready, begun) = mpsc::channel(1);
        let accepting = tokio::spawn(accept_all(limits, listener, spoken, ready));
        Ok(Listener {
            address,
            begun,
            accepting,
            places: Arc::new(Semaphore::new(connections_max)),
            told: false,
        })
    }

    /// The next connection on which somebody speaks, and where it comes from. Failures of single connections are not told.
    pub async fn accept(&mut self) -> (Accepted, SocketAddr) {
        let place = self.place().await;
        let Some((begun, from)) = self.begun.recv().await else {
            // The runtime stops: nothing comes any more.
            return std::future::pending().await;
        };
        let accepted = Accepted {
            begun,
            _place: place,
        };
        (accepted, from)
    }

    async fn place(&mut self) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return place;
        }
        if !self.told {
            self.told = true;
            warn!(
                address = %self.address,
                "as many connections as may be are open; others wait until one ends"
            );
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }
}

async fn accept_one(listener: &TcpListener, rate: &NewConnections) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            // Dropped, so that it is closed before anything was spent on it.
            Ok((_, from)) if !rate.allows(from.ip(), Instant::now()) => {}
            Ok((stream, from)) => {
                // Only costs latency where it fails, and what the other side never tells.
                let _ = stream.set_nodelay(true);
                let _ = watch_over(&stream);
                return (stream, from);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, "no connection can be accepted; trying again");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Has the system find out when the other side is gone.
fn watch_over(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let (after, interval, times) = KEEP_ALIVE;
    let keep_alive = TcpKeepalive::new().with_time(after);
    socket.set_tcp_keepalive(&keep_alive.with_interval(interval).with_retries(times))?;
    socket.set_tcp_user_timeout(Some(UNANSWERED_MAX))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn accept_all(
    limits: Limits,
    listener: TcpListener,
    (protocol, tls): (Protocol, Option<Acceptor>),
    ready: mpsc::Sender<(Begun, SocketAddr)>,
) {
    let rate = NewConnections::new(CONNECTIONS);
    let mut places = HandshakePlaces::new(limits.handshakes_max, limits.turn);
    let mut handshakes = JoinSet::new();
    loop {
        let (stream, from) = accept_one(&listener, &rate).await;
        let place = places.take().await;
        while handshakes.try_join_next().is_some() {}
        let (tls, ready) = (tls.clone(), ready.clone());
        handshakes.spawn(async move {
            let begun = timeout(limits.within, begin(protocol, tls, stream));
            match place.during(begun).await {
                // Nobody takes it only when the server stops.
                Some((Ok(Ok(begun)), _place)) => drop(ready.send((begun, from)).await),
                Some((Ok(Err(error)), _)) => debug!(%from, %error, "a connection came to nothing"),
                Some((Err(_), _)) => debug!(%from, "nothing came on a connection"),
                None => debug!(%from, "a connection on which nothing came made room for others"),
            }
        });
    }
}

async fn begin(protocol: Protocol, tls: Option<Acceptor>, stream: TcpStream) -> io::Result<Begun> {
    let mut connection = match tls {
        Some(acceptor) => acceptor.accept(stream).await?,
        None => Connection::Plain(stream),
    };
    let opening = Opening::of(&mut connection, protocol).await?;
    Ok(Begun {
        connection,
        opening,
    })
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.opening.give(buffer) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.begun.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.begun.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.begun.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.begun.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.begun.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.begun.connection).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;

//! Accepting connections.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use skep_rate::Rate;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connection::Connection;
use crate::identity::Acceptor;
use crate::new_connections::NewConnections;

/// A client that has not finished its handshake by then is left.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at once. Who comes then waits in the system's queue.
const HANDSHAKES_MAX: usize = 256;
/// Accepting has failed, most likely for want of file handles: some may be free again after this.
const PAUSE: Duration = Duration::from_millis(100);
/// New connections of one address: as many as a host full of clients makes when it starts, then as many as cost next to nothing.
const CONNECTIONS: Rate = Rate::new(100, 1_000);

/// Where connections come in, with or without TLS; no more at a time than it was given places.
pub struct Listener {
    incoming: Incoming,
    rate: Arc<NewConnections>,
    places: Arc<Semaphore>,
    /// It was said that all places are taken.
    told: bool,
}

enum Incoming {
    Plain(TcpListener),
    Tls(Handshakes),
}

/// A connection that was accepted, and its place.
pub struct Accepted {
    connection: Connection,
    _place: OwnedSemaphorePermit,
}

/// Accepts connections and does their handshakes in the background, as long as this exists.
struct Handshakes {
    address: SocketAddr,
    done: mpsc::Receiver<(Connection, SocketAddr)>,
    accepting: JoinHandle<()>,
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener {
    /// Over a bound listener. With TLS it accepts on the current tokio runtime from now on. Whoever comes while all places are taken
    /// waits until one is free.
    pub fn new(
        listener: TcpListener,
        tls: Option<Acceptor>,
        connections_max: usize,
    ) -> io::Result<Listener> {
        let rate = Arc::new(NewConnections::new(CONNECTIONS));
        let incoming = match tls {
            None => Incoming::Plain(listener),
            Some(acceptor) => {
                let address = listener.local_addr()?;
                let (ready, done) = mpsc::channel(HANDSHAKES_MAX);
                let accepting =
                    tokio::spawn(accept_all(listener, acceptor, Arc::clone(&rate), ready));
                Incoming::Tls(Handshakes {
                    address,
                    done,
                    accepting,
                })
            }
        };
        Ok(Listener {
            incoming,
            rate,
            places: Arc::new(Semaphore::new(connections_max)),
            told: false,
        })
    }

    /// The next connection that is ready, and where it comes from. Failures of single connections are not told.
    pub async fn accept(&mut self) -> (Accepted, SocketAddr) {
        let place = self.place().await;
        let (connection, from) = match &mut self.incoming {
            Incoming::Plain(listener) => {
                let (stream, from) = accept_one(listener, &self.rate).await;
                (Connection::Plain(stream), from)
            }
            Incoming::Tls(handshakes) => match handshakes.done.recv().await {
                Some(ready) => ready,
                // The runtime stops: nothing comes any more.
                None => std::future::pending().await,
            },
        };
        let accepted = Accepted {
            connection,
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
            let address = self.local_addr().ok();
            warn!(
                ?address,
                "as many connections as may be are open; others wait until one ends"
            );
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("the semaphore is never closed")
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.incoming {
            Incoming::Plain(listener) => listener.local_addr(),
            Incoming::Tls(handshakes) => Ok(handshakes.address),
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Accepted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Accepted, SocketAddr) {
        Listener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(self)
    }
}

async fn accept_one(listener: &TcpListener, rate: &NewConnections) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            // Dropped, so that it is closed before anything was spent on it.
            Ok((_, from)) if !rate.allows(from.ip(), Instant::now()) => {}
            Ok((stream, from)) => {
                // Only costs latency where it fails.
                let _ = stream.set_nodelay(true);
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

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn accept_all(
    listener: TcpListener,
    acceptor: Acceptor,
    rate: Arc<NewConnections>,
    ready: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let (stream, from) = accept_one(&listener, &rate).await;
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        tokio::spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
                // Nobody takes it only when the server stops.
                Ok(Ok(connection)) => {
                    let _ = ready.send((connection, from)).await;
                }
                Ok(Err(error)) => debug!(%from, %error, "a TLS handshake failed"),
                Err(_) => debug!(%from, "a TLS handshake took too long"),
            }
        });
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

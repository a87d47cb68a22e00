//! Accepting connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connection::Connection;
use crate::identity::Acceptor;

/// A client that has not finished its handshake by then is left.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at once. Who comes then waits in the system's queue.
const HANDSHAKES_MAX: usize = 256;
/// Accepting has failed, most likely for want of file handles: some may be free again after this.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come in, with or without TLS.
pub enum Listener {
    /// Without TLS.
    Plain(TcpListener),
    /// With it.
    Tls(Handshakes),
}

/// Accepts connections and does their handshakes in the background, as long as this exists.
pub struct Handshakes {
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
    /// Over a bound listener. With TLS it accepts on the current tokio runtime from now on.
    pub fn new(listener: TcpListener, tls: Option<Acceptor>) -> io::Result<Listener> {
        let Some(acceptor) = tls else {
            return Ok(Listener::Plain(listener));
        };
        let address = listener.local_addr()?;
        let (ready, done) = mpsc::channel(HANDSHAKES_MAX);
        let accepting = tokio::spawn(accept_all(listener, acceptor, ready));
        Ok(Listener::Tls(Handshakes {
            address,
            done,
            accepting,
        }))
    }

    /// The next connection that is ready, and where it comes from. Failures of single connections are not told.
    pub async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self {
            Listener::Plain(listener) => {
                let (stream, from) = accept_one(listener).await;
                (Connection::Plain(stream), from)
            }
            Listener::Tls(handshakes) => match handshakes.done.recv().await {
                Some(ready) => ready,
                // The runtime stops: nothing comes any more.
                None => std::future::pending().await,
            },
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Listener::Plain(listener) => listener.local_addr(),
            Listener::Tls(handshakes) => Ok(handshakes.address),
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        Listener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(self)
    }
}

async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
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
    ready: mpsc::Sender<(Connection, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let (stream, from) = accept_one(&listener).await;
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

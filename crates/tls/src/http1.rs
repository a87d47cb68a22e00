//! HTTP/1.1 over a listener: as long as requests come, and ends in order.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tower_service::Service;
use tracing::{debug, error, warn};

use crate::listener::{Accepted, Listener};

/// What bounds how long connections are waited for.
#[derive(Clone, Copy)]
struct Patience {
    /// The head of a request, and a connection without a request: as long as Zeebe's server does, for which clients are made.
    head: Duration,
    /// Open requests after the order to stop. A client could hold up the end, and with it what a broker does after it, for ever.
    end: Duration,
}

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(20),
    end: Duration::from_secs(5),
};

/// Serves until `shutdown` completes, and then until open requests have ended or the time for that is over. Each request has what
/// `client` makes of its connection's address among its extensions.
pub async fn serve_http1<C: Clone + Send + Sync + 'static>(
    listener: Listener,
    router: Router,
    client: impl Fn(SocketAddr) -> C,
    shutdown: impl Future<Output = ()>,
) {
    serve(PATIENCE, listener, router, client, shutdown).await;
}

async fn serve<C: Clone + Send + Sync + 'static>(
    patience: Patience,
    mut listener: Listener,
    router: Router,
    client: impl Fn(SocketAddr) -> C,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let (connection, from) = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while let Some(ended) = connections.try_join_next() {
            tell(ended);
        }
        let (router, stopped) = (router.clone(), stopped.clone());
        connections.spawn(converse(
            patience,
            connection,
            router,
            client(from),
            stopped,
        ));
    }
    drop(listener);
    stop.send_replace(true);
    let ended = timeout(patience.end, async {
        while let Some(ended) = connections.join_next().await {
            tell(ended);
        }
    });
    if ended.await.is_err() {
        let open = connections.len();
        warn!(open, grace = ?patience.end, "requests were still open when their server stopped");
    }
}

fn tell(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "serving a connection ended badly");
    }
}

async fn converse<C: Clone + Send + Sync + 'static>(
    patience: Patience,
    connection: Accepted,
    router: Router,
    client: C,
    mut stopped: watch::Receiver<bool>,
) {
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(client.clone());
        router.clone().call(request)
    });
    let serving = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(connection), answer);
    tokio::pin!(serving);
    let stopped = async {
        // An error means that the server is gone, and this with it.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopped => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended");
    }
}

#[cfg(test)]
mod tests;

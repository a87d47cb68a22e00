//! Finding the other nodes: every known address is dialled until a node answers there, and again when its connection has ended.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skep_protocol::NodeId;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::connection::Connection;
use crate::handshake::{self, Refusal};
use crate::hello::Mismatch;
use crate::limits::{ADDRESSES_MAX, HANDSHAKE_PATIENCE, REDIAL_MAX, REDIAL_MIN};
use crate::node::{Shared, Stream, converse};
use crate::security;

/// Addresses that are dialled.
#[derive(Default)]
pub(crate) struct Addresses(Mutex<BTreeSet<String>>);

impl Addresses {
    /// Whether the address is new and is to be dialled from now on.
    pub fn learn(&self, address: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.len() < ADDRESSES_MAX && known.insert(address.to_owned())
    }
}

/// Keeps one address connected, for as long as the transport lives.
pub(crate) async fn keep_connected(shared: Arc<Shared>, address: String) {
    let mut pause = REDIAL_MIN;
    let mut complaint = None;
    // The node that answers there, once it is known.
    let mut node: Option<NodeId> = None;
    loop {
        // A node that has dialled this one is not dialled: the connection would replace the one that is in use.
        if let Some(node) = node.or_else(|| shared.peers.at(&address)) {
            shared.peers.disconnected(node).await;
        }
        match dial(&shared, &address).await {
            Ok((stream, connection)) => {
                (pause, complaint) = (REDIAL_MIN, None);
                node = Some(connection.peer.node);
                converse(&shared, stream, Arc::new(connection)).await;
            }
            Err(Refusal::Mismatch(Mismatch::Itself, _)) => return,
            Err(Refusal::Connected(peer)) => {
                (pause, complaint) = (REDIAL_MIN, None);
                node = Some(peer.node);
            }
            Err(refusal) => {
                shared.tell_refused(&refusal);
                complain(&address, &refusal, &mut complaint);
                pause = (pause * 2).min(REDIAL_MAX);
            }
        }
        sleep(pause).await;
    }
}

/// Says what is wrong with an address, once.
fn complain(address: &str, refusal: &Refusal, said: &mut Option<String>) {
    let text = refusal.to_string();
    if said.as_ref() == Some(&text) {
        return;
    }
    match refusal {
        // A node that is not there yet, or not any more.
        Refusal::Io(_) | Refusal::Slow => debug!(address, reason = text, "cannot be reached"),
        _ => warn!(address, reason = text, "no connection to the node there"),
    }
    *said = Some(text);
}

async fn dial(shared: &Shared, address: &str) -> Result<(Stream, Connection), Refusal> {
    let attempt = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut stream = security::dialled(shared.security.as_ref(), address, stream).await?;
        let peer = handshake::dial(&mut stream, &shared.own).await?;
        Ok((stream, Connection::new(peer, shared.own.node)))
    };
    within(HANDSHAKE_PATIENCE, attempt).await
}

/// Bounds a handshake.
pub(crate) async fn within<T>(
    patience: Duration,
    attempt: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    timeout(patience, attempt)
        .await
        .unwrap_or(Err(Refusal::Slow))
}

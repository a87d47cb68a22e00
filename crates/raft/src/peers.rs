//! The way to the other members of a group: what this crate needs of whoever connects nodes.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};

use crate::content::{FetchedContent, Offer};

/// How a member reaches the others.
pub trait RaftPeers: Send + Sync + 'static {
    /// Sends a request of a group to a node. It is queued when this is called, and requests to one node keep their order; the
    /// future waits for the answer.
    fn call(
        &self,
        group: u32,
        target: u64,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, PeerError>>;

    /// As a leader: freezes the content of a group's replica for a member that lacks more of the log than there is.
    fn offer(&self, group: u32) -> BoxFuture<'static, Result<Offer, String>> {
        let _ = group;
        async { Err(NOT_MOVED.to_owned()) }.boxed()
    }

    /// Fetches what another member offers. Dropping the future gives it up; what has come already need not come again.
    fn fetch(
        &self,
        group: u32,
        from: u64,
        ticket: Bytes,
    ) -> BoxFuture<'static, Result<Box<dyn FetchedContent>, String>> {
        let _ = (group, from, ticket);
        async { Err(NOT_MOVED.to_owned()) }.boxed()
    }
}

const NOT_MOVED: &str =
    "no content is moved between these members; restore the partition from a backup";

/// Why a request to another member has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It has not been sent.
    #[error("the node is not connected")]
    NotConnected,
    /// It has not been sent: the node is slower than what is sent to it.
    #[error("too much is on its way to the node")]
    Busy,
    /// It may have been served.
    #[error("the node did not answer")]
    NoAnswer,
    /// The node does not serve it.
    #[error("the node refused: {0}")]
    Refused(String),
}

/// For a group of one: there is nobody to reach.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl RaftPeers for Alone {
    fn call(
        &self,
        _group: u32,
        _target: u64,
        _request: Bytes,
        _patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        futures::future::ready(Err(PeerError::NotConnected)).boxed()
    }
}

//! How a replica's content comes from one member to another: what this crate needs of whoever can move it.
//!
//! What goes over consensus is small: which entry the content ends with, and what the member has to know to fetch it.

use bytes::Bytes;
use futures::future::BoxFuture;
use skep_protocol::Index;

/// Content that a member may fetch. What it is of stays as it is until this is dropped.
pub struct Offer {
    /// The entry that it ends with.
    pub index: Index,
    /// That entry's term.
    pub term: u64,
    /// What to ask for it with.
    pub ticket: Bytes,
    /// Keeps it.
    pub kept: Box<dyn Send + Sync>,
}

/// Content that has been fetched, and is not the replica's yet. Dropped when nothing comes of it, or right after the replica has been
/// told of it: nothing else may be written to the replica's store until then.
pub trait FetchedContent: Send + 'static {
    /// Makes it the replica's, durably, as that of an entry. Takes a moment only.
    fn install(&mut self, index: Index, term: u64) -> BoxFuture<'_, Result<(), String>>;
}

/// What openraft hands through as the content of a snapshot: nothing where a snapshot only says what is durable.
pub type Fetched = Option<Box<dyn FetchedContent>>;

//! Where the pairs come from.

/// Whether a scan goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Give the next pair.
    Continue,
    /// Enough; the scan returns `Ok`.
    Stop,
}

/// The frozen content of a partition at its checkpoint. It must not change while it is being read.
pub trait Content: Send + Sync + 'static {
    /// Visit all pairs with `key >= from`, in strictly ascending key order, until told to stop. Blocking.
    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Visit,
    ) -> Result<(), ContentError>;
}

/// The content cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read the partition's content: {detail}")]
pub struct ContentError {
    /// What failed, in the words of the store below.
    pub detail: String,
}

//! What exporters need of a partition's log. Implemented above this crate.

use bytes::Bytes;
use skep_protocol::Index;

/// The committed entries of one partition. An error says in words for the operator what is wrong.
pub trait CommittedLog: Send {
    /// Index of the first entry that is kept.
    fn first(&self) -> Result<Index, String>;

    /// Index after the last entry, committed or not.
    fn end(&self) -> Result<Index, String>;

    /// Entries from `from` up to and without `to`, which are committed: all of them, or the first of them up to about
    /// `bytes_max` bytes. What consensus wrote for itself comes as empty bytes.
    fn read(
        &mut self,
        from: Index,
        to: Index,
        bytes_max: usize,
    ) -> Result<Vec<(Index, Bytes)>, String>;

    /// Entries before `index` are not needed any more.
    fn release(&mut self, index: Index);
}

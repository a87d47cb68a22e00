//! That a member has begun its log, noted where the log is not: so a log that is gone is not taken for one that never was.

use std::io;

/// The note of one member. It comes after its log's first entry or vote is durable and before the member promises anything, and stays
/// as long as what the member has in its store.
pub trait BegunNote: Send + Sync {
    /// Whether it was written.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn is_there(&self) -> io::Result<bool>;

    /// Writes it, durably.
    ///
    /// # Errors
    /// If it may not be durable.
    fn write(&self) -> io::Result<()>;
}

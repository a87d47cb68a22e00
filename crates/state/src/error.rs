//! Why state cannot be read or written.

use thiserror::Error;

/// The world below the state failed. It stops the replica; it is never the fault of a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// The disk refused.
    #[error("{action}: {reason}")]
    Io {
        /// What was being done, with the file.
        action: String,
        /// What the system said.
        reason: String,
    },
    /// Bytes are not what was written.
    #[error("{place} is corrupt: {reason}. {mend}")]
    Corrupt {
        /// File and offset, or the key.
        place: String,
        /// What does not hold.
        reason: String,
        /// What an operator can do.
        mend: String,
    },
}

//! What can go wrong with the log, one variant per distinct reaction.

use std::io;
use std::path::PathBuf;

use crate::GroupId;

/// Where and how the stored content of one group is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub group: GroupId,
    pub file: PathBuf,
    pub offset: u64,
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            group,
            file,
            offset,
            what,
        } = self;
        write!(
            f,
            "log of group {group} is damaged in {} at offset {offset}: {what}",
            file.display()
        )
    }
}

/// Why a log operation failed. Cloneable, because one failure answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// Only this group stops; the others go on.
    #[error(
        "{0}. Other partitions go on. Check the disk, empty the data directory and restore a backup: skep restore --backupId=N"
    )]
    Corrupt(Box<Damage>),
    /// The store was closed while it waited for space; what was pending is not acknowledged.
    #[error("no space left for the log: {0}; free space on the log's disk")]
    Full(String),
    /// The disk failed the log. Nothing can be acknowledged any more until the store is reopened.
    #[error(
        "{what} failed: {message}; the log refuses to go on until the node is restarted, check the disk first"
    )]
    Failed { what: String, message: String },
    /// The store is closed, or was dropped before the operation became durable.
    #[error("the log is closed")]
    Closed,
    #[error("an entry of {bytes} bytes is too large for the log, the limit is {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// The directory can't be used at all.
    #[error("open log: {0}")]
    Open(String),
    #[error("{what}: {message}")]
    Io {
        what: String,
        kind: io::ErrorKind,
        message: String,
    },
}

impl LogError {
    pub(crate) fn io(what: impl Into<String>, error: &io::Error) -> Self {
        Self::Io {
            what: what.into(),
            kind: error.kind(),
            message: error.to_string(),
        }
    }
}

/// Whether waiting for space can mend the error.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

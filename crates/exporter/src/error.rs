//! Why an exporter cannot go on for now.

use std::io;
use std::path::{Path, PathBuf};

use skep_protocol::{DecodeError, Index};
use thiserror::Error;

/// Each of these is tried again, from what is durable on.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A file or directory of the exporter cannot be used.
    #[error("{action} {}: {source}. Mend it; nothing is lost meanwhile, since the log keeps what is not exported", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error("read the log: {0}")]
    Log(String),
    /// An entry of the log cannot be read.
    #[error(
        "log entry {index}: {source}. The entry passed its checksum, so a newer version wrote it: start that version"
    )]
    Entry {
        /// Which.
        index: Index,
        /// Why.
        source: DecodeError,
    },
}

impl ExportError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ExportError {
        let path = path.to_owned();
        move |source| ExportError::File {
            action,
            path,
            source,
        }
    }
}

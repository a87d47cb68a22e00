//! Why a store can't be opened, and how the engine's errors become the state's.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use skep_state::StateError;
use thiserror::Error;

/// A store can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The disk failed, or what it holds is damaged.
    #[error(transparent)]
    State(#[from] StateError),
    /// A newer release wrote it.
    #[error(
        "the store in {directory} has format {found}, this release reads up to {known}; \
         start it with the release that wrote it, or a newer one"
    )]
    Newer {
        /// The store's directory.
        directory: PathBuf,
        /// Format of the store.
        found: String,
        /// Newest format that is understood.
        known: String,
    },
    /// It is open already, here or in another process.
    #[error(
        "the store in {directory} is in use; stop the other process, or close the partition first"
    )]
    InUse {
        /// The store's directory.
        directory: PathBuf,
    },
}

pub(crate) fn io(action: impl Into<String>, error: &io::Error) -> StateError {
    StateError::Io {
        action: action.into(),
        reason: error.to_string(),
    }
}

/// A file, or all of the store, is not what was written.
pub(crate) fn corrupt(file: &Path, reason: impl Into<String>) -> StateError {
    corrupt_place(file.display().to_string(), reason.into())
}

/// A file is not what was written at this place.
pub(crate) fn corrupt_at(file: &Path, offset: u64, reason: impl Into<String>) -> StateError {
    let place = format!("{} at offset {offset}", file.display());
    corrupt_place(place, reason.into())
}

fn corrupt_place(place: String, reason: String) -> StateError {
    StateError::Corrupt {
        place,
        reason,
        mend: "Other partitions go on. Check the disk, empty the data directory and restore a backup: skep restore \
               --backupId=N"
            .to_owned(),
    }
}

/// Why a file can't be used.
pub(crate) enum Unreadable {
    /// The system refused something.
    Io(io::Error),
    /// It is not what was written.
    Damaged { offset: u64, reason: String },
}

impl Unreadable {
    pub(crate) fn damaged(offset: u64, reason: &str) -> Unreadable {
        let reason = reason.to_owned();
        Unreadable::Damaged { offset, reason }
    }

    pub(crate) fn of(self, path: &Path) -> StateError {
        match self {
            Unreadable::Damaged { offset, reason } => corrupt_at(path, offset, reason),
            Unreadable::Io(error) if means_damage(&error) => corrupt(path, error.to_string()),
            Unreadable::Io(error) => io(format!("read {}", path.display()), &error),
        }
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        Unreadable::Io(error)
    }
}

/// Whether a file that can't be read like this is damaged, rather than the disk in trouble.
fn means_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound | io::ErrorKind::InvalidData
    )
}

/// What went wrong inside the engine.
pub(crate) enum Failure {
    /// The system refused something.
    Io(io::Error),
    /// Something on disk is not what was written.
    Damage(String),
}

impl From<lsm_tree::Error> for Failure {
    fn from(error: lsm_tree::Error) -> Failure {
        match error {
            lsm_tree::Error::Io(error) if !means_damage(&error) => Failure::Io(error),
            lsm_tree::Error::ChecksumMismatch { .. } => {
                Failure::Damage("checksum does not match".to_owned())
            }
            other => Failure::Damage(other.to_string()),
        }
    }
}

impl Failure {
    /// The engine gave up in a way that it doesn't report.
    pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Failure {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Failure::Damage(format!("the engine can't go on: {text}"))
    }
}

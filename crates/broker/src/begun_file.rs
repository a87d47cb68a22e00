//! That this node's member of a partition has begun, as a file without content: [`BegunNote`].

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use skep_raft::BegunNote;

/// The file, which is there or not.
pub(crate) struct BegunFile(pub PathBuf);

impl BegunNote for BegunFile {
    fn is_there(&self) -> io::Result<bool> {
        fs::exists(&self.0)
    }

    fn write(&self) -> io::Result<()> {
        File::create(&self.0)?.sync_all()?;
        let directory = self.0.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_note_is_there_from_when_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.begun");
        assert!(!BegunFile(path.clone()).is_there().unwrap());
        BegunFile(path.clone()).write().unwrap();
        BegunFile(path.clone()).write().unwrap();
        assert!(BegunFile(path).is_there().unwrap());
        assert!(
            BegunFile(directory.path().join("away/1.begun"))
                .write()
                .is_err()
        );
    }
}

//! Chunks that have come, so that a transfer that broke off goes on where it was.
//!
//! Files named by hash. They are not synced: a chunk is checked whenever it is read, and one that is not whole comes again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use skep_backup::{ChunkHash, chunk};

/// The chunks of one partition.
#[derive(Debug, Clone)]
pub struct ChunkCache(PathBuf);

impl ChunkCache {
    /// In that directory, which may not exist.
    pub fn open(directory: &Path) -> io::Result<ChunkCache> {
        fs::create_dir_all(directory)?;
        Ok(ChunkCache(directory.to_owned()))
    }

    fn path(&self, hash: ChunkHash) -> PathBuf {
        self.0.join(hash.to_string())
    }

    /// A chunk's canonical encoding, if it is there and whole.
    pub fn get(&self, hash: ChunkHash) -> Option<Bytes> {
        let path = self.path(hash);
        let stored = fs::read(&path).ok()?;
        match chunk::decompress(&stored, hash) {
            Ok(encoding) => Some(encoding),
            Err(_) => {
                // It comes again and is written anew.
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps a chunk's stored form.
    pub fn put(&self, hash: ChunkHash, stored: &[u8]) -> io::Result<()> {
        let written = fs::write(self.path(hash), stored);
        if written.is_err() {
            // The disk may be full.
            let _ = fs::remove_file(self.path(hash));
        }
        written
    }

    /// Nothing is needed any more.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_chunk_is_found_again_unless_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.chunks");
        let cache = ChunkCache::open(&path).unwrap();
        let encoding = b"some content".repeat(10);
        let hash = ChunkHash::of(&encoding);
        let (stored, _) = chunk::compress(&encoding, 1).unwrap();
        assert_eq!(cache.get(hash), None);
        cache.put(hash, &stored).unwrap();
        let again = ChunkCache::open(&path).unwrap();
        assert_eq!(again.get(hash).unwrap(), encoding);
        again.put(hash, &stored[..stored.len() - 1]).unwrap();
        assert_eq!(cache.get(hash), None);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        cache.remove().unwrap();
        cache.remove().unwrap();
        assert!(!path.exists());
    }
}

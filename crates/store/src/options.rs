//! Settings of a store, with the reason for each default.

use std::sync::Arc;

use lsm_tree::{Cache, DescriptorTable};

/// Memory and file handles that the stores of a node share.
#[derive(Clone)]
pub struct SharedCache {
    pub(crate) blocks: Arc<Cache>,
    pub(crate) files: Arc<DescriptorTable>,
}

impl SharedCache {
    /// At most about `bytes` of blocks in memory, and `files` table files held open.
    pub fn new(bytes: u64, files: usize) -> SharedCache {
        SharedCache {
            blocks: Arc::new(Cache::with_capacity_bytes(bytes)),
            files: Arc::new(DescriptorTable::new(files)),
        }
    }

    /// Bytes of blocks in memory now.
    pub fn bytes(&self) -> u64 {
        self.blocks.size()
    }
}

impl Default for SharedCache {
    /// 32 MiB: enough for the indexes and filters of several GiB of state; the page cache of the system holds the rest.
    fn default() -> SharedCache {
        SharedCache::new(32 << 20, 256)
    }
}

/// How a store is opened.
#[derive(Clone, Default)]
pub struct StoreOptions {
    /// Pass the same one to all stores of a node.
    pub cache: SharedCache,
}

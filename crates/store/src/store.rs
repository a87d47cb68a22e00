//! The store of one partition.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lsm_tree::AbstractTree;
use skep_state::{KeyRange, LocalMeta, Read, Snapshot, StateError, Store, StoreWrites, Visitor};

use crate::bulk::BulkLoad;
use crate::directory::Layout;
use crate::engine::{Engine, NEWEST};
use crate::error::StoreError;
use crate::marker;
use crate::options::StoreOptions;
use crate::run::{META_KEY, Run};
use crate::snapshot::{self, PinnedSnapshot};
use crate::write_back::Compact;

/// A partition's content on disk. All methods may be called from any thread; one that writes waits for another that writes.
pub struct PartitionStore {
    engine: Arc<Engine>,
    /// The store belongs to this process as long as this file is open.
    _taken: File,
}

/// Figures for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStats {
    /// Bytes of the newest content's files. Files kept for snapshots are not among them.
    pub disk_bytes: u64,
    /// Files of the newest content.
    pub tables: usize,
    /// Sorted runs that compaction has not merged yet.
    pub unmerged_runs: usize,
}

impl PartitionStore {
    /// Opens the store in a directory of its own, creating it if there is none.
    pub fn open(directory: &Path, options: &StoreOptions) -> Result<PartitionStore, StoreError> {
        let layout = Layout::new(directory);
        layout.settle()?;
        if !layout.marker().exists() {
            layout.create()?;
            drop(Engine::start(&layout, &options.cache)?);
            marker::create(&layout)?;
        }
        let (taken, format) = marker::take(&layout)?;
        let engine = Engine::open(&layout, &options.cache, format)?;
        Ok(PartitionStore {
            engine: Arc::new(engine),
            _taken: taken,
        })
    }

    /// Begins to load a whole store, which takes the place of what is in the directory when it is finished.
    /// No store may be open there at that time.
    pub fn bulk_load(directory: &Path, options: &StoreOptions) -> Result<BulkLoad, StoreError> {
        BulkLoad::begin(directory, options)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Figures for metrics.
    pub fn stats(&self) -> StoreStats {
        let tree = &self.engine.tree;
        StoreStats {
            disk_bytes: tree.disk_space(),
            tables: tree.table_count(),
            unmerged_runs: tree.l0_run_count(),
        }
    }
}

impl Read for PartitionStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        snapshot::get(&self.engine, NEWEST, key)
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        snapshot::scan(&self.engine, NEWEST, range, visit)
    }
}

impl Store for PartitionStore {
    fn write(&self, writes: &mut StoreWrites<'_>, meta: &LocalMeta) -> Result<(), StateError> {
        let _changing = self.engine.lock_changes();
        self.engine.bound_runs()?;
        self.engine.change(|| {
            let mut run = Run::begin(&self.engine)?;
            for (key, value) in writes {
                run.add(key, value)?;
            }
            run.finish(meta)
        })
    }

    fn meta(&self) -> Result<Option<LocalMeta>, StateError> {
        snapshot::get_any(&self.engine, NEWEST, META_KEY)
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StateError> {
        self.engine.check()?;
        Ok(Arc::new(PinnedSnapshot::new(&self.engine)))
    }
}

impl Compact for PartitionStore {
    fn compact(&self) -> Result<bool, StateError> {
        // Whoever changes the tables may do so for long; the next write has compaction look again. Other stores wait for this thread.
        let Some(_changing) = self.engine.try_lock_changes() else {
            return Ok(false);
        };
        self.engine.compact_step()
    }
}

//! The engine, guarded: its panics and errors become [`StateError`]s, what it leaves behind after a failure is removed,
//! and its old versions live exactly as long as a snapshot needs them.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use lsm_tree::compaction::Leveled;
use lsm_tree::config::{BlockSizePolicy, CompressionPolicy, PinningPolicy};
use lsm_tree::{AbstractTree, AnyTree, CompressionType, Config, SequenceNumberCounter};
use skep_state::StateError;

use crate::directory::Layout;
use crate::ends::{ENDS_KEY, Ends};
use crate::error::{self, Failure};
use crate::options::SharedCache;
use crate::run::META_KEY;
use crate::{manifest, marker, snapshot};

/// A block is read, checked and unpacked as a whole: small enough for a point read, large enough to compress and scan well.
const BLOCK_BYTES: u32 = 16 << 10;
/// Compaction works on tables of this size: a step takes a second or so.
const TABLE_BYTES: u64 = 32 << 20;
/// Runs not yet merged at which compaction becomes due.
const RUNS_DUE: u8 = 4;
/// Runs not yet merged at which a write merges first: every read looks into each of them.
const RUNS_MAX: usize = 12;
/// Sequence number of the first write; below it is the empty tree.
const FIRST_SEQUENCE: u64 = 1;

/// Reads what is newest.
pub(crate) const NEWEST: u64 = u64::MAX;

pub(crate) struct Engine {
    layout: Layout,
    pub(crate) tree: AnyTree,
    pub(crate) ends: Ends,
    /// Sequence numbers below this one are visible.
    visible: SequenceNumberCounter,
    /// Sequence numbers of snapshots, with how many snapshots there are of each.
    pins: Mutex<BTreeMap<u64, usize>>,
    /// Held while the tree's set of tables changes.
    changing: Mutex<()>,
    /// Why nothing works any more.
    failed: OnceLock<StateError>,
}

impl Engine {
    /// Opens the tree of an existing store of this format.
    pub(crate) fn open(
        layout: &Layout,
        cache: &SharedCache,
        format: u32,
    ) -> Result<Engine, StateError> {
        let tables = manifest::tables(layout)?;
        manifest::check_tables(layout, &tables)?;
        let mut engine = Engine::start(layout, cache)?;
        engine.ends = engine.read_ends(format)?;
        Ok(engine)
    }

    fn read_ends(&self, format: u32) -> Result<Ends, StateError> {
        if format < marker::FORMAT_WITH_ENDS {
            return Ok(Ends::default());
        }
        let corrupt = |reason| self.fail(error::corrupt(self.layout.root(), reason));
        match snapshot::get_any(self, NEWEST, ENDS_KEY)? {
            Some(bytes) => Ends::decode(&bytes).map_err(corrupt),
            None if snapshot::get_any(self, NEWEST, META_KEY)?.is_none() => Ok(Ends::of_nothing()),
            None => Err(corrupt(
                "there is content without the ends of its tables".to_owned(),
            )),
        }
    }

    /// Opens a tree, creating it if there is none.
    pub(crate) fn start(layout: &Layout, cache: &SharedCache) -> Result<Engine, StateError> {
        let next = SequenceNumberCounter::new(FIRST_SEQUENCE);
        let visible = SequenceNumberCounter::new(FIRST_SEQUENCE);
        let open = || config(layout, cache, next.clone(), visible.clone()).open();
        let tree = catch_unwind(AssertUnwindSafe(open))
            .map_err(|payload| Failure::from_panic(&*payload))
            .and_then(|opened| opened.map_err(Failure::from))
            .map_err(|failure| translate(layout, "open", failure))?;
        if let Some(highest) = tree.get_highest_persisted_seqno() {
            next.fetch_max(highest + 1);
            visible.fetch_max(highest + 1);
        }
        Ok(Engine {
            layout: layout.clone(),
            tree,
            ends: Ends::of_nothing(),
            visible,
            pins: Mutex::default(),
            changing: Mutex::default(),
            failed: OnceLock::new(),
        })
    }

    /// Runs an operation of the engine. Damage, and a panic above all, makes all later operations fail like this one.
    pub(crate) fn guard<T>(
        &self,
        action: &str,
        operation: impl FnOnce() -> lsm_tree::Result<T>,
    ) -> Result<T, StateError> {
        self.check()?;
        let failure = match catch_unwind(AssertUnwindSafe(operation)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Failure::from(error),
            Err(payload) => Failure::from_panic(&*payload),
        };
        let error = translate(&self.layout, action, failure);
        Err(match error {
            StateError::Corrupt { .. } => self.fail(error),
            StateError::Io { .. } => error,
        })
    }

    /// Whether the store still works.
    pub(crate) fn check(&self) -> Result<(), StateError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn fail(&self, error: StateError) -> StateError {
        self.failed.get_or_init(|| error).clone()
    }

    /// Changes the set of tables. If that fails, files that the attempt has left behind are removed, because the disk may be full.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce() -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        self.check()?;
        let first_new = self.tree.next_table_id();
        let changed = change();
        match &changed {
            Ok(_) => self.forget_versions(),
            Err(StateError::Io { .. }) => self.remove_tables_from(first_new)?,
            Err(StateError::Corrupt { .. }) => {}
        }
        changed
    }

    /// Only one thread at a time changes the set of tables.
    pub(crate) fn lock_changes(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    /// The same, unless another thread does so at the moment.
    pub(crate) fn try_lock_changes(&self) -> Option<MutexGuard<'_, ()>> {
        match self.changing.try_lock() {
            Ok(changing) => Some(changing),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn remove_tables_from(&self, first_new: u64) -> Result<(), StateError> {
        let version = self.tree.current_version();
        if manifest::current_version(&self.layout)? != version.id() {
            let reason =
                "the disk failed while it made a write durable; restart the node, check the disk";
            return Err(self.fail(StateError::Io {
                action: format!("sync {}", self.layout.tree().display()),
                reason: reason.to_owned(),
            }));
        }
        for id in first_new..self.tree.next_table_id() {
            if !version.iter_tables().any(|table| table.id() == id) {
                // Not there, or not removable: the next start removes it.
                let _ = fs::remove_file(self.layout.table(id));
            }
        }
        Ok(())
    }

    /// Forgets versions of the tree that no snapshot needs, and with them their tables.
    fn forget_versions(&self) {
        let oldest = self.oldest_needed();
        let mut versions = self.tree.get_version_history_lock();
        if let Err(error) = versions.maintenance(&self.layout.tree(), oldest) {
            tracing::warn!(store = %self.layout.root().display(), %error, "old files are not removed");
        }
    }

    fn oldest_needed(&self) -> u64 {
        let pins = lock(&self.pins);
        let pinned = pins.keys().next().copied();
        pinned.unwrap_or_else(|| self.visible.get())
    }

    /// Keeps the content as it is now readable, under the number given back.
    pub(crate) fn pin(&self) -> u64 {
        let mut pins = lock(&self.pins);
        let sequence = self.visible.get();
        *pins.entry(sequence).or_default() += 1;
        sequence
    }

    pub(crate) fn unpin(&self, sequence: u64) {
        let mut pins = lock(&self.pins);
        let count = pins
            .get_mut(&sequence)
            .expect("only what is pinned is unpinned");
        *count -= 1;
        if *count == 0 {
            pins.remove(&sequence);
        }
    }

    /// One step of compaction. Whether there was something to do.
    pub(crate) fn compact_step(&self) -> Result<bool, StateError> {
        let before = self.tree.current_version().id();
        let strategy = Leveled::default()
            .with_l0_threshold(RUNS_DUE)
            .with_table_target_size(TABLE_BYTES);
        let oldest = self.oldest_needed();
        self.change(|| self.guard("compact", || self.tree.compact(Arc::new(strategy), oldest)))?;
        Ok(self.tree.current_version().id() != before)
    }

    /// Merges runs that a reader would otherwise have to look into, if there are too many.
    pub(crate) fn bound_runs(&self) -> Result<(), StateError> {
        while self.tree.l0_run_count() >= RUNS_MAX && self.compact_step()? {}
        Ok(())
    }
}

fn config(
    layout: &Layout,
    cache: &SharedCache,
    next: SequenceNumberCounter,
    visible: SequenceNumberCounter,
) -> Config {
    Config::new(layout.tree(), next, visible)
        .use_cache(Arc::clone(&cache.blocks))
        .use_descriptor_table(Some(Arc::clone(&cache.files)))
        .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        // Indexes and filters live in the shared cache, not in memory of their own: an idle partition takes next to nothing.
        .index_block_partitioning_policy(PinningPolicy::all(true))
        .index_block_pinning_policy(PinningPolicy::all(false))
        // A filter as one block has hundreds of kilobytes, read and checked as a whole whenever the cache has dropped it.
        .filter_block_partitioning_policy(PinningPolicy::all(true))
        .filter_block_pinning_policy(PinningPolicy::all(false))
}

/// What the state's user is told. Names the damaged file and place, which takes reading all of them: the store stops here anyway.
fn translate(layout: &Layout, action: &str, failure: Failure) -> StateError {
    match failure {
        Failure::Io(error) => error::io(format!("{action} {}", layout.root().display()), &error),
        Failure::Damage(reason) => match manifest::find_damaged_table(layout) {
            Ok(Some(table)) => match table.offset {
                Some(offset) => error::corrupt_at(&table.path, offset, reason),
                None => error::corrupt(&table.path, reason),
            },
            Ok(None) => error::corrupt(layout.root(), format!("{action}: {reason}")),
            Err(named) => named,
        },
    }
}

/// What a lock protects here is valid at every moment, so that a panic elsewhere doesn't matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

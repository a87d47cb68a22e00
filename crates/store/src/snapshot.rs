//! Reading: the newest content, or that of a moment.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use lsm_tree::{AbstractTree, Guard, Slice};
use skep_state::{KeyRange, Read, StateError, Visit, Visitor};

use crate::engine::Engine;
use crate::run::META_KEY;

/// The content at one moment. Its files stay on disk as long as it exists.
pub(crate) struct PinnedSnapshot {
    engine: Arc<Engine>,
    sequence: u64,
}

impl PinnedSnapshot {
    pub(crate) fn new(engine: &Arc<Engine>) -> PinnedSnapshot {
        PinnedSnapshot {
            sequence: engine.pin(),
            engine: Arc::clone(engine),
        }
    }
}

impl Drop for PinnedSnapshot {
    fn drop(&mut self) {
        self.engine.unpin(self.sequence);
    }
}

impl Read for PinnedSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        get(&self.engine, self.sequence, key)
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        scan(&self.engine, self.sequence, range, visit)
    }
}

/// The value that a key has below a sequence number.
pub(crate) fn get(engine: &Engine, sequence: u64, key: &[u8]) -> Result<Option<Bytes>, StateError> {
    if key.is_empty() || key >= META_KEY {
        return Ok(None);
    }
    if engine.ends.excludes(key) {
        return engine.check().map(|()| None);
    }
    get_any(engine, sequence, key)
}

pub(crate) fn get_any(
    engine: &Engine,
    sequence: u64,
    key: &[u8],
) -> Result<Option<Bytes>, StateError> {
    let found = engine.guard("read", || engine.tree.get(key, sequence))?;
    // Copied, because the engine's slice may keep a whole block in memory.
    Ok(found.map(|value: Slice| Bytes::copy_from_slice(&value)))
}

/// Visits the pairs of a range as of a sequence number.
pub(crate) fn scan(
    engine: &Engine,
    sequence: u64,
    range: KeyRange<'_>,
    visit: &mut Visitor<'_>,
) -> Result<(), StateError> {
    let to = range.to.filter(|to| *to < META_KEY).unwrap_or(META_KEY);
    let within = KeyRange {
        from: range.from,
        to: Some(to),
    };
    if range.from >= to || engine.ends.exclude(within) {
        return engine.check();
    }
    let bounds = (Bound::Included(range.from), Bound::Excluded(to));
    let mut pairs = engine.guard("read", || {
        Ok(engine.tree.range::<&[u8], _>(bounds, sequence, None))
    })?;
    // Only the engine's part is guarded: what a visitor panics with is its caller's affair.
    let mut next = || engine.guard("read", || pairs.next().map(Guard::into_inner).transpose());
    while let Some((key, value)) = next()? {
        if visit(&key, &value) == Visit::Stop {
            break;
        }
    }
    Ok(())
}

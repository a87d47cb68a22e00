//! Writing one sorted run.

use lsm_tree::{AnyIngestion, UserKey, UserValue};
use skep_state::StateError;

use crate::ends::{ENDS_KEY, RunEnds};
use crate::engine::Engine;

/// Key of the meta: after all of the content, so that a run can end with a meta that is known only then.
pub(crate) const META_KEY: &[u8] = &[0xff];
/// A limit of the engine's format.
pub(crate) const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// A run being written. Nothing of it is visible, or survives, before [`Run::finish`].
pub(crate) struct Run<'a> {
    engine: &'a Engine,
    ingestion: AnyIngestion<'a>,
    last_key: Vec<u8>,
    ends: RunEnds,
}

impl<'a> Run<'a> {
    pub(crate) fn begin(engine: &'a Engine) -> Result<Run<'a>, StateError> {
        let ingestion = engine.guard("write", || lsm_tree::AnyTree::ingestion(&engine.tree))?;
        Ok(Run {
            engine,
            ingestion,
            last_key: Vec::new(),
            ends: RunEnds::default(),
        })
    }

    /// Adds a pair, or a deletion. Keys ascend.
    pub(crate) fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        assert_key(key);
        assert!(key > self.last_key.as_slice(), "keys of a run ascend");
        if key.first() != self.last_key.first() {
            self.ends.add(&self.last_key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.write(key, value)
    }

    fn write(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        let ingestion = &mut self.ingestion;
        self.engine.guard("write", || match value {
            Some(value) => ingestion.write(UserKey::from(key), UserValue::from(value)),
            None => ingestion.write_tombstone(UserKey::from(key)),
        })
    }

    /// Makes the run a part of the store, durably, together with the meta.
    pub(crate) fn finish(mut self, meta: &[u8]) -> Result<(), StateError> {
        self.write(META_KEY, Some(meta))?;
        self.ends.add(&self.last_key);
        let ends = std::mem::take(&mut self.ends).into_tables();
        if let Some(ends) = self.engine.ends.raise(ends) {
            self.write(ENDS_KEY, Some(&ends))?;
        }
        let ingestion = self.ingestion;
        self.engine.guard("write", || ingestion.finish())
    }
}

fn assert_key(key: &[u8]) {
    assert!(
        key.first().is_some_and(|table| *table != META_KEY[0]),
        "a key begins with the number of a table, below 255"
    );
    assert!(
        key.len() <= KEY_BYTES_MAX,
        "a key has {} bytes, at most {KEY_BYTES_MAX} are possible",
        key.len()
    );
}

//! A store in memory, for tests and the simulator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::{KeyRange, LocalMeta, Read, Snapshot, StateError, Store, StoreWrites, Visit, Visitor};

type Content = Arc<BTreeMap<Bytes, Bytes>>;

/// Content in a map; snapshots share it until it is written.
#[derive(Debug, Default, Clone)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    content: Content,
    meta: Option<LocalMeta>,
}

impl MemoryStore {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("no user of the store panics while holding it")
    }

    fn content(&self) -> Content {
        Arc::clone(&self.inner().content)
    }

    /// A copy that shares nothing: what a disk would hold if the node lost power now.
    pub fn copy(&self) -> MemoryStore {
        let inner = self.inner();
        let copy = Inner {
            content: Arc::clone(&inner.content),
            meta: inner.meta.clone(),
        };
        MemoryStore {
            inner: Arc::new(Mutex::new(copy)),
        }
    }
}

struct MemorySnapshot(Content);

impl Read for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        for (key, value) in self.0.range::<[u8], _>((
            std::ops::Bound::Included(range.from),
            std::ops::Bound::Unbounded,
        )) {
            if !range.ends_after(key) || visit(key, value) == Visit::Stop {
                break;
            }
        }
        Ok(())
    }
}

impl Read for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.inner().content.get(key).cloned())
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        MemorySnapshot(self.content()).scan(range, visit)
    }
}

impl Store for MemoryStore {
    fn write(&self, writes: &mut StoreWrites<'_>, meta: &LocalMeta) -> Result<(), StateError> {
        let mut inner = self.inner();
        let content = Arc::make_mut(&mut inner.content);
        for (key, value) in writes {
            match value {
                Some(value) => {
                    content.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))
                }
                None => content.remove(key),
            };
        }
        inner.meta = Some(meta.clone());
        Ok(())
    }

    fn meta(&self) -> Result<Option<LocalMeta>, StateError> {
        Ok(self.inner().meta.clone())
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StateError> {
        Ok(Arc::new(MemorySnapshot(self.content())))
    }
}

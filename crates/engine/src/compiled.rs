//! Compiled things, by key, as long as there is room.
//!
//! **Invariant**: at most so many of them out of so many bytes of resources are kept; what has not been used since it was last looked
//! over makes room for others.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use skep_protocol::Key;

#[derive(Debug)]
struct Entry<T> {
    compiled: Arc<T>,
    resource_bytes: usize,
    used: bool,
}

/// Things that are compiled when first needed.
#[derive(Debug)]
pub(crate) struct Compiled<T> {
    entries_max: usize,
    resource_bytes_max: usize,
    entries: FxHashMap<Key, Entry<T>>,
    /// Keys in the order in which they are looked over when room is needed.
    queue: VecDeque<Key>,
    resource_bytes: usize,
}

impl<T> Compiled<T> {
    /// Keeps so many, out of so many bytes of resources.
    pub fn new(entries_max: usize, resource_bytes_max: usize) -> Compiled<T> {
        Compiled {
            entries_max,
            resource_bytes_max,
            entries: FxHashMap::default(),
            queue: VecDeque::new(),
            resource_bytes: 0,
        }
    }

    /// What is kept under that key.
    pub fn get(&mut self, key: Key) -> Option<Arc<T>> {
        let entry = self.entries.get_mut(&key)?;
        entry.used = true;
        Some(Arc::clone(&entry.compiled))
    }

    /// Keeps what was not here, and gives it back.
    pub fn keep(&mut self, key: Key, compiled: T, resource_bytes: usize) -> Arc<T> {
        self.make_room(resource_bytes);
        self.resource_bytes += resource_bytes;
        self.queue.push_back(key);
        let compiled = Arc::new(compiled);
        let entry = Entry {
            compiled: Arc::clone(&compiled),
            resource_bytes,
            used: false,
        };
        let before = self.entries.insert(key, entry);
        assert!(
            before.is_none(),
            "{key} is compiled only when it is not here"
        );
        compiled
    }

    /// Drops what is kept under that key, if it is.
    pub fn forget(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.resource_bytes -= entry.resource_bytes;
            self.queue.retain(|other| *other != key);
        }
    }

    /// Drops what has not been used lately, until there is room for one more. Ends, since each round either drops an entry
    /// or clears its mark.
    fn make_room(&mut self, resource_bytes: usize) {
        while self.entries.len() >= self.entries_max
            || self.resource_bytes + resource_bytes > self.resource_bytes_max
        {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let entry = self
                .entries
                .get_mut(&key)
                .expect("the queue holds the keys of the entries");
            if entry.used {
                entry.used = false;
                self.queue.push_back(key);
            } else {
                self.resource_bytes -= entry.resource_bytes;
                self.entries.remove(&key);
            }
        }
    }
}

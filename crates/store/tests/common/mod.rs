//! Content that tests write and read again.

// Each test binary uses a part of it.
#![allow(dead_code)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use skep_state::{KeyRange, Read, StateError, Store, Visit};
use skep_store::{PartitionStore, StoreOptions};

pub type Content = BTreeMap<Vec<u8>, Vec<u8>>;
pub type Write = (Vec<u8>, Option<Vec<u8>>);

pub fn open(directory: &Path) -> PartitionStore {
    PartitionStore::open(directory, &StoreOptions::default()).unwrap()
}

pub fn write(store: &dyn Store, writes: &[Write], meta: &str) -> Result<(), StateError> {
    let mut writes = writes
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_deref()));
    store.write(&mut writes, &Bytes::copy_from_slice(meta.as_bytes()))
}

pub fn read_all(from: &dyn Read) -> Result<Content, StateError> {
    read_range(from, KeyRange::ALL)
}

pub fn read_range(from: &dyn Read, range: KeyRange<'_>) -> Result<Content, StateError> {
    let mut content = Content::new();
    from.scan(range, &mut |key, value| {
        content.insert(key.to_vec(), value.to_vec());
        Visit::Next
    })?;
    Ok(content)
}

pub fn apply(content: &mut Content, writes: &[Write]) {
    for (key, value) in writes {
        match value {
            Some(value) => content.insert(key.clone(), value.clone()),
            None => content.remove(key),
        };
    }
}

/// A small deterministic source of numbers.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

pub fn key(number: u64) -> Vec<u8> {
    let mut key = vec![1 + (number % 5) as u8];
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(b"-some-key");
    key
}

pub fn value(number: u64, generation: u64) -> Vec<u8> {
    let mut numbers = Numbers(number ^ (generation << 32));
    let length = 20 + numbers.below(300);
    (0..length).map(|_| numbers.next() as u8).collect()
}

/// Batch number `generation`: the same one whenever it is asked for. About a third overwrites, a sixth deletes.
pub fn batch(generation: u64, size: u64) -> Vec<Write> {
    let mut numbers = Numbers(generation * 7919);
    let mut writes = BTreeMap::new();
    for _ in 0..size {
        let number = numbers.below(size * (generation / 2 + 1));
        let deletes = numbers.below(6) == 0;
        writes.insert(key(number), (!deletes).then(|| value(number, generation)));
    }
    writes.into_iter().collect()
}

/// The content after batches 1 to `last`.
pub fn content_after(last: u64, size: u64) -> Content {
    let mut content = Content::new();
    for generation in 1..=last {
        apply(&mut content, &batch(generation, size));
    }
    content
}

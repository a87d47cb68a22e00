#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use skep_state::{LocalMeta, Read, Store};

use super::*;
use crate::StoreOptions;

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

fn content(store: &dyn Read) -> Content {
    let mut found = Content::new();
    let all = KeyRange {
        from: &[],
        to: None,
    };
    let visit = &mut |key: &[u8], value: &[u8]| {
        found.insert(key.to_vec(), value.to_vec());
        Visit::Next
    };
    store.scan(all, visit).unwrap();
    found
}

fn store(path: &Path, pairs: &Content) -> PartitionStore {
    let store = PartitionStore::open(path, &StoreOptions::default()).unwrap();
    let mut writes = pairs
        .iter()
        .map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
    store
        .write(&mut writes, &LocalMeta::from_static(b"before"))
        .unwrap();
    store
}

fn numbered(numbers: impl Iterator<Item = u32>, value: u8) -> Content {
    let pair = |number: u32| ([&[7], &number.to_be_bytes()[..]].concat(), vec![value; 20]);
    numbers.map(pair).collect()
}

/// Hands the content over in parts of three pairs.
fn hand_over(replacement: &mut Replacement, new: &Content) -> Result<(), StateError> {
    let pairs: Vec<_> = new.iter().collect();
    let parts: Vec<_> = pairs.chunks(3).collect();
    for (number, part) in parts.iter().enumerate() {
        let next = parts.get(number + 1).map(|next| next[0].0.as_slice());
        replacement.put(
            next,
            &mut part
                .iter()
                .map(|(key, value)| (key.as_slice(), value.as_slice())),
        )?;
    }
    match parts.is_empty() {
        true => replacement.put(None, &mut std::iter::empty()),
        false => Ok(()),
    }
}

#[test]
fn whatever_a_store_held_it_holds_the_other_content_afterwards_and_views_stay() {
    let mut with_other_tables = numbered(10..20, 1);
    with_other_tables.insert(vec![1], vec![1]);
    with_other_tables.insert(vec![9, 9], vec![2]);
    let contents = [
        Content::new(),
        numbered(0..30, 1),
        numbered(15..45, 2),
        with_other_tables,
    ];
    for old in &contents {
        for new in &contents {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("p1");
            let store = store(&path, old);
            let view = store.snapshot().unwrap();
            let mut replacement = store.replace().unwrap();
            hand_over(&mut replacement, new).unwrap();
            replacement.prepare().unwrap();
            assert_eq!(content(&store), *old, "nothing is visible before the end");
            replacement
                .finish(&LocalMeta::from_static(b"after"))
                .unwrap();
            assert_eq!(content(&store), *new);
            assert_eq!(content(&*view), *old);
            drop((view, store));
            let store = PartitionStore::open(&path, &StoreOptions::default()).unwrap();
            assert_eq!(content(&store), *new);
            assert_eq!(store.meta().unwrap().unwrap(), "after");
        }
    }
}

#[test]
fn what_is_given_up_or_wrong_leaves_the_store_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (numbered(0..30, 1), numbered(10..40, 2));
    let store = store(&directory.path().join("p1"), &old);
    let mut dropped = store.replace().unwrap();
    hand_over(&mut dropped, &new).unwrap();
    drop(dropped);
    let mut unfinished = store.replace().unwrap();
    unfinished.put(Some(&[7]), &mut std::iter::empty()).unwrap();
    assert!(unfinished.prepare().is_err(), "a part is missing");
    for (to, key) in [
        (Some([7].as_slice()), [8].as_slice()),
        (None, &[0xff]),
        (None, &[]),
    ] {
        let mut wrong = store.replace().unwrap();
        let put = wrong.put(to, &mut std::iter::once((key, [].as_slice())));
        assert!(put.is_err(), "{key:?}");
    }
    assert_eq!(content(&store), old);
    assert_eq!(store.meta().unwrap().unwrap(), "before");
    // Nothing of it is in the way of what comes later.
    let mut writes = std::iter::once(([8].as_slice(), Some([1].as_slice())));
    store
        .write(&mut writes, &LocalMeta::from_static(b"later"))
        .unwrap();
    assert_eq!(content(&store).len(), 31);
}

#[test]
fn compaction_does_not_wait_for_a_replacement() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory.path().join("p1"), &numbered(0..30, 1));
    let mut replacement = store.replace().unwrap();
    // Its thread has begun for sure when it has taken a part.
    replacement
        .put(Some(&[7]), &mut std::iter::empty())
        .unwrap();
    while store.engine().try_lock_changes().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(crate::Compact::compact(&store), Ok(false));
    drop(replacement);
}

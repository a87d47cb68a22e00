//! Reading, writing, snapshots, compaction, loading, opening.

mod common;

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use common::{apply, batch, content_after, key, open, read_all, read_range, value, write};
use skep_state::{KeyRange, Read, Store, Visit};
use skep_store::{Compact, PartitionStore, SharedCache, StoreError, StoreOptions};

#[test]
fn a_new_store_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(store.meta(), Ok(None));
    assert!(read_all(&store).unwrap().is_empty());
    assert_eq!(store.get(&key(1)), Ok(None));
}

#[test]
fn content_and_meta_are_the_same_after_opening_again_at_every_write() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = common::Content::new();
    for generation in 1..=20 {
        let store = open(directory.path());
        let writes = batch(generation, 200);
        write(&store, &writes, &format!("meta {generation}")).unwrap();
        apply(&mut expected, &writes);
        if generation % 3 == 0 {
            store.compact().unwrap();
        }
        drop(store);
        let store = open(directory.path());
        assert_eq!(read_all(&store).unwrap(), expected);
        assert_eq!(store.meta().unwrap().unwrap(), format!("meta {generation}"));
        for (key, _) in writes {
            assert_eq!(
                store.get(&key).unwrap().map(Vec::from),
                expected.get(&key).cloned()
            );
        }
    }
}

#[test]
fn ranges_of_one_table_beyond_what_was_ever_written_read_like_all_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = common::Content::new();
    for generation in 1..=12 {
        let store = open(directory.path());
        let before = store.snapshot().unwrap();
        let writes = batch(generation, 40);
        write(&store, &writes, "meta").unwrap();
        for from in 0..300 {
            let (from, after) = (key(from), key(from + 5 * (from % 7)));
            let next_table = [from[0] + 1];
            for to in [after.as_slice(), &next_table, &[9]] {
                let range = KeyRange {
                    from: &from,
                    to: Some(to),
                };
                let within = |content: &common::Content| -> common::Content {
                    let pairs = content
                        .iter()
                        .filter(|(key, _)| **key >= from && key.as_slice() < to);
                    pairs
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect()
                };
                assert_eq!(read_range(&*before, range).unwrap(), within(&expected));
                let mut newest = expected.clone();
                apply(&mut newest, &writes);
                assert_eq!(read_range(&store, range).unwrap(), within(&newest));
            }
        }
        apply(&mut expected, &writes);
    }
}

#[test]
fn an_empty_write_changes_the_meta_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store, &batch(1, 50), "one").unwrap();
    write(&store, &[], "two").unwrap();
    assert_eq!(store.meta().unwrap().unwrap(), "two");
    assert_eq!(read_all(&store).unwrap(), content_after(1, 50));
}

#[test]
fn ranges_are_half_open_and_never_show_the_meta() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let writes: Vec<_> = (1..=9u8)
        .map(|table| (vec![table], Some(vec![table; 3])))
        .collect();
    write(&store, &writes, "meta").unwrap();
    let keys = |from: &[u8], to: Option<&[u8]>| -> Vec<u8> {
        let range = KeyRange { from, to };
        read_range(&store, range)
            .unwrap()
            .into_keys()
            .map(|key| key[0])
            .collect()
    };
    assert_eq!(keys(&[], None), (1..=9).collect::<Vec<u8>>());
    assert_eq!(keys(&[3], Some(&[6])), [3, 4, 5]);
    assert_eq!(keys(&[7], Some(&[0xff, 0xff])), [7, 8, 9]);
    assert_eq!(keys(&[2, 0], Some(&[4])), [3]);
    assert!(keys(&[6], Some(&[3])).is_empty());
    assert!(keys(&[6], Some(&[6])).is_empty());
    assert!(keys(&[0xff], None).is_empty());
    assert_eq!(store.get(&[0xff]), Ok(None));
    assert_eq!(store.get(&[]), Ok(None));
}

#[test]
fn a_scan_stops_when_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store, &batch(1, 100), "").unwrap();
    let mut seen = 0;
    store
        .scan(KeyRange::ALL, &mut |_, _| {
            seen += 1;
            if seen == 3 { Visit::Stop } else { Visit::Next }
        })
        .unwrap();
    assert_eq!(seen, 3);
}

#[test]
fn a_panic_of_a_visitor_is_the_callers_and_leaves_the_store_usable() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    write(&store, &batch(1, 100), "").unwrap();
    let scan = || store.scan(KeyRange::ALL, &mut |_, _| panic!("the visitor's"));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scan));
    assert!(caught.is_err());
    assert_eq!(read_all(&store).unwrap(), content_after(1, 100));
}

#[test]
fn snapshots_do_not_change_while_the_store_is_written_and_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut snapshots = Vec::new();
    snapshots.push((0, store.snapshot().unwrap()));
    for generation in 1..=30 {
        write(&store, &batch(generation, 100), "").unwrap();
        if generation % 4 == 0 {
            snapshots.push((generation, store.snapshot().unwrap()));
        }
        if generation % 7 == 0 {
            snapshots.remove(0);
        }
        while store.compact().unwrap() {}
        for (taken, snapshot) in &snapshots {
            assert_eq!(read_all(&**snapshot).unwrap(), content_after(*taken, 100));
        }
    }
    for (key, value) in content_after(28, 100) {
        let (taken, snapshot) = snapshots.last().unwrap();
        assert_eq!(*taken, 28);
        assert_eq!(snapshot.get(&key).unwrap(), Some(Bytes::from(value)));
    }
}

#[test]
fn files_that_only_a_snapshot_needed_go_with_the_next_write_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let files = || {
        fs::read_dir(directory.path().join("tree/tables"))
            .unwrap()
            .count()
    };
    write(&store, &batch(1, 100), "").unwrap();
    let snapshot = store.snapshot().unwrap();
    for generation in 2..=20 {
        write(&store, &batch(generation, 100), "").unwrap();
        while store.compact().unwrap() {}
    }
    assert!(files() > store.stats().tables);
    drop(snapshot);
    write(&store, &[], "").unwrap();
    assert_eq!(files(), store.stats().tables);
}

#[test]
fn a_reader_of_the_newest_content_sees_whole_writes_while_others_write_and_compact() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()));
    let all = |generation: u64| -> Vec<_> {
        (0..50)
            .map(|number| (vec![1, number], Some(generation.to_be_bytes().to_vec())))
            .collect()
    };
    write(&*store, &all(0), "").unwrap();
    let reader = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            loop {
                let content = read_all(&*store).unwrap();
                let values: std::collections::BTreeSet<_> = content.values().cloned().collect();
                assert_eq!((content.len(), values.len()), (50, 1));
                let one = store.get(&[1, 7]).unwrap().unwrap();
                if one == 60u64.to_be_bytes().as_slice() {
                    return;
                }
            }
        })
    };
    for generation in 1..=60 {
        write(&*store, &all(generation), "").unwrap();
        store.compact().unwrap();
    }
    reader.join().unwrap();
}

#[test]
fn a_write_bounds_the_runs_that_nobody_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for generation in 1..=40 {
        write(&store, &batch(generation, 20), "").unwrap();
        assert!(store.stats().unmerged_runs <= 12);
    }
    assert_eq!(read_all(&store).unwrap(), content_after(40, 20));
}

#[test]
fn a_loaded_store_holds_what_was_loaded_and_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p1");
    let content: common::Content = (0..20_000)
        .map(|number| (key(number), value(number, 0)))
        .collect();
    let mut load = PartitionStore::bulk_load(&path, &StoreOptions::default()).unwrap();
    let pairs: Vec<_> = content
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()))
        .collect();
    for part in pairs.chunks(3000) {
        load.write_sorted(&mut part.iter().copied()).unwrap();
    }
    assert!(!path.exists(), "nothing is there before it is complete");
    load.finish(&Bytes::from_static(b"loaded")).unwrap();
    let store = open(&path);
    assert_eq!(store.meta().unwrap().unwrap(), "loaded");
    assert_eq!(read_all(&store).unwrap(), content);
    let writes = batch(3, 500);
    write(&store, &writes, "written").unwrap();
    let mut expected = content;
    apply(&mut expected, &writes);
    assert_eq!(read_all(&store).unwrap(), expected);
}

#[test]
fn a_load_replaces_the_store_that_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p1");
    write(&open(&path), &batch(1, 100), "old").unwrap();
    let mut load = PartitionStore::bulk_load(&path, &StoreOptions::default()).unwrap();
    load.write_sorted(&mut [(b"\x01k".as_slice(), b"v".as_slice())].into_iter())
        .unwrap();
    load.finish(&Bytes::from_static(b"new")).unwrap();
    let store = open(&path);
    assert_eq!(store.meta().unwrap().unwrap(), "new");
    assert_eq!(read_all(&store).unwrap().len(), 1);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_empty_load_is_a_store_with_a_meta() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p1");
    let load = PartitionStore::bulk_load(&path, &StoreOptions::default()).unwrap();
    load.finish(&Bytes::from_static(b"empty")).unwrap();
    let store = open(&path);
    assert_eq!(store.meta().unwrap().unwrap(), "empty");
    assert!(read_all(&store).unwrap().is_empty());
}

#[test]
fn an_abandoned_load_leaves_the_old_store_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p1");
    write(&open(&path), &batch(1, 100), "old").unwrap();
    let mut load = PartitionStore::bulk_load(&path, &StoreOptions::default()).unwrap();
    load.write_sorted(&mut [(b"\x01k".as_slice(), b"v".as_slice())].into_iter())
        .unwrap();
    drop(load);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(read_all(&open(&path)).unwrap(), content_after(1, 100));
}

#[test]
fn a_load_refuses_keys_out_of_place() {
    let directory = tempfile::tempdir().unwrap();
    let long = vec![1; 70_000];
    for keys in [
        [b"\x02b".as_slice(), b"\x02a"],
        [b"\x02", b"\x02"],
        [b"\x02", &[0xff, 1]],
        [b"\x01", &long],
    ] {
        let path = directory.path().join("p1");
        let mut load = PartitionStore::bulk_load(&path, &StoreOptions::default()).unwrap();
        let mut pairs = keys.into_iter().map(|key| (key, b"v".as_slice()));
        load.write_sorted(&mut pairs).unwrap_err();
    }
}

#[test]
fn a_replacement_interrupted_between_its_renames_leaves_the_old_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p1");
    write(&open(&path), &batch(1, 100), "old").unwrap();
    fs::rename(&path, directory.path().join("p1.old")).unwrap();
    fs::create_dir(directory.path().join("p1.load")).unwrap();
    assert_eq!(read_all(&open(&path)).unwrap(), content_after(1, 100));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_creation_interrupted_before_its_marker_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    fs::remove_file(directory.path().join("STORE")).unwrap();
    fs::write(directory.path().join("tree/current"), b"half").unwrap();
    assert!(read_all(&open(directory.path())).unwrap().is_empty());
}

#[test]
fn content_without_a_marker_is_not_thrown_away() {
    let directory = tempfile::tempdir().unwrap();
    write(&open(directory.path()), &batch(1, 100), "").unwrap();
    fs::remove_file(directory.path().join("STORE")).unwrap();
    let error = PartitionStore::open(directory.path(), &StoreOptions::default())
        .err()
        .unwrap();
    assert!(error.to_string().contains("marker is missing"), "{error}");
}

#[test]
fn a_store_is_opened_once_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let second = PartitionStore::open(directory.path(), &StoreOptions::default())
        .err()
        .unwrap();
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
    drop(store);
    drop(open(directory.path()));
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let path = directory.path().join("STORE");
    let mut marker = fs::read(&path).unwrap();
    marker[8] += 1;
    let content = marker.len() - 4;
    let checksum = crc32c::crc32c(&marker[..content]);
    marker[content..].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, marker).unwrap();
    let error = PartitionStore::open(directory.path(), &StoreOptions::default())
        .err()
        .unwrap();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
}

#[test]
fn stores_that_share_a_cache_do_not_see_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        cache: SharedCache::new(1 << 20, 4),
    };
    let stores: Vec<_> = (1..=8u64)
        .map(|number| {
            let path = directory.path().join(number.to_string());
            PartitionStore::open(&path, &options).unwrap()
        })
        .collect();
    for round in 0..3 {
        for (number, store) in (1..).zip(&stores) {
            write(store, &batch(number + round * 8, 100), "").unwrap();
        }
    }
    for (number, store) in (1..).zip(&stores) {
        let mut expected = common::Content::new();
        for round in 0..3 {
            apply(&mut expected, &batch(number + round * 8, 100));
        }
        assert_eq!(read_all(store).unwrap(), expected);
    }
}

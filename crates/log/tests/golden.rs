//! A segment of format version 1, as it was first written. Never changed, only joined by others.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use skep_log::testkit::MemFiles;
use skep_log::{Drive, GroupId, LogOptions, LogStore};

const NAME: &str = "segment-0000000000000001.log";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/golden/log-v1")
        .join(NAME)
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 8 << 10,
        salt: 42,
        drive: Drive::Caller,
        ..LogOptions::default()
    }
}

/// One of everything that a segment can hold.
fn write() -> Vec<u8> {
    let files = MemFiles::new();
    let opened = LogStore::open(Arc::new(files.clone()), Path::new("/log"), options());
    let (store, _) = opened.unwrap();
    let entry = |text: &'static str| Bytes::from_static(text.as_bytes());
    let (one, two) = (store.group(GroupId(1)), store.group(GroupId(2)));
    one.save_meta(entry("vote of group 1"), Box::new(|_| {}));
    one.append(
        vec![(0, entry("zero")), (1, entry("one")), (2, entry("two"))],
        Box::new(|_| {}),
    );
    two.append(vec![(0, entry("lost"))], Box::new(|_| {}));
    while store.drive() {}
    one.truncate_from(2, Box::new(|_| {}));
    one.append(
        vec![(2, entry("two again")), (3, Bytes::new())],
        Box::new(|_| {}),
    );
    one.purge_before(1);
    two.reset(Box::new(|_| {}));
    while store.drive() {}
    store.close();
    files.dump().remove(&Path::new("/log").join(NAME)).unwrap()
}

#[test]
fn version_1_is_still_written_byte_for_byte() {
    let written = write();
    if std::env::var_os("WRITE_GOLDEN").is_some() && !golden().exists() {
        std::fs::write(golden(), &written).unwrap();
    }
    assert!(
        written == std::fs::read(golden()).unwrap(),
        "the format has changed"
    );
}

#[test]
fn version_1_is_still_read() {
    let files = MemFiles::new();
    files.put(
        &Path::new("/log").join(NAME),
        &std::fs::read(golden()).unwrap(),
    );
    let opened = LogStore::open(Arc::new(files), Path::new("/log"), options());
    let (store, report) = opened.unwrap();
    assert_eq!(
        (report.batches, report.torn_tail, report.damaged),
        (3, None, vec![])
    );
    let one = store.group(GroupId(1));
    assert_eq!(one.meta().unwrap().unwrap(), "vote of group 1");
    let read = one.read(0..u64::MAX, usize::MAX).unwrap();
    let texts: Vec<_> = read
        .iter()
        .map(|(index, bytes)| (*index, &bytes[..]))
        .collect();
    assert_eq!(texts, [(1, &b"one"[..]), (2, b"two again"), (3, b"")]);
    assert_eq!(store.group(GroupId(2)).next_index().unwrap(), 0);
}

#[test]
fn a_newer_version_is_refused_with_its_number() {
    let files = MemFiles::new();
    let mut bytes = std::fs::read(golden()).unwrap();
    for copy in [0, 512] {
        bytes[copy + 8] = 2;
        let crc = crc32c::crc32c(&bytes[copy..copy + 40]).to_le_bytes();
        bytes[copy + 40..copy + 44].copy_from_slice(&crc);
    }
    files.put(&Path::new("/log").join(NAME), &bytes);
    let opened = LogStore::open(Arc::new(files), Path::new("/log"), options());
    assert!(opened.err().unwrap().to_string().contains("version 2"));
}

#[test]
fn one_damaged_copy_of_the_header_does_no_harm() {
    let files = MemFiles::new();
    let path = Path::new("/log").join(NAME);
    files.put(&path, &std::fs::read(golden()).unwrap());
    files.flip_bit(&path, 20, 1);
    let opened = LogStore::open(Arc::new(files), Path::new("/log"), options());
    assert_eq!(opened.unwrap().1.batches, 3);
}

//! Stores of earlier releases can be read.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{batch, content_after, open, read_all, write};
use skep_state::Store;
use skep_store::Compact;

fn golden(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../testdata/golden/store-v{format}"))
}

#[test]
fn a_store_of_format_1_can_be_read_and_written() {
    can_be_read_and_written(1);
}

#[test]
fn a_store_of_format_2_can_be_read_and_written() {
    can_be_read_and_written(2);
}

fn can_be_read_and_written(format: u32) {
    let directory = tempfile::tempdir().unwrap();
    let mut pending = vec![(golden(format), directory.path().to_owned())];
    while let Some((from, to)) = pending.pop() {
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                pending.push((entry.path(), target));
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let store = open(directory.path());
    assert_eq!(store.meta().unwrap().unwrap(), "meta 5");
    assert_eq!(read_all(&store).unwrap(), content_after(5, 30));
    write(&store, &batch(6, 30), "meta 6").unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.meta().unwrap().unwrap(), "meta 6");
    assert_eq!(read_all(&store).unwrap(), content_after(6, 30));
}

#[test]
#[ignore = "writes the golden store, once for each format version"]
fn write_the_golden_store() {
    let golden = golden(2);
    fs::create_dir_all(&golden).unwrap();
    let store = open(&golden);
    for generation in 1..=5 {
        write(
            &store,
            &batch(generation, 30),
            &format!("meta {generation}"),
        )
        .unwrap();
        if generation == 4 {
            while store.compact().unwrap() {}
        }
    }
}

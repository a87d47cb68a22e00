//! Flipped bits and cut files: what is read is right, or the error says that it is damaged.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Content, Numbers, batch, content_after, open, read_all, write};
use skep_state::{Read, StateError, Store};
use skep_store::{Compact, PartitionStore, StoreError, StoreOptions};

const GENERATIONS: u64 = 6;
const SIZE: u64 = 150;

/// A store with tables on two levels.
fn build(directory: &Path) -> Content {
    let store = open(directory);
    for generation in 1..=GENERATIONS {
        write(&store, &batch(generation, SIZE), "meta").unwrap();
        if generation == 4 {
            while store.compact().unwrap() {}
        }
    }
    assert!(store.stats().unmerged_runs > 0 && store.stats().tables > store.stats().unmerged_runs);
    content_after(GENERATIONS, SIZE)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

/// Does everything that reads. `Ok` if all of it was right.
fn use_store(directory: &Path, expected: &Content) -> Result<(), StateError> {
    let store = match PartitionStore::open(directory, &StoreOptions::default()) {
        Ok(store) => store,
        Err(StoreError::State(error)) => return Err(error),
        Err(error) => panic!("{error}"),
    };
    for (key, value) in expected {
        assert_eq!(store.get(key)?.as_deref(), Some(value.as_slice()));
        let mut absent = key.clone();
        absent.push(0);
        assert_eq!(store.get(&absent)?, None);
    }
    assert_eq!(store.meta()?.unwrap(), "meta");
    assert_eq!(&read_all(&store)?, expected);
    let snapshot = store.snapshot()?;
    while store.compact()? {}
    assert_eq!(&read_all(&*snapshot)?, expected);
    assert_eq!(&read_all(&store)?, expected);
    write(&store, &[], "meta")
}

/// Damages one file in a copy of the store, and uses it. Whether the damage was noticed.
fn damaged(sound: &Path, file: &Path, expected: &Content, damage: impl Fn(&mut Vec<u8>)) -> bool {
    let directory = tempfile::tempdir().unwrap();
    copy(sound, directory.path());
    let path = directory.path().join(file.strip_prefix(sound).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    damage(&mut bytes);
    fs::write(&path, bytes).unwrap();
    match use_store(directory.path(), expected) {
        Ok(()) => false,
        Err(StateError::Corrupt { place, mend, .. }) => {
            let directory = directory.path().display().to_string();
            assert!(place.contains(&directory), "{place}");
            assert!(mend.contains("restore"), "{mend}");
            true
        }
        Err(error) => panic!("damage of {} gives {error}", file.display()),
    }
}

#[test]
fn a_flipped_bit_in_any_file_gives_the_right_content_or_is_called_damage() {
    let sound = tempfile::tempdir().unwrap();
    let expected = build(sound.path());
    let mut numbers = Numbers(1);
    for file in files(sound.path()) {
        let bits = fs::metadata(&file).unwrap().len() * 8;
        let mut noticed = 0;
        // Evenly spread, and the first and last bytes, where headers and trailers are.
        let mut chosen = Vec::new();
        for part in 0..12 {
            chosen.push(part * bits / 12 + numbers.below(bits / 12));
        }
        for _ in 0..6 {
            chosen.push(numbers.below(bits.min(128)));
            chosen.push(bits - 1 - numbers.below(bits.min(400)));
        }
        for bit in chosen {
            let flip = |bytes: &mut Vec<u8>| bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
            noticed += u32::from(damaged(sound.path(), &file, &expected, flip));
        }
        assert!(noticed > 0, "no damage of {} was noticed", file.display());
    }
}

#[test]
fn a_cut_or_missing_file_is_called_damage() {
    let sound = tempfile::tempdir().unwrap();
    let expected = build(sound.path());
    for file in files(sound.path()) {
        for keep in [0, 1, 2] {
            let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() * keep / 3);
            assert!(
                damaged(sound.path(), &file, &expected, cut),
                "{}",
                file.display()
            );
        }
        let directory = tempfile::tempdir().unwrap();
        copy(sound.path(), directory.path());
        fs::remove_file(
            directory
                .path()
                .join(file.strip_prefix(sound.path()).unwrap()),
        )
        .unwrap();
        let error = use_store(directory.path(), &expected).unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn damage_names_the_file_and_is_the_answer_to_everything_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let expected = build(directory.path());
    let tables = files(&directory.path().join("tree/tables"));
    let store = open(directory.path());
    let path = tables.last().unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::write(path, bytes).unwrap();
    let error = expected
        .keys()
        .find_map(|key| store.get(key).err())
        .unwrap();
    let place = format!("{} at offset 0 is corrupt", path.display());
    assert!(error.to_string().contains(&place), "{error}");
    assert_eq!(read_all(&store).unwrap_err(), error);
    assert_eq!(store.meta().unwrap_err(), error);
    assert_eq!(store.snapshot().err().unwrap(), error);
    assert_eq!(write(&store, &[], "").unwrap_err(), error);
    assert_eq!(store.compact().unwrap_err(), error);
}

#[test]
fn damage_of_any_byte_of_a_table_names_the_block_that_it_is_in() {
    let sound = tempfile::tempdir().unwrap();
    build(sound.path());
    let table = files(&sound.path().join("tree/tables")).remove(0);
    let bytes = fs::read(&table).unwrap();
    // Where blocks begin, by what they begin with.
    let begins = |at: usize| bytes[at..].starts_with(b"LSM\x03");
    let blocks: Vec<usize> = (0..bytes.len()).filter(|at| begins(*at)).collect();
    assert!(blocks.len() > 3, "{blocks:?}");
    let contents = bytes
        .windows(4)
        .rposition(|window| window == b"TOC!")
        .unwrap();
    let mut places = std::collections::BTreeSet::new();
    for at in (0..bytes.len()).step_by(397) {
        let directory = tempfile::tempdir().unwrap();
        copy(sound.path(), directory.path());
        let path = directory
            .path()
            .join(table.strip_prefix(sound.path()).unwrap());
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        let Err(error) = read_everything(directory.path()) else {
            // Filters, and checksums that the engine does not look at.
            continue;
        };
        let StateError::Corrupt { place, .. } = error else {
            panic!("{error}");
        };
        let offset = place.strip_prefix(&format!("{} at offset ", path.display()));
        let offset: usize = offset.unwrap_or_else(|| panic!("{place}")).parse().unwrap();
        places.insert(offset);
        if at < contents {
            let block = blocks.iter().rfind(|begin| **begin <= at).unwrap();
            // The one byte that is in no block follows one.
            assert!(
                offset == *block || offset == at,
                "{at}: {offset} of {blocks:?}"
            );
        } else {
            assert!(offset >= contents, "{at}: {offset}");
        }
    }
    assert!(places.len() > 3, "{places:?}");
}

fn read_everything(directory: &Path) -> Result<Content, StateError> {
    match PartitionStore::open(directory, &StoreOptions::default()) {
        Ok(store) => read_all(&store),
        Err(StoreError::State(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_length_that_the_engine_would_believe_is_not_believed() {
    let sound = tempfile::tempdir().unwrap();
    let expected = build(sound.path());
    let tables = files(&sound.path().join("tree/tables"));
    // The number of entries of the table of contents, which the engine allocates memory for.
    let huge = |bytes: &mut Vec<u8>| {
        let at = bytes
            .windows(4)
            .rposition(|window| window == b"TOC!")
            .unwrap();
        bytes[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    };
    assert!(damaged(sound.path(), &tables[0], &expected, huge));
}

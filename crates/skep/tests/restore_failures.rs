//! Every way in which a restore can fail: its exit code, its message, the data directory as it was. docs/failures.md has the table.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Place, repository};

/// A place with a completed backup 1 and no data directory.
fn with_backup(partitions: u32) -> Place {
    let place = Place::new(partitions);
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["start", "order", "--count", "20"]);
    place.skep(&["backup", "take", "1", "--wait"]);
    broker.kill();
    place.lose_data();
    place
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut open = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

fn backup_files(place: &Place, part_of_path: &str) -> Vec<PathBuf> {
    let root = place.directory.path().join("backups");
    let mut files = files_below(&root);
    files.retain(|path| {
        path.strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .contains(part_of_path)
    });
    assert!(
        !files.is_empty(),
        "the layout of the store has changed: no {part_of_path}"
    );
    files
}

/// Restores in vain, and for good once the cause is mended.
#[track_caller]
fn fails_and_can_be_repeated(place: &Place, code: i32, says: &str, mend: impl FnOnce()) {
    let (found, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(found, code, "{text}");
    assert!(text.contains(says), "{text}");
    let left = place.data().exists()
        && fs::read_dir(place.data()).is_ok_and(|mut entries| entries.next().is_some());
    assert!(!left, "the failure left something behind");
    mend();
    place.skep(&["restore", "--backupId=1"]);
}

#[test]
fn an_unknown_id_is_10() {
    let place = with_backup(1);
    let (code, text) = place.fails(&["restore", "--backupId=2"]);
    assert_eq!(code, 10, "{text}");
    assert!(
        text.contains("Could not find a completed backup with id 2"),
        "{text}"
    );
    assert!(!place.data().exists());
}

#[test]
fn another_partition_count_is_14() {
    let mut place = with_backup(2);
    place.set("ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT", "3");
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 14, "{text}");
    assert!(
        text.contains("Expected backup to have 3 partitions, but has 2"),
        "{text}"
    );
    assert!(!place.data().exists());
}

#[test]
fn a_damaged_chunk_is_21_and_verify_names_it() {
    let place = with_backup(1);
    let chunk = backup_files(&place, "chunks").remove(0);
    let whole = fs::read(&chunk).unwrap();
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&chunk, &damaged).unwrap();
    let (code, text) = place.fails(&["backup", "verify", "1"]);
    assert_eq!(code, 8, "{text}");
    assert!(
        text.contains(chunk.file_name().unwrap().to_str().unwrap()),
        "{text}"
    );
    fails_and_can_be_repeated(&place, 21, "damaged", || fs::write(&chunk, &whole).unwrap());
}

#[test]
fn a_missing_chunk_is_21() {
    let place = with_backup(1);
    let chunk = backup_files(&place, "chunks").remove(0);
    let aside = place.directory.path().join("aside");
    fs::rename(&chunk, &aside).unwrap();
    fails_and_can_be_repeated(&place, 21, "missing", || {
        fs::rename(&aside, &chunk).unwrap()
    });
}

#[test]
fn a_partition_that_fails_stops_the_others_before_anything_is_removed() {
    let place = with_backup(8);
    let chunk = backup_files(&place, "chunks").remove(0);
    fs::remove_file(&chunk).unwrap();
    for _ in 0..10 {
        let (code, text) = place.fails(&["restore", "--backupId=1"]);
        assert_eq!(code, 21, "{text}");
        assert_eq!(fs::read_dir(place.data()).map_or(0, Iterator::count), 0);
    }
}

#[test]
fn a_damaged_manifest_is_20() {
    let place = with_backup(1);
    let manifests = backup_files(&place, "manifest");
    for manifest in manifests {
        let whole = fs::read(&manifest).unwrap();
        fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
        let (code, text) = place.fails(&["restore", "--backupId=1"]);
        assert_eq!(code, 20, "{}: {text}", manifest.display());
        fs::write(&manifest, &whole).unwrap();
    }
    place.skep(&["restore", "--backupId=1"]);
}

#[test]
fn a_directory_that_is_not_empty_is_40_and_stays_as_it_is() {
    let place = with_backup(1);
    fs::create_dir_all(place.data().join("lost+found")).unwrap();
    let precious = place.data().join("precious");
    fs::write(&precious, "42").unwrap();
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 40, "{text}");
    assert!(text.contains("precious"), "{text}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "42");
    fs::remove_file(&precious).unwrap();
    place.skep(&["restore", "--backupId=1"]);
}

#[test]
fn a_data_directory_that_is_a_file_is_41() {
    let place = with_backup(1);
    fs::write(place.data(), "").unwrap();
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 41, "{text}");
}

#[test]
fn another_backup_than_the_restored_one_is_42() {
    let place = with_backup(1);
    place.skep(&["restore", "--backupId=1"]);
    let (code, text) = place.fails(&["restore", "--backupId=2"]);
    assert_eq!(code, 42, "{text}");
    let again = place.skep(&["restore", "--backupId=1"]);
    assert!(again.contains("nothing was touched"), "{again}");
}

#[test]
fn no_store_is_2() {
    let place = Place::without_store(1);
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("No backup store configured, cannot restore from backup"),
        "{text}"
    );
}

#[test]
fn a_wrong_or_missing_id_is_2() {
    let place = Place::new(1);
    assert_eq!(place.fails(&["restore"]).0, 2);
    assert_eq!(place.fails(&["restore", "--backupId=0"]).0, 2);
}

#[test]
fn a_store_that_cannot_be_reached_is_31() {
    let mut place = Place::without_store(1);
    place.set("ZEEBE_BROKER_DATA_BACKUP_STORE", "S3");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "backups");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_ENDPOINT", "http://127.0.0.1:9");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_REGION", "here");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_APICALLTIMEOUT", "1s");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_ACCESSKEY", "the-access-key");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY", "the-secret-key");
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 31, "{text}");
    assert!(
        !text.contains("the-secret-key") && !text.contains("the-access-key"),
        "{text}"
    );
    assert!(!place.data().exists());
}

#[test]
fn a_wrong_configuration_is_2_and_names_key_and_variable() {
    let mut place = Place::new(1);
    place.set("ZEEBE_BROKER_DATA_BACKUP_STORE", "TAPE");
    for command in [
        &["broker"][..],
        &["restore", "--backupId=1"],
        &["backup", "list", "--store"],
    ] {
        let (code, text) = place.fails(command);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("zeebe.broker.data.backup.store"), "{text}");
        assert!(text.contains("ZEEBE_BROKER_DATA_BACKUP_STORE"), "{text}");
    }
}

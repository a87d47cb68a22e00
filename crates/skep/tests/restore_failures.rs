//! Every way in which a restore can fail: its exit code, its message, the data directory as it was. docs/failures.md has the table.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::fs;
use std::process::Output;

use common::restorable::{
    Aside, await_backup_file, backup_files, contents_below, with_backup, with_body,
};
use common::{Place, SKEP, text_of};

/// Restores in vain, and for good once the cause is mended.
#[track_caller]
fn fails_and_can_be_repeated(place: &Place, code: i32, says: &str, mend: impl FnOnce()) {
    let (found, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(found, code, "{text}");
    assert!(text.contains(says), "{text}");
    assert!(!place.data().exists(), "the failure left something behind");
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

#[test]
fn a_backup_that_lacks_partitions_is_11() {
    let place = with_backup(2);
    let mut files = backup_files(&place, "partition-00002");
    files.extend(backup_files(&place, "/manifest.json"));
    let aside = Aside::take(files);
    let says = "backup 1 is incomplete: it lacks partitions [2]";
    fails_and_can_be_repeated(&place, 11, says, || aside.put_back());
}

#[test]
fn a_backup_in_progress_is_12() {
    let place = with_backup(2);
    // What an uploader writes last: the manifests of both partitions and of the cluster.
    let mut files = backup_files(&place, "/manifest.json");
    files.extend(backup_files(&place, "partition-00001.json"));
    files.extend(backup_files(&place, "partition-00002.json"));
    let aside = Aside::take(files);
    let says = "backup 1 is still in progress; wait until it is completed";
    fails_and_can_be_repeated(&place, 12, says, || aside.put_back());
}

#[test]
fn a_backup_that_has_failed_is_13_and_the_reason_is_told() {
    let place = Place::new(1);
    // Nobody can store a chunk where their directory is a file.
    fs::write(place.directory.path().join("backups/chunks"), "").unwrap();
    let broker = place.start();
    let (code, text) = place.fails(&["backup", "take", "1", "--wait"]);
    assert_eq!(code, 7, "{text}");
    // That it has failed is in the partition's state, and in the store a moment later.
    await_backup_file(&place, "partition-00001.failed.json");
    broker.kill();
    place.lose_data();
    for _ in 0..2 {
        let (code, text) = place.fails(&["restore", "--backupId=1"]);
        assert_eq!(code, 13, "{text}");
        assert!(text.contains("backup 1 has failed"), "{text}");
        assert!(text.contains("Not a directory"), "{text}");
        assert!(!place.data().exists());
    }
}

#[test]
fn a_state_that_is_newer_than_this_version_reads_is_15() {
    let place = with_backup(1);
    let partition = backup_files(&place, "partition-00001.json").remove(0);
    let original = fs::read(&partition).unwrap();
    with_body(&partition, |body| {
        let (before, after) = body.split_once("\"state_version\":").unwrap();
        let (_, after) = after.split_once(',').unwrap();
        format!("{before}\"state_version\":4000000000,{after}")
    });
    // It names the partitions' manifests by checksum; without it, it follows from them.
    let cluster = Aside::take(backup_files(&place, "/manifest.json"));
    let says = "the backup has state version 4000000000, this broker reads up to";
    fails_and_can_be_repeated(&place, 15, says, || {
        fs::write(&partition, &original).unwrap();
        cluster.put_back();
    });
}

#[test]
fn a_format_that_is_newer_than_this_version_reads_is_16() {
    for name in ["/manifest.json", "partition-00001.json"] {
        let place = with_backup(1);
        let manifest = backup_files(&place, name).remove(0);
        let original = fs::read_to_string(&manifest).unwrap();
        let newer = original.replacen("\"version\":1", "\"version\":2", 1);
        assert_ne!(newer, original);
        fs::write(&manifest, newer).unwrap();
        let says = "has format version 2, this broker reads up to 1";
        fails_and_can_be_repeated(&place, 16, says, || fs::write(&manifest, original).unwrap());
    }
}

#[test]
fn a_damaged_restore_marker_is_43_and_no_broker_starts_over_it() {
    let place = with_backup(1);
    place.skep(&["restore", "--backupId=1"]);
    fs::write(place.data().join("restore-marker.json"), "{}").unwrap();
    let before = contents_below(&place.data());
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 43, "{text}");
    assert!(text.contains("restore-marker.json is damaged"), "{text}");
    let (code, text) = place.fails(&["broker"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("restore-marker.json is damaged"), "{text}");
    assert_eq!(contents_below(&place.data()), before);
    place.lose_data();
    place.skep(&["restore", "--backupId=1"]);
}

/// Restores where no file may grow beyond so many blocks, which ends writing as a full disk does, whoever runs it.
fn restore_with_small_files(place: &Place, blocks: u32) -> Output {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = place.command("sh");
    command.args(["-c", &script, SKEP, "restore", "--backupId=1"]);
    command.output().unwrap()
}

#[test]
fn a_disk_that_takes_nothing_is_44() {
    let place = with_backup(1);
    let output = restore_with_small_files(&place, 0);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(44), "{text}");
    assert!(text.contains("restore-in-progress.json"), "{text}");
    assert!(text.contains("File too large"), "{text}");
    assert!(!place.data().exists());
    place.skep(&["restore", "--backupId=1"]);
}

#[test]
fn a_data_directory_on_a_volume_that_is_not_mounted_is_44() {
    let place = with_backup(1);
    let volume = place.directory.path().join("volume");
    std::os::unix::fs::symlink(&volume, place.data()).unwrap();
    let says = "create data directory";
    fails_and_can_be_repeated(&place, 44, says, || fs::create_dir(&volume).unwrap());
}

#[test]
fn a_store_that_cannot_take_the_data_is_45() {
    let place = with_backup(2);
    let output = restore_with_small_files(&place, 1);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(45), "{text}");
    assert!(text.contains("write partition"), "{text}");
    assert!(text.contains("File too large"), "{text}");
    assert!(!place.data().exists());
    place.skep(&["restore", "--backupId=1"]);
}

//! The data directory is restored whole or left as it was.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

use skep_backup::*;

fn marker(backup: u64) -> RestoreMarker {
    RestoreMarker {
        backup_id: BackupId(backup),
        cluster_id: "test".into(),
        incarnation: Incarnation::derive(BackupId(backup), "checksum", ""),
        partition_count: 2,
        partitions: vec![PartitionId(1)],
        restored_at_ms: 5,
    }
}

fn restore(path: &Path, backup: u64) {
    let target = RestoreTarget::begin(path, BackupId(backup))
        .unwrap()
        .unwrap();
    fs::create_dir_all(target.staging().join("partitions/1")).unwrap();
    fs::write(target.staging().join("partitions/1/data"), "content").unwrap();
    target.commit(&marker(backup)).unwrap();
}

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_restore_moves_everything_into_place_and_writes_its_marker() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    restore(&path, 7);
    assert_eq!(entries(&path), ["partitions", "restore-marker.json"]);
    assert_eq!(
        inspect_data_dir(&path).unwrap(),
        DataDirState::Restored(marker(7))
    );
}

#[test]
fn a_second_run_over_a_success_changes_nothing_and_another_id_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    restore(dir.path(), 7);
    fs::write(dir.path().join("written-by-the-broker"), "").unwrap();
    assert!(
        RestoreTarget::begin(dir.path(), BackupId(7))
            .unwrap()
            .is_none()
    );
    let e = RestoreTarget::begin(dir.path(), BackupId(8)).unwrap_err();
    assert_eq!(e.exit_code(), 42, "{e}");
    assert_eq!(
        entries(dir.path()),
        ["partitions", "restore-marker.json", "written-by-the-broker"]
    );
}

#[test]
fn a_directory_with_something_in_it_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".hidden"), "precious").unwrap();
    let e = RestoreTarget::begin(dir.path(), BackupId(7)).unwrap_err();
    assert_eq!(e.exit_code(), 40);
    assert!(e.to_string().contains(".hidden"), "{e}");
    assert_eq!(fs::read(dir.path().join(".hidden")).unwrap(), b"precious");
    let file = dir.path().join(".hidden");
    assert_eq!(
        RestoreTarget::begin(&file, BackupId(7))
            .unwrap_err()
            .exit_code(),
        41
    );
}

#[test]
fn an_aborted_restore_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    RestoreTarget::begin(&absent, BackupId(7))
        .unwrap()
        .unwrap()
        .abort()
        .unwrap();
    assert!(!absent.exists());
    let mounted = dir.path().join("mounted");
    fs::create_dir_all(mounted.join("lost+found")).unwrap();
    let target = RestoreTarget::begin(&mounted, BackupId(7))
        .unwrap()
        .unwrap();
    fs::write(target.staging().join("half"), "x").unwrap();
    target.abort().unwrap();
    assert_eq!(entries(&mounted), ["lost+found"]);
}

#[test]
fn an_interrupted_restore_is_recognised_and_started_over() {
    let dir = tempfile::tempdir().unwrap();
    let target = RestoreTarget::begin(dir.path(), BackupId(7))
        .unwrap()
        .unwrap();
    fs::write(target.staging().join("half"), "x").unwrap();
    // Killed in the middle of moving into place: one entry is there already.
    fs::write(dir.path().join("moved"), "x").unwrap();
    drop(target);
    assert_eq!(
        inspect_data_dir(dir.path()).unwrap(),
        DataDirState::Interrupted
    );
    restore(dir.path(), 8);
    assert_eq!(entries(dir.path()), ["partitions", "restore-marker.json"]);
}

#[test]
fn a_restore_that_was_killed_while_it_wrote_its_first_file_is_started_over() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    fs::write(dir.path().join("restore-in-progress.json.tmp"), "{").unwrap();
    assert_eq!(
        inspect_data_dir(dir.path()).unwrap(),
        DataDirState::Interrupted
    );
    // Beside anything else it is no proof that all of this is a restore's.
    let precious = dir.path().join("precious");
    fs::write(&precious, "").unwrap();
    let e = RestoreTarget::begin(dir.path(), BackupId(7)).unwrap_err();
    assert_eq!(e.exit_code(), 40);
    fs::remove_file(precious).unwrap();
    restore(dir.path(), 7);
    assert_eq!(
        entries(dir.path()),
        ["lost+found", "partitions", "restore-marker.json"]
    );
}

#[test]
fn a_restore_that_cannot_be_moved_into_place_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    for existed in [false, true] {
        if existed {
            fs::create_dir(&path).unwrap();
        }
        let target = RestoreTarget::begin(&path, BackupId(7)).unwrap().unwrap();
        fs::write(target.staging().join("content"), "x").unwrap();
        // No file can take the marker's name.
        fs::create_dir(path.join("restore-marker.json.tmp")).unwrap();
        let e = target.commit(&marker(7)).unwrap_err();
        assert_eq!(e.exit_code(), 44, "{e}");
        assert_eq!(path.exists(), existed);
        assert!(!existed || entries(&path).is_empty());
    }
}

#[test]
fn a_kill_between_marker_and_clean_up_counts_as_success() {
    let dir = tempfile::tempdir().unwrap();
    restore(dir.path(), 7);
    fs::write(dir.path().join("restore-in-progress.json"), "").unwrap();
    assert_eq!(
        inspect_data_dir(dir.path()).unwrap(),
        DataDirState::Restored(marker(7))
    );
    assert!(
        RestoreTarget::begin(dir.path(), BackupId(7))
            .unwrap()
            .is_none()
    );
    assert_eq!(entries(dir.path()), ["partitions", "restore-marker.json"]);
}

#[test]
fn a_damaged_marker_is_told_and_nothing_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    restore(dir.path(), 7);
    fs::write(dir.path().join("restore-marker.json"), "{}").unwrap();
    assert_eq!(
        RestoreTarget::begin(dir.path(), BackupId(7))
            .unwrap_err()
            .exit_code(),
        43
    );
    assert_eq!(entries(dir.path()), ["partitions", "restore-marker.json"]);
}

#[test]
fn all_nodes_agree_on_the_incarnation_and_it_differs_by_backup_set_and_nonce() {
    let derive = |id, checksum, nonce| Incarnation::derive(BackupId(id), checksum, nonce);
    assert_eq!(derive(7, "c", "n"), derive(7, "c", "n"));
    let others = [
        derive(8, "c", "n"),
        derive(7, "d", "n"),
        derive(7, "c", "m"),
        derive(7, "cn", ""),
    ];
    assert!(others.iter().all(|other| *other != derive(7, "c", "n")));
}

//! The data directory is restored whole or left as it was.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use skep_backup::*;

fn marker(backup: u64) -> RestoreMarker {
    RestoreMarker {
        backup_id: BackupId(backup),
        cluster_id: "test".into(),
        incarnation: Incarnation::derive(BackupId(backup), "checksum", ""),
        nonce: String::new(),
        partition_count: 2,
        partitions: vec![PartitionId(1)],
        restored_at_ms: 5,
    }
}

fn restore(path: &Path, backup: u64) {
    let target = RestoreTarget::begin(path, BackupId(backup), "")
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
        RestoreTarget::begin(dir.path(), BackupId(7), "")
            .unwrap()
            .is_none()
    );
    let e = RestoreTarget::begin(dir.path(), BackupId(8), "").unwrap_err();
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
    let e = RestoreTarget::begin(dir.path(), BackupId(7), "").unwrap_err();
    assert_eq!(e.exit_code(), 40);
    assert!(e.to_string().contains(".hidden"), "{e}");
    assert_eq!(fs::read(dir.path().join(".hidden")).unwrap(), b"precious");
    let file = dir.path().join(".hidden");
    assert_eq!(
        RestoreTarget::begin(&file, BackupId(7), "")
            .unwrap_err()
            .exit_code(),
        41
    );
}

#[test]
fn an_aborted_restore_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    RestoreTarget::begin(&absent, BackupId(7), "")
        .unwrap()
        .unwrap()
        .abort()
        .unwrap();
    assert!(!absent.exists());
    let mounted = dir.path().join("mounted");
    fs::create_dir_all(mounted.join("lost+found")).unwrap();
    let target = RestoreTarget::begin(&mounted, BackupId(7), "")
        .unwrap()
        .unwrap();
    fs::write(target.staging().join("half"), "x").unwrap();
    target.abort().unwrap();
    assert_eq!(entries(&mounted), ["lost+found"]);
}

#[test]
fn an_interrupted_restore_is_recognised_and_started_over() {
    let dir = tempfile::tempdir().unwrap();
    let target = RestoreTarget::begin(dir.path(), BackupId(7), "")
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
    fs::write(dir.path().join("restore-in-progress.json"), "{").unwrap();
    assert_eq!(
        inspect_data_dir(dir.path()).unwrap(),
        DataDirState::Interrupted
    );
    restore(dir.path(), 7);
    assert_eq!(
        entries(dir.path()),
        ["lost+found", "partitions", "restore-marker.json"]
    );
}

#[test]
fn of_two_restores_into_one_directory_the_second_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for existed in [false, true] {
        let path = dir.path().join(existed.to_string());
        if existed {
            fs::create_dir(&path).unwrap();
        }
        let first = RestoreTarget::begin(&path, BackupId(7), "")
            .unwrap()
            .unwrap();
        fs::write(first.staging().join("content"), "x").unwrap();
        for second in [7, 8] {
            let e = RestoreTarget::begin(&path, BackupId(second), "").unwrap_err();
            assert_eq!(e.exit_code(), 46, "{e}");
        }
        first.commit(&marker(7)).unwrap();
        assert_eq!(entries(&path), ["content", "restore-marker.json"]);
        let again = RestoreTarget::begin(&path, BackupId(7), "").unwrap();
        assert!(again.is_none());
    }
}

/// Of many that begin at once one goes on, and when it has given up the next one does.
#[test]
fn restores_that_begin_at_the_same_time_are_never_at_work_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let at_work = AtomicU32::new(0);
    let begun = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let target = match RestoreTarget::begin(&path, BackupId(7), "") {
                        Ok(target) => target.unwrap(),
                        // Refused, or the other one was just removing what it had written.
                        Err(e) => {
                            assert!([40, 44, 46].contains(&e.exit_code()), "{e}");
                            continue;
                        }
                    };
                    assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                    fs::write(target.staging().join("content"), "x").unwrap();
                    begun.fetch_add(1, Ordering::SeqCst);
                    at_work.fetch_sub(1, Ordering::SeqCst);
                    target.abort().unwrap();
                }
            });
        }
    });
    assert!(begun.into_inner() > 0);
    restore(&path, 7);
}

#[test]
fn a_restore_that_cannot_be_moved_into_place_leaves_the_directory_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    for existed in [false, true] {
        if existed {
            fs::create_dir(&path).unwrap();
        }
        let target = RestoreTarget::begin(&path, BackupId(7), "")
            .unwrap()
            .unwrap();
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
        RestoreTarget::begin(dir.path(), BackupId(7), "")
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
        RestoreTarget::begin(dir.path(), BackupId(7), "")
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

/// Nodes of the first of two restores of one backup must not join those of the second.
#[test]
fn a_second_restore_of_a_backup_is_another_one_if_it_has_another_nonce() {
    let dir = tempfile::tempdir().unwrap();
    let begin = |nonce| RestoreTarget::begin(dir.path(), BackupId(7), nonce);
    let restored = RestoreMarker {
        incarnation: Incarnation::derive(BackupId(7), "checksum", "again"),
        nonce: "again".to_owned(),
        ..marker(7)
    };
    begin("again").unwrap().unwrap().commit(&restored).unwrap();
    assert!(begin("again").unwrap().is_none());
    for other in ["", "once more"] {
        let refused = begin(other).unwrap_err();
        assert_eq!(refused.exit_code(), 42, "{refused}");
    }
    assert_ne!(restored.incarnation, marker(7).incarnation);
}

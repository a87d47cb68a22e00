//! A restore that is stopped in its middle, in order or by `kill -9`: nothing starts over it, and the next run succeeds.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::restorable::{Aside, backup_files, contents_below, restore_and_go_on, with_backup};
use common::{Place, Running, SKEP};

/// A restore of two partitions that stands still in its middle: one of the chunks is a pipe, and whoever opens it waits for ever.
struct Halfway {
    restoring: Running,
    pipe: PathBuf,
    chunk: Aside,
}

fn halfway(place: &Place) -> Halfway {
    let pipe = backup_files(place, "chunks/").remove(0);
    let chunk = Aside::take([pipe.clone()]);
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let mut command = place.command(SKEP);
    command.args(["restore", "--backupId=1"]);
    let mut restoring = Running::spawn_until(&mut command, "Starting to restore");
    for _ in 0..2 {
        restoring.await_line("restoring a partition");
    }
    Halfway {
        restoring,
        pipe,
        chunk,
    }
}

#[test]
fn a_restore_that_is_cancelled_is_50_and_leaves_the_directory_as_it_was() {
    for signal in ["TERM", "INT"] {
        let place = with_backup(2);
        let halfway = halfway(&place);
        // Though the store never answers.
        assert_eq!(halfway.restoring.signal(signal), Some(50));
        assert!(!place.data().exists());
        halfway.chunk.put_back();
        restore_and_go_on(&place);
    }
}

#[test]
fn no_broker_starts_over_a_restore_that_was_killed_and_the_next_run_succeeds() {
    let place = with_backup(2);
    let found = place.data().join("lost+found");
    fs::create_dir_all(&found).unwrap();
    fs::write(found.join("#1"), "what fsck has found").unwrap();
    let halfway = halfway(&place);
    halfway.restoring.kill();
    let left = contents_below(&place.data());
    assert!(
        left.contains_key(&place.data().join("restore-in-progress.json")),
        "{:?}",
        left.keys()
    );
    let (code, text) = place.fails(&["broker"]);
    assert_eq!(code, 3, "{text}");
    let says = "holds a restore that was interrupted. Run the restore again; it begins anew";
    assert!(text.contains(says), "{text}");
    assert_eq!(contents_below(&place.data()), left, "the broker touched it");

    // In vain once more: what was interrupted is removed, and what was there before remains.
    fs::remove_file(&halfway.pipe).unwrap();
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 21, "{text}");
    let left = contents_below(&place.data());
    assert!(left.keys().eq([&found.join("#1")]), "{:?}", left.keys());

    halfway.chunk.put_back();
    restore_and_go_on(&place);
    assert_eq!(
        fs::read_to_string(found.join("#1")).unwrap(),
        "what fsck has found"
    );
}

#[test]
fn a_second_restore_into_one_directory_is_46_and_leaves_the_first_alone() {
    let place = with_backup(2);
    let halfway = halfway(&place);
    // The first one still waits for the pipe; the second would find everything.
    halfway.chunk.put_back();
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 46, "{text}");
    assert!(text.contains("another restore is at work"), "{text}");
    let noted = place.data().join("restore-in-progress.json");
    assert!(noted.exists() && place.data().join("restoring-1").exists());
    assert_eq!(halfway.restoring.signal("TERM"), Some(50));
    assert!(!place.data().exists());
    restore_and_go_on(&place);
}

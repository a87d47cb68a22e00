//! What an earlier build has written: its data directory goes on, its backup can be restored.
//!
//! `testdata/previous` has an archive for each of them, named by its commit, made with this build's `skep`: two partitions, the order process of the
//! examples, 20 instances of which 5 were paid, backup 1, 10 more instances, `kill -9`.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Place, Running, repository};

fn archives() -> Vec<PathBuf> {
    let directory = repository().join("testdata/previous");
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A place with what the earlier build has left.
fn place_of(archive: &Path) -> Place {
    let place = Place::new(2);
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(place.directory.path())
        .status();
    assert!(unpacked.unwrap().success());
    place
}

/// Works on everything, and takes another backup.
fn goes_on(place: &Place, broker: Running, paid: u32, unpaid: u32) {
    let work = |job_type: &str| place.skep(&["work", job_type, "--idle", "1s"]);
    let shipped = work("shipping");
    assert!(
        shipped.contains(&format!("Completed {paid} jobs")),
        "{shipped}"
    );
    let payments = work("payment");
    assert!(
        payments.contains(&format!("Completed {unpaid} jobs")),
        "{payments}"
    );
    let shipped = work("shipping");
    assert!(
        shipped.contains(&format!("Completed {unpaid} jobs")),
        "{shipped}"
    );
    place.skep(&["start", "order"]);
    place.skep(&["backup", "take", "2", "--wait"]);
    place.skep(&["backup", "verify", "2"]);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn the_data_directory_of_an_earlier_build_goes_on() {
    for archive in archives() {
        let place = place_of(&archive);
        let broker = place.start();
        goes_on(&place, broker, 5, 25);
    }
}

#[test]
fn the_backup_of_an_earlier_build_can_be_restored() {
    for archive in archives() {
        let place = place_of(&archive);
        place.lose_data();
        place.skep(&["backup", "verify", "1"]);
        place.skep(&["restore", "--backupId=1"]);
        let broker = place.start();
        goes_on(&place, broker, 5, 15);
    }
}

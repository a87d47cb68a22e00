//! `kill -9` of a broker under load, again and again, with backups in flight: nothing acknowledged is lost, nothing is there
//! twice, no backup stays in progress.
//!
//! `SKEP_CRASH_KILLS=200 cargo test --release -p skep --test crash` kills 200 times.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::process::{Child, Stdio};

use common::orders::{Load, each_once};
use common::{Place, SKEP, repository};

const KILLS: usize = 12;
const CLIENTS: usize = 8;

/// Asks for a backup and does not wait for the answer.
fn take_backup(place: &Place, id: usize) -> Child {
    let mut command = place.command(SKEP);
    command
        .args(["backup", "take", &id.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

fn kills() -> usize {
    std::env::var("SKEP_CRASH_KILLS").map_or(KILLS, |kills| kills.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_killing_the_broker_under_load() {
    let place = Place::new(3);
    let mut broker = place.start();
    place.skep(&[
        "deploy",
        repository().join("examples/order.bpmn").to_str().unwrap(),
    ]);
    let load = Load::begin(&[&place], CLIENTS);
    for kill in 1..=kills() {
        // Each life of the broker takes in some commands before it is killed, another number each time.
        load.await_more(50 + kill * 37 % 200);
        let taking = (kill % 3 == 0).then(|| take_backup(&place, kill));
        broker.kill();
        if let Some(mut taking) = taking {
            // It may or may not have been taken.
            taking.wait().unwrap();
        }
        broker = place.start();
    }
    let created = load.end();
    let found = each_once(&created, &place);
    println!(
        "{} kills, {} instances acknowledged, {} found",
        kills(),
        created.keys.len(),
        found
    );

    place.skep(&["backup", "take", "1000000"]);
    place.skep(&["backup", "wait", "1000000"]);
    let list = place.skep(&["backup", "list"]);
    assert!(
        !list.contains("IN_PROGRESS"),
        "a backup stays in progress:\n{list}"
    );
    broker.stop();
}

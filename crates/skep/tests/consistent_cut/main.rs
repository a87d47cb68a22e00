//! The consistent cut under load: backups of three partitions are taken while instances are created, jobs completed, timers
//! triggered and messages correlated from one partition to another without a pause. Each backup is restored into a new broker
//! and driven to its end. For each holds:
//!
//! - no instance whose creation was acknowledged before the backup was asked for is missing, nor is any step or message;
//! - nothing that was not sent before the backup was answered is there, nothing is there twice, nothing is done twice;
//! - every instance completes, on messages that were in the backup and on those that come after the restore;
//! - in the end nothing is left of any instance on any partition: no subscription without its counterpart, no job, timer or
//!   variable, no command between partitions.
//!
//! `SKEP_CUT_BACKUPS=200 cargo test --release -p skep --test consistent_cut -- --nocapture` takes 200 backups.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/history/mod.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod history;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::Place;
use history::client::{Answers, Client};
use history::ledger::{Cut, Ledger, Order};
use history::load::{Load, Size};
use history::restored::{self, Figures, Restore};
use history::{PARTITIONS, process};
use tokio::runtime::{Handle, Runtime};

const BACKUPS: u64 = 50;
/// Deliveries between one backup and the next, so that their cuts differ in more than a few orders.
const DELIVERIES_BETWEEN: usize = 40;
/// Every so many backups one is not waited for, so that two are under way at once.
const OVERLAPPING_EVERY: u64 = 3;
const SIZE: Size = Size {
    window: 256,
    pause: Duration::ZERO,
};

fn backups() -> u64 {
    std::env::var("SKEP_CUT_BACKUPS").map_or(BACKUPS, |backups| backups.parse().unwrap())
}

#[test]
fn every_backup_taken_under_load_is_a_consistent_cut_that_runs_to_its_end() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let began = Instant::now();
    let place = Place::new(PARTITIONS);
    let ledger = Arc::new(Ledger::new(Answers::All));
    let cuts = take_backups_under_load(&runtime, &place, &ledger);
    let orders = ledger.orders().clone();
    assert!(
        ledger.crossings() > 0,
        "no message crossed from one partition to another"
    );
    let loaded = began.elapsed();
    let backups = place.directory.path().join("backups");
    let restores: Vec<Restore> = cuts
        .iter()
        .map(|cut| Restore {
            cut: *cut,
            brokers: 1,
        })
        .collect();
    let figures = restored::check_all(&runtime, &backups, &restores, &orders);
    report(&orders, &ledger, &figures);
    println!(
        "load {loaded:.1?}, load and restores {:.1?}",
        began.elapsed()
    );
}

fn take_backups_under_load(runtime: &Runtime, place: &Place, ledger: &Arc<Ledger>) -> Vec<Cut> {
    let broker = place.start();
    place.skep(&["deploy", process().to_str().unwrap()]);
    let entered = runtime.enter();
    let client = Client::new(place);
    let load = Load::start(&Handle::current(), client, Arc::clone(ledger), SIZE);
    drop(entered);
    let mut cuts = Vec::new();
    for backup in 1..=backups() {
        load.await_deliveries(DELIVERIES_BETWEEN);
        let asked = ledger.now();
        place.skep(&["backup", "take", &backup.to_string()]);
        let answered = ledger.now();
        cuts.push(Cut {
            backup,
            asked,
            answered,
        });
        if !backup.is_multiple_of(OVERLAPPING_EVERY) {
            place.skep(&["backup", "wait", &backup.to_string()]);
        }
    }
    runtime.block_on(load.finish());
    for cut in &cuts {
        place.skep(&["backup", "wait", &cut.backup.to_string()]);
    }
    assert_eq!(broker.stop(), Some(0));
    cuts
}

/// What the test has seen; a cut through an idle broker would show nothing.
fn report(orders: &[Order], ledger: &Ledger, figures: &[Figures]) {
    let sum = |of: fn(&Figures) -> u64| figures.iter().map(of).sum::<u64>();
    println!(
        "{} orders, {} messages from one partition to another, {} backups; in the backups: {} instances, {} timers, \
         {} + {} subscriptions, {} commands between partitions, {} messages of orders not yet delivered; {} jobs done on \
         restored brokers",
        orders.len(),
        ledger.crossings(),
        figures.len(),
        sum(|found| found.instances as u64),
        sum(|found| found.timers),
        sum(|found| found.subscriptions.0),
        sum(|found| found.subscriptions.1),
        sum(|found| found.on_their_way),
        sum(|found| found.messages_in_cut as u64),
        sum(|found| found.jobs as u64),
    );
    for of in [
        (|found| found.timers) as fn(&Figures) -> u64,
        |found| found.subscriptions.0,
        |found| found.messages_in_cut as u64,
    ] {
        assert!(sum(of) > 0, "the backups hold nothing that waits");
    }
}

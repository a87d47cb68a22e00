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

mod client;
#[path = "../common/mod.rs"]
mod common;
mod ledger;
mod load;
mod remains;
mod restored;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use client::Client;
use common::Place;
use ledger::{Cut, Ledger, Order};
use load::Load;
use restored::Figures;
use tokio::runtime::{Handle, Runtime};

const PARTITIONS: u32 = 3;
const BACKUPS: u64 = 50;
/// How many backups are restored at the same time.
const RESTORES: usize = 2;
/// Deliveries between one backup and the next, so that their cuts differ in more than a few orders.
const DELIVERIES_BETWEEN: usize = 40;
/// Every so many backups one is not waited for, so that two are under way at once.
const OVERLAPPING_EVERY: u64 = 3;

/// Only a broker from which something is missing needs as long.
const PATIENCE: Duration = Duration::from_secs(120);

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
    let ledger = Arc::new(Ledger::default());
    let cuts = take_backups_under_load(&runtime, &place, &ledger);
    let orders = ledger.orders().clone();
    assert!(
        ledger.crossings() > 0,
        "no message crossed from one partition to another"
    );
    let loaded = began.elapsed();
    let figures = restore_all(
        &runtime,
        &place.directory.path().join("backups"),
        &cuts,
        &orders,
    );
    report(&orders, &ledger, &figures);
    println!(
        "load {loaded:.1?}, load and restores {:.1?}",
        began.elapsed()
    );
}

fn take_backups_under_load(runtime: &Runtime, place: &Place, ledger: &Arc<Ledger>) -> Vec<Cut> {
    let broker = place.start();
    let process = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consistent_cut/process.bpmn");
    place.skep(&["deploy", process.to_str().unwrap()]);
    let entered = runtime.enter();
    let load = Load::start(&Handle::current(), Client::new(place), Arc::clone(ledger));
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

fn restore_all(runtime: &Runtime, backups: &Path, cuts: &[Cut], orders: &[Order]) -> Vec<Figures> {
    let next = AtomicUsize::new(0);
    let figures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..RESTORES {
            scope.spawn(|| {
                while let Some(cut) = cuts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = runtime.block_on(restored::check(backups, *cut, orders));
                    figures.lock().unwrap().push(found);
                }
            });
        }
    });
    figures.into_inner().unwrap()
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

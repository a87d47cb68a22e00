//! Backups of a large state under load: first, unchanged, after 1 % has changed; then its loss and its restore.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::BackupArguments;
use crate::broker::Place;
use crate::clients::Clients;
use crate::content::{TASK, WAITING};
use crate::failure::Failure;
use crate::fill::{AT_ONCE, fill, joined, settle};
use crate::open_loop::OpenLoop;
use crate::report::Report;

/// Variables of each instance that waits.
const DOCUMENT_BYTES: usize = 2_000;
/// How long latencies are taken without a backup, in each round.
const WITHOUT: Duration = Duration::from_secs(8);
/// Between what is measured and what is not.
const PAUSE: Duration = Duration::from_secs(4);
/// Phases of the open loop. What belongs to none of the others is not compared.
const OTHER: usize = 0;
const WITHOUT_BACKUP: usize = 1;
const FULL: usize = 2;
const CHANGES: usize = 3;
const PHASES: [(usize, &str); 3] = [
    (WITHOUT_BACKUP, "without a backup"),
    (FULL, "while everything is backed up"),
    (CHANGES, "while 1 % that has changed is backed up"),
];

/// Measures.
pub async fn measure(arguments: &BackupArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    let place = Place::new(&arguments.broker)?;
    let (broker, _) = place.start()?;
    let clients = Clients::connect(&place.gateway()).await?;
    for process in [TASK, WAITING] {
        clients.deploy(process, arguments.broker.partitions).await?;
    }
    let count = (arguments.gigabytes * 1e9 / DOCUMENT_BYTES as f64) as u64;
    let instances = fill(&clients, count, DOCUMENT_BYTES, &mut report).await?;
    report.add("data directory", place.data_bytes()? as f64 / 1e6, "MB");
    settle(&broker, &mut report).await?;

    let running = OpenLoop::begin(&clients, arguments.rate, PHASES.len() + 1);
    tokio::time::sleep(PAUSE).await;
    let mut backups = Backups {
        place: &place,
        running: &running,
        next: 1,
        kept: 1,
    };
    sizes(&mut backups, &clients, &instances, &mut report).await?;
    for round in 1..=arguments.rounds {
        eprintln!("  latencies, round {round} of {}", arguments.rounds);
        compare(&mut backups, &clients, &instances).await?;
    }
    let last = backups.next - 1;
    let outcome = running.end().await?;
    report.add("load", f64::from(arguments.rate), "instances/s");
    for (phase, name) in PHASES {
        report.add_latencies(name, &outcome.latencies[phase]);
    }
    let p99 = |phase: usize| outcome.latencies[phase].value_at_quantile(0.99) as f64;
    for (phase, name) in &PHASES[1..] {
        let ratio = p99(*phase) / p99(WITHOUT_BACKUP);
        report.add(format!("p99 {name}, to that without"), ratio, "x");
    }
    report.add("refused", outcome.refused as f64, "instances");
    let (_, most) = broker.memory()?;
    report.add("memory, most", most, "MB");
    broker.kill()?;

    let (broker, time) = place.start()?;
    report.add_time("start after the kill, until ready", time);
    broker.kill()?;
    place.lose_data()?;
    let restore = place.run_at_all(&["restore", &format!("--backupId={last}")])?;
    report.add_time("restore", restore);
    let (broker, ready) = place.start()?;
    report.add_time("restore, until ready", restore + ready);
    let clients = Clients::connect(&place.gateway()).await?;
    // The instance that has waited longest and the one that came last are there.
    for instance in [instances.first(), instances.last()].into_iter().flatten() {
        clients
            .set_variables(*instance, "{\"restored\":true}".to_owned())
            .await?;
    }
    broker.kill()?;
    Ok(report)
}

/// Times of backups and what they store, by what has changed.
async fn sizes(
    backups: &mut Backups<'_>,
    clients: &Clients,
    instances: &[i64],
    report: &mut Report,
) -> Result<(), Failure> {
    backups.report("first", FULL, report)?;
    backups.report("second, only the load has run since", OTHER, report)?;
    let one_percent = instances.len() / 100;
    change(clients, &instances[instances.len() - one_percent..]).await?;
    backups.report("after the newest 1 % has changed", OTHER, report)?;
    let spread: Vec<i64> = instances.iter().copied().step_by(100).collect();
    change(clients, &spread).await?;
    backups.report("after every 100th has changed", OTHER, report)
}

/// Takes latencies without a backup, while everything is backed up, and while what has changed is.
async fn compare(
    backups: &mut Backups<'_>,
    clients: &Clients,
    instances: &[i64],
) -> Result<(), Failure> {
    backups.running.enter(WITHOUT_BACKUP);
    tokio::time::sleep(WITHOUT).await;
    backups.running.enter(OTHER);
    // With no other backup in the store, all chunks are sent.
    backups.delete_all()?;
    tokio::time::sleep(PAUSE).await;
    backups.take(FULL)?;
    let one_percent = instances.len() / 100;
    change(clients, &instances[instances.len() - one_percent..]).await?;
    tokio::time::sleep(PAUSE).await;
    backups.take(CHANGES)?;
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

/// Changes a variable of each instance.
async fn change(clients: &Clients, instances: &[i64]) -> Result<(), Failure> {
    let mut calls = JoinSet::new();
    for instance in instances.iter().copied() {
        if calls.len() == AT_ONCE {
            joined(calls.join_next().await)?;
        }
        let clients = clients.clone();
        calls.spawn(async move {
            clients
                .set_variables(instance, format!("{{\"number\":{}}}", -instance))
                .await
        });
    }
    while let Some(call) = calls.join_next().await {
        joined(Some(call))?;
    }
    Ok(())
}

struct Backups<'a> {
    place: &'a Place,
    running: &'a OpenLoop,
    next: u64,
    /// The oldest that is not deleted.
    kept: u64,
}

impl Backups<'_> {
    /// Takes the next backup and reports on it.
    fn report(&mut self, name: &str, phase: usize, report: &mut Report) -> Result<(), Failure> {
        let before = self.place.backup_bytes()?;
        let time = self.take(phase)?;
        report.add_time(format!("backup, {name}"), time);
        let bytes = self.place.backup_bytes()?.saturating_sub(before);
        report.add(format!("backup, {name}, stored"), bytes as f64 / 1e6, "MB");
        Ok(())
    }

    /// Takes the next backup and waits for it.
    fn take(&mut self, phase: usize) -> Result<Duration, Failure> {
        let id = self.next.to_string();
        self.next += 1;
        self.running.enter(phase);
        let time = self.run(&["backup", "take", &id, "--wait"]);
        self.running.enter(OTHER);
        time
    }

    /// Deletes all backups.
    fn delete_all(&mut self) -> Result<(), Failure> {
        for id in self.kept..self.next {
            self.run(&["backup", "delete", &id.to_string()])?;
        }
        self.kept = self.next;
        Ok(())
    }

    /// Runs a command while the clients go on on the runtime's other thread.
    fn run(&self, arguments: &[&str]) -> Result<Duration, Failure> {
        tokio::task::block_in_place(|| self.place.run(arguments))
    }
}

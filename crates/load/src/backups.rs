//! Backups of a large state under load: first, unchanged, after 1 % has changed; then its loss and its restore.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::BackupArguments;
use crate::broker::Place;
use crate::clients::Clients;
use crate::content::{TASK, WAITING, document};
use crate::failure::Failure;
use crate::open_loop::OpenLoop;
use crate::report::Report;

/// Variables of each instance that waits.
const DOCUMENT_BYTES: usize = 2_000;
/// Instances that are started or changed at once.
const AT_ONCE: usize = 64;
/// How long latencies are taken without a backup, before and after.
const WITHOUT: Duration = Duration::from_secs(15);
/// Phases of the open loop.
const QUIET: usize = 0;
const DURING: usize = 1;

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
    let instances = fill(&clients, count, &mut report).await?;
    report.add("data directory", place.data_bytes()? as f64 / 1e6, "MB");

    let running = OpenLoop::begin(&clients, arguments.rate, 2);
    tokio::time::sleep(WITHOUT).await;
    let mut backups = Backups {
        place: &place,
        running: &running,
        next: 1,
    };
    backups.take("first", &mut report).await?;
    backups
        .take("second, only the load has run since", &mut report)
        .await?;
    let one_percent = instances.len() / 100;
    change(&clients, &instances[instances.len() - one_percent..]).await?;
    backups
        .take("after the newest 1 % has changed", &mut report)
        .await?;
    let spread: Vec<i64> = instances.iter().copied().step_by(100).collect();
    change(&clients, &spread).await?;
    let last = backups
        .take("after every 100th has changed", &mut report)
        .await?;
    tokio::time::sleep(WITHOUT).await;
    let outcome = running.end().await?;
    report.add("load", f64::from(arguments.rate), "instances/s");
    report.add_latencies("without a backup", &outcome.latencies[QUIET]);
    report.add_latencies("during backups", &outcome.latencies[DURING]);
    report.add("refused", outcome.refused as f64, "instances");
    let (_, most) = broker.memory()?;
    report.add("memory, most", most, "MB");
    broker.kill()?;

    let (broker, time) = place.start()?;
    report.add_time("start after the kill, until ready", time);
    broker.kill()?;
    place.lose_data()?;
    let restore = place.run(&["restore", &format!("--backupId={last}")])?;
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

/// Starts the instances that wait, and gives their keys in the order in which they were started.
async fn fill(clients: &Clients, count: u64, report: &mut Report) -> Result<Vec<i64>, Failure> {
    let begun = Instant::now();
    let mut shown = begun;
    let mut calls = JoinSet::new();
    let mut keys = Vec::with_capacity(count as usize);
    for number in 0..count {
        if calls.len() == AT_ONCE {
            keys.extend(joined(calls.join_next().await)?);
        }
        let clients = clients.clone();
        calls.spawn(async move { start(clients, number).await });
        if shown.elapsed() > Duration::from_secs(5) {
            eprintln!("  {number} of {count} instances wait");
            shown = Instant::now();
        }
    }
    while let Some(call) = calls.join_next().await {
        keys.extend(joined(Some(call))?);
    }
    keys.sort_unstable();
    report.add("instances that wait", count as f64, "instances");
    report.add(
        "started",
        count as f64 / begun.elapsed().as_secs_f64(),
        "instances/s",
    );
    Ok(keys)
}

async fn start(clients: Clients, number: u64) -> Result<i64, Failure> {
    loop {
        let variables = document(number, DOCUMENT_BYTES);
        match clients.start(number, WAITING, variables).await {
            Err(status) if status.code() == tonic::Code::ResourceExhausted => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer.map_err(Failure::call("CreateProcessInstance")),
        }
    }
}

fn joined<T>(
    call: Option<Result<Result<T, Failure>, tokio::task::JoinError>>,
) -> Result<Option<T>, Failure> {
    match call {
        None => Ok(None),
        Some(Ok(answer)) => answer.map(Some),
        Some(Err(_)) => Err(Failure::Program("a client panicked".to_owned())),
    }
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
}

impl Backups<'_> {
    /// Takes the next backup, waits for it, and gives its id.
    async fn take(&mut self, name: &str, report: &mut Report) -> Result<u64, Failure> {
        let id = self.next;
        self.next += 1;
        let before = self.place.backup_bytes()?;
        self.running.enter(DURING);
        let text = id.to_string();
        // The clients go on on the runtime's other thread.
        let time =
            tokio::task::block_in_place(|| self.place.run(&["backup", "take", &text, "--wait"]))?;
        self.running.enter(QUIET);
        report.add_time(format!("backup, {name}"), time);
        let bytes = self.place.backup_bytes()? - before;
        report.add(format!("backup, {name}, stored"), bytes as f64 / 1e6, "MB");
        Ok(id)
    }
}

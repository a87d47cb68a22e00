//! Completed instances per second at saturation, then latencies at half of that rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};

use crate::ThroughputArguments;
use crate::broker::{Broker, Place};
use crate::clients::{Clients, Workers};
use crate::content::{TASK, WAITING};
use crate::failure::Failure;
use crate::fill::{fill, settle};
use crate::open_loop::OpenLoop;
use crate::report::Report;

/// Measures.
pub async fn measure(arguments: &ThroughputArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    let place = Place::new(&arguments.broker)?;
    let (broker, _) = place.start()?;
    let clients = Clients::connect(&place.gateway()).await?;
    clients.deploy(TASK, arguments.broker.partitions).await?;
    if arguments.waiting > 0 {
        clients.deploy(WAITING, arguments.broker.partitions).await?;
        fill(&clients, arguments.waiting, 0, &mut report).await?;
        settle(&broker, &mut report).await?;
    }
    eprintln!("saturation, {} instances under way:", arguments.in_flight);
    let rate = saturate(arguments, &place, &broker, &clients, &mut report).await?;
    let rate = arguments.rate.unwrap_or((rate / 2.0) as u32).max(1);
    eprintln!("open loop, {rate} instances/s:");
    let running = OpenLoop::begin(&clients, rate, 2);
    tokio::time::sleep(arguments.time() / 4).await;
    running.enter(1);
    tokio::time::sleep(arguments.time()).await;
    let outcome = running.end().await?;
    report.add("open loop, rate", f64::from(rate), "instances/s");
    report.add_latencies("open loop, start to complete", &outcome.latencies[1]);
    report.add("open loop, refused", outcome.refused as f64, "instances");
    let (_, most) = broker.memory()?;
    report.add("memory, most", most, "MB");
    Ok(report)
}

/// Runs instances, a fixed number at once, and gives those completed per second.
async fn saturate(
    arguments: &ThroughputArguments,
    place: &Place,
    broker: &Broker,
    clients: &Clients,
    report: &mut Report,
) -> Result<f64, Failure> {
    let permits = Arc::new(Semaphore::new(arguments.in_flight as usize));
    let (completed, mut completions) = mpsc::unbounded_channel();
    let workers = Workers::start(clients, &completed);
    let starter = tokio::spawn(start_all(clients.clone(), Arc::clone(&permits)));
    let mut count = 0u64;
    run_for(arguments.time() / 4, &mut completions, &permits, &mut count).await;
    let (log, syncs, cpu) = counters(place, broker)?;
    count = 0;
    let begun = Instant::now();
    run_for(arguments.time(), &mut completions, &permits, &mut count).await;
    let time = begun.elapsed();
    let (log_after, syncs_after, cpu_after) = counters(place, broker)?;
    permits.close();
    starter
        .await
        .map_err(|_| Failure::Program("a client panicked".to_owned()))?;
    drop(workers);
    let rate = count as f64 / time.as_secs_f64();
    let each = |total: f64| total / count as f64;
    report.add("saturation, completed", rate, "instances/s");
    let cpu = (cpu_after - cpu).as_secs_f64() * 1e6;
    report.add(
        "processor time of the broker for an instance",
        each(cpu),
        "us",
    );
    report.add("log for an instance", each(log_after - log), "bytes");
    report.add(
        "syncs of the log",
        (syncs_after - syncs) / time.as_secs_f64(),
        "1/s",
    );
    let (now, _) = broker.memory()?;
    report.add("memory under load", now, "MB");
    Ok(rate)
}

fn counters(place: &Place, broker: &Broker) -> Result<(f64, f64, Duration), Failure> {
    let log = place.metric("skep_log_written_bytes_total")?;
    let syncs = place.metric("skep_log_syncs_total")?;
    Ok((log, syncs, broker.cpu()?))
}

/// Starts an instance for each permit; permits come back when instances are completed.
async fn start_all(clients: Clients, permits: Arc<Semaphore>) {
    let mut turn = 0;
    while let Ok(permit) = permits.clone().acquire_owned().await {
        permit.forget();
        let (clients, permits) = (clients.clone(), Arc::clone(&permits));
        tokio::spawn(async move {
            // Refused by backpressure: the place is free for another.
            if clients.start(turn, TASK, String::new()).await.is_err() {
                permits.add_permits(1);
            }
        });
        turn += 1;
    }
}

async fn run_for<T>(
    time: Duration,
    completions: &mut mpsc::UnboundedReceiver<T>,
    permits: &Semaphore,
    count: &mut u64,
) {
    let end = tokio::time::Instant::now() + time;
    while let Ok(Some(_)) = tokio::time::timeout_at(end, completions.recv()).await {
        permits.add_permits(1);
        *count += 1;
    }
}

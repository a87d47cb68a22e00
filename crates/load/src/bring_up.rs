//! A broker has lost its data: time until the others have brought it up, and what that costs those who go on.

use std::time::{Duration, Instant};

use crate::BringUpArguments;
use crate::broker::Place;
use crate::clients::Clients;
use crate::content::{TASK, WAITING};
use crate::failure::Failure;
use crate::fill::{fill, settle};
use crate::open_loop::OpenLoop;
use crate::report::Report;

/// How long latencies are taken without a transfer.
const WITHOUT: Duration = Duration::from_secs(10);
/// Between two looks at the broker: the error of what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A broker that is not brought up by then never will be.
const WITHIN: Duration = Duration::from_secs(1800);
/// The broker that loses its data; clients go to the first.
const VICTIM: usize = 2;

const WITHOUT_TRANSFER: usize = 0;
const MEANWHILE: usize = 1;
const OTHER: usize = 2;

/// Measures.
pub async fn measure(arguments: &BringUpArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    if (arguments.broker.brokers as usize) <= VICTIM {
        let reason = "a cluster goes on without a broker from three on: give --brokers 3";
        return Err(Failure::Program(reason.to_owned()));
    }
    let place = Place::new(&arguments.broker)?;
    let (mut broker, _) = place.start()?;
    let clients = Clients::connect(&place.gateway()).await?;
    for process in [TASK, WAITING] {
        clients.deploy(process, arguments.broker.partitions).await?;
    }
    let count = (arguments.gigabytes * 1e9 / f64::from(arguments.document_bytes)) as u64;
    let bytes = arguments.document_bytes as usize;
    fill(&clients, count, bytes, &mut report).await?;
    settle(&broker, &mut report).await?;

    let running = OpenLoop::begin(&clients, arguments.rate, 3);
    running.enter(WITHOUT_TRANSFER);
    tokio::time::sleep(WITHOUT).await;
    running.enter(OTHER);
    broker.kill_one(VICTIM)?;
    place.lose_data_of(VICTIM)?;
    running.enter(MEANWHILE);
    let begun = Instant::now();
    place.begin(&mut broker, VICTIM)?;
    let wanted = f64::from(arguments.broker.partitions);
    // Its metrics are served a moment after it was started.
    let metric = |name: &str| place.metric_of(VICTIM, name);
    while metric("skep_content_replaced_total").unwrap_or(0.0) < wanted {
        if begun.elapsed() > WITHIN {
            return Err(Failure::Program("the broker is not brought up".to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = begun.elapsed();
    running.enter(OTHER);
    report.add_time("brought up", took);
    let whole = metric("skep_content_compared_bytes_total")? / 1e6;
    report.add("content", whole, "MB");
    let sent = metric("skep_content_received_bytes_total")? / 1e6;
    report.add("sent, compressed", sent, "MB");
    report.add("content in a second", whole / took.as_secs_f64(), "MB/s");
    let outcome = running.end().await?;
    report.add("load", f64::from(arguments.rate), "instances/s");
    report.add_latencies("without a transfer", &outcome.latencies[WITHOUT_TRANSFER]);
    report.add_latencies("meanwhile", &outcome.latencies[MEANWHILE]);
    report.add("refused", outcome.refused as f64, "instances");
    let (_, most) = broker.memory()?;
    report.add("memory of all, most", most, "MB");
    Ok(report)
}

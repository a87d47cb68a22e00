//! Time from start to ready and memory: of an idle broker, and of one with a large state that was killed while it was written.

use std::time::{Duration, Instant};

use crate::StartupArguments;
use crate::broker::Place;
use crate::clients::Clients;
use crate::content::WAITING;
use crate::failure::Failure;
use crate::fill::fill;
use crate::report::Report;

/// Starts that are measured; the first finds an empty directory, the others what the one before left.
const STARTS: usize = 5;
/// After this a broker without load has done what it does after a start.
const IDLE: Duration = Duration::from_secs(3);

/// Measures.
pub async fn measure(arguments: &StartupArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    idle(arguments, &mut report).await?;
    if arguments.gigabytes > 0.0 {
        with_state(arguments, &mut report).await?;
    }
    Ok(report)
}

/// The kill comes right after the last answer, when most has to be read from the log again.
async fn with_state(arguments: &StartupArguments, report: &mut Report) -> Result<(), Failure> {
    let place = Place::new(&arguments.broker)?;
    let (broker, _) = place.start()?;
    let clients = Clients::connect(&place.gateway()).await?;
    clients.deploy(WAITING, arguments.broker.partitions).await?;
    let instances = fill(&clients, arguments.gigabytes, report).await?;
    broker.kill()?;
    report.add("data directory", place.data_bytes()? as f64 / 1e6, "MB");
    let begun = Instant::now();
    let (broker, ready) = place.start()?;
    report.add_time("start with that state after a kill, until ready", ready);
    let clients = Clients::connect(&place.gateway()).await?;
    for instance in [instances.first(), instances.last()].into_iter().flatten() {
        clients
            .set_variables(*instance, "{\"served\":true}".to_owned())
            .await?;
    }
    report.add_time(
        "and until the oldest and the newest instance were changed",
        begun.elapsed(),
    );
    broker.kill()
}

async fn idle(arguments: &StartupArguments, report: &mut Report) -> Result<(), Failure> {
    let place = Place::new(&arguments.broker)?;
    for start in 0..STARTS {
        let (broker, time) = place.start()?;
        let name = if start == 0 {
            "first start"
        } else {
            "start after a kill"
        };
        report.add_time(format!("{name}, until ready"), time);
        if start + 1 == STARTS {
            tokio::time::sleep(IDLE).await;
            let (idle, _) = broker.memory()?;
            report.add("memory, idle", idle, "MB");
        }
        broker.kill()?;
    }
    Ok(())
}

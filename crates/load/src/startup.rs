//! Time from start to ready and memory, without load.

use std::time::Duration;

use crate::BrokerArguments;
use crate::broker::Place;
use crate::failure::Failure;
use crate::report::Report;

/// Starts that are measured; the first finds an empty directory, the others what the one before left.
const STARTS: usize = 5;
/// After this a broker without load has done what it does after a start.
const IDLE: Duration = Duration::from_secs(3);

/// Measures.
pub async fn measure(arguments: &BrokerArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    let place = Place::new(arguments)?;
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
    Ok(report)
}

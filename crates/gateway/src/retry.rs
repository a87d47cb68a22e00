//! Sending a command until it is answered, and for how long.
//!
//! A command goes out again only after an error that says it was not taken in, or a rejection. Dropping any future of this module drops the
//! answer, never the command.

use std::time::Duration;

use skep_protocol::routing::DEPLOYMENT_PARTITION;
use skep_protocol::{Command, PartitionId, Rejection, ResponseResult};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::brokers::{BrokerError, Brokers, Leader};
use crate::limits::{CLIENT_DEADLINE_MARGIN, CLIENT_TIMEOUT_MAX, SAME_PARTITION_PAUSE};
use crate::{routing, status};

/// Until when an answer is of use: `timeout` from now, or the client's own deadline if that is earlier.
pub fn deadline(metadata: &MetadataMap, timeout: Duration) -> Instant {
    let timeout = match client_timeout(metadata) {
        Some(client) => timeout.min(client.saturating_sub(CLIENT_DEADLINE_MARGIN)),
        None => timeout,
    };
    Instant::now() + timeout.min(CLIENT_TIMEOUT_MAX)
}

/// How long the client itself will wait, from `grpc-timeout`.
pub fn client_timeout(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (unit_at, unit) = text.char_indices().next_back()?;
    let digits = &text[..unit_at];
    // The protocol allows eight digits, so nothing overflows.
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(amount * 3600),
        'M' => Duration::from_secs(amount * 60),
        'S' => Duration::from_secs(amount),
        'm' => Duration::from_millis(amount),
        'u' => Duration::from_micros(amount),
        'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// Sends a command to one partition until its leader answers with an event or a rejection.
pub async fn on_partition(
    brokers: &dyn Brokers,
    partition: PartitionId,
    command: &Command,
    deadline: Instant,
) -> Result<ResponseResult, Status> {
    let mut obstacle = None;
    let work = send_until_answered(brokers, partition, command, &mut obstacle);
    match timeout_at(deadline, work).await {
        Ok(answer) => answer,
        Err(_) => Err(timed_out(command, partition, obstacle)),
    }
}

async fn send_until_answered(
    brokers: &dyn Brokers,
    partition: PartitionId,
    command: &Command,
    obstacle: &mut Option<BrokerError>,
) -> Result<ResponseResult, Status> {
    loop {
        match brokers.topology().leader(partition) {
            None => return Err(status::unknown_partition(i64::from(partition.0))),
            Some(Leader::Inactive) => return Err(status::inactive_partition(partition)),
            Some(Leader::Unknown) => {
                *obstacle = Some(BrokerError::Unavailable {
                    message: "its leader is not known".to_owned(),
                });
            }
            Some(Leader::Known(_)) => match brokers.execute(partition, command).await {
                Ok(answer) => return Ok(answer),
                Err(error) if not_taken_in(&error) => *obstacle = Some(error),
                Err(error) => return Err(status::of_broker_error(&error)),
            },
        }
        sleep(SAME_PARTITION_PAUSE).await;
    }
}

fn not_taken_in(error: &BrokerError) -> bool {
    matches!(
        error,
        BrokerError::PartitionLeaderMismatch { .. } | BrokerError::Unavailable { .. }
    )
}

fn timed_out(command: &Command, partition: PartitionId, obstacle: Option<BrokerError>) -> Status {
    let intent = command.intent.name();
    match obstacle {
        Some(error) => status::timeout(format_args!(
            "{intent} could not be brought to partition {partition}: {error}"
        )),
        None => status::timeout(format_args!(
            "{intent} was not answered by partition {partition}"
        )),
    }
}

/// Sends a command to partitions in turn, from the `start`th, until one answers with an event or a rejection.
pub async fn on_any_partition(
    brokers: &dyn Brokers,
    start: u32,
    command: &Command,
    deadline: Instant,
) -> Result<ResponseResult, Status> {
    let (_, answer) = in_turn(brokers, start, command, deadline).await?;
    Ok(answer)
}

/// The same for a command about something deployed. A partition that does not know it may only not have got it yet: then the one that
/// deployments come to is asked, as soon as it is led, and what that says counts.
pub async fn on_any_partition_that_knows(
    brokers: &dyn Brokers,
    start: u32,
    command: &Command,
    deadline: Instant,
    is_unknown: fn(&Rejection) -> bool,
) -> Result<ResponseResult, Status> {
    let (partition, answer) = in_turn(brokers, start, command, deadline).await?;
    match answer {
        Err(rejection) if partition != DEPLOYMENT_PARTITION && is_unknown(&rejection) => {}
        answer => return Ok(answer),
    }
    on_partition(brokers, DEPLOYMENT_PARTITION, command, deadline).await
}

async fn in_turn(
    brokers: &dyn Brokers,
    start: u32,
    command: &Command,
    deadline: Instant,
) -> Result<(PartitionId, ResponseResult), Status> {
    let topology = brokers.topology();
    if topology.partition_count() == 0 {
        return Err(status::no_topology());
    }
    let mut causes = Vec::new();
    for partition in routing::candidates(&topology, start) {
        match timeout_at(deadline, brokers.execute(partition, command)).await {
            Ok(Ok(answer)) => return Ok((partition, answer)),
            Ok(Err(error)) if may_go_elsewhere(&error) => causes.push(error),
            Ok(Err(error)) => return Err(status::of_broker_error(&error)),
            // Perhaps it was executed: another partition must not execute it again.
            Err(_) => return Err(timed_out(command, partition, None)),
        }
    }
    Err(status::partitions_exhausted(&causes))
}

fn may_go_elsewhere(error: &BrokerError) -> bool {
    not_taken_in(error) || matches!(error, BrokerError::ResourceExhausted { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Duration> {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", text.parse().unwrap());
        client_timeout(&metadata)
    }

    #[test]
    fn the_clients_timeout_is_understood_in_every_unit() {
        assert_eq!(parse("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse("2M"), Some(Duration::from_secs(120)));
        assert_eq!(parse("2S"), Some(Duration::from_secs(2)));
        assert_eq!(parse("99999999m"), Some(Duration::from_millis(99_999_999)));
        assert_eq!(parse("2u"), Some(Duration::from_micros(2)));
        assert_eq!(parse("2n"), Some(Duration::from_nanos(2)));
    }

    #[test]
    fn nonsense_is_no_timeout() {
        for text in ["", "5", "S", "-1S", "1x", "123456789S", "1.5S"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_deadline_counts() {
        let mut metadata = MetadataMap::new();
        let now = Instant::now();
        let own = Duration::from_secs(15);
        assert_eq!(deadline(&metadata, own), now + own);
        assert_eq!(deadline(&metadata, Duration::MAX), now + CLIENT_TIMEOUT_MAX);
        metadata.insert("grpc-timeout", "1S".parse().unwrap());
        assert_eq!(deadline(&metadata, own), now + Duration::from_millis(998));
        metadata.insert("grpc-timeout", "99S".parse().unwrap());
        assert_eq!(deadline(&metadata, own), now + own);
    }
}

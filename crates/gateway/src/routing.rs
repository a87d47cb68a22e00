//! Which partition gets a command.

use std::sync::atomic::{AtomicU32, Ordering};

use skep_protocol::routing::{DEPLOYMENT_PARTITION, message_partition};
use skep_protocol::{Key, PartitionId};
use tonic::Status;

use crate::brokers::Topology;
use crate::status;

/// A counter that goes round the partitions.
#[derive(Debug, Default)]
pub struct RoundRobin(AtomicU32);

impl RoundRobin {
    /// Where to begin this time.
    pub fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// The smallest number that a person who mistypes a key may come to. Below are numbers that never were meant as keys.
const MISTYPED_KEY_MIN: i64 = 1_000_000_000_000_000;

/// The partition that made a key.
///
/// A partition that is not in the topology may only not be known yet, which is worth another try. No partition has the number 0:
/// a number of as many digits as a key that says so is a key mistyped, and the first partition says that it knows no such thing.
pub fn of_key(topology: &Topology, key: i64) -> Result<PartitionId, Status> {
    let bits = match Key(key).partition() {
        0 if key >= MISTYPED_KEY_MIN => i64::from(DEPLOYMENT_PARTITION.0),
        bits => bits,
    };
    u32::try_from(bits)
        .map(PartitionId)
        .ok()
        .filter(|partition| topology.leader(*partition).is_some())
        .ok_or_else(|| status::unknown_partition(bits))
}

/// The partition that keeps messages of a correlation key.
pub fn of_message(topology: &Topology, correlation_key: &str) -> Result<PartitionId, Status> {
    match topology.partition_count() {
        0 => Err(status::no_topology()),
        count => Ok(message_partition(correlation_key, count)),
    }
}

/// All partitions with a leader, cyclically from the `start`th.
pub fn led(topology: &Topology, start: u32) -> impl Iterator<Item = PartitionId> {
    let count = topology.partition_count();
    (0..count)
        .map(move |step| PartitionId((start % count + step) % count + 1))
        .filter(|partition| topology.has_leader(*partition))
}

/// The partitions that may take a command which is bound to none: all that are led, or else the first, which then says
/// why it can't.
pub fn candidates(topology: &Topology, start: u32) -> impl Iterator<Item = PartitionId> {
    let nobody_leads = led(topology, 0).next().is_none();
    led(topology, start).chain(nobody_leads.then_some(DEPLOYMENT_PARTITION))
}

#[cfg(test)]
mod tests {
    use skep_protocol::NodeId;

    use super::*;
    use crate::brokers::{BrokerInfo, Health, PartitionInfo, Role};

    fn topology(partition_count: u32, led: &[u32]) -> Topology {
        let partitions = led
            .iter()
            .map(|partition| PartitionInfo {
                partition: PartitionId(*partition),
                role: Role::Leader,
                health: Health::Healthy,
            })
            .collect();
        let broker = BrokerInfo {
            node: NodeId(0),
            host: "localhost".to_owned(),
            port: 26501,
            version: "8.6.0".to_owned(),
            partitions,
        };
        Topology::new(vec![broker], 1, partition_count, 1)
    }

    fn numbers(partitions: impl Iterator<Item = PartitionId>) -> Vec<u32> {
        partitions.map(PartitionId::get).collect()
    }

    #[test]
    fn partitions_without_a_leader_are_skipped() {
        let topology = topology(4, &[1, 2, 4]);
        assert_eq!(numbers(led(&topology, 0)), [1, 2, 4]);
        assert_eq!(numbers(led(&topology, 2)), [4, 1, 2]);
        assert_eq!(numbers(led(&topology, 3)), [4, 1, 2]);
        assert_eq!(numbers(led(&topology, u32::MAX)), [4, 1, 2]);
    }

    #[test]
    fn the_first_partition_is_the_last_resort() {
        assert_eq!(numbers(candidates(&topology(3, &[]), 2)), [1]);
        assert_eq!(numbers(candidates(&topology(3, &[3]), 0)), [3]);
    }

    #[test]
    fn a_mistyped_key_is_asked_of_the_first_partition() {
        let topology = topology(2, &[1, 2]);
        for key in [2_251_799_813_600_004, Key::new(PartitionId(1), 0).0 - 1] {
            assert_eq!(of_key(&topology, key).unwrap(), PartitionId(1), "{key}");
        }
    }

    #[test]
    fn nonsense_keys_belong_to_no_partition() {
        let topology = topology(2, &[1, 2]);
        for key in [0, 1, -1, i64::MIN, i64::MAX, Key::new(PartitionId(3), 1).0] {
            let status = of_key(&topology, key).unwrap_err();
            assert_eq!(status.code(), tonic::Code::Unavailable, "{key}");
        }
        let key = Key::new(PartitionId(2), 7).0;
        assert_eq!(of_key(&topology, key).unwrap(), PartitionId(2));
    }
}

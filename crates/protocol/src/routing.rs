//! Which partition owns what. Gateway and engine share these functions, since they must agree.
//!
//! Source: Zeebe's published behaviour (message subscriptions are placed by a 31-based hash over signed bytes).

use crate::PartitionId;

/// Hash of a message's correlation key over its UTF-8 bytes, each taken as signed.
pub fn correlation_hash(correlation_key: &str) -> i32 {
    correlation_key.bytes().fold(0i32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(i32::from(byte as i8))
    })
}

/// The partition that keeps messages and message subscriptions of a correlation key.
pub fn message_partition(correlation_key: &str, partition_count: u32) -> PartitionId {
    assert!(partition_count >= 1, "a cluster has at least one partition");
    let remainder = i64::from(correlation_hash(correlation_key)) % i64::from(partition_count);
    PartitionId(remainder.unsigned_abs() as u32 + 1)
}

/// The partition that takes deployments in and distributes them.
pub const DEPLOYMENT_PARTITION: PartitionId = PartitionId(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_partitions_are_zeebes() {
        let expected = [
            ("", 0, 1, 1),
            ("a", 97, 2, 2),
            ("order-123", -392_797_389, 1, 6),
            ("k-0", 104_270, 3, 7),
            ("k-1", 104_271, 1, 8),
            ("correlation-key-1", -176_519_112, 1, 1),
            ("ü", -1959, 1, 8),
        ];
        for (key, hash, of_three, of_eight) in expected {
            assert_eq!(correlation_hash(key), hash, "{key}");
            assert_eq!(message_partition(key, 3), PartitionId(of_three), "{key}");
            assert_eq!(message_partition(key, 8), PartitionId(of_eight), "{key}");
        }
    }
}

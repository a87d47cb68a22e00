//! When a member begins an election, by its place in the order of preference.
//!
//! openraft makes a follower wait for its lease (the upper bound of its timeout) and then for a timeout between the two bounds.
//! The bounds are chosen so that no two places overlap, and so that even the preferred member begins only when the leases of all
//! others are over, since they do not vote before.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

/// Places from this one on begin at the same time.
const LAST_PLACE: u64 = 4;

/// Bounds of the timeout of a member in milliseconds. `silence` is after how much of it the preferred member begins.
pub(crate) fn timeout_bounds(silence: Duration, place: usize) -> (u64, u64) {
    let place = u64::try_from(place).unwrap_or(LAST_PLACE).min(LAST_PLACE);
    // The preferred member begins after 0.9 + 1.0 units, at the earliest.
    let unit = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX / 100) * 10 / 19;
    let at_most = unit * (10 + 2 * place) / 10;
    (at_most - unit / 10, at_most.max(1))
}

/// openraft's settings of one member.
pub(crate) fn config(
    group: u32,
    members: usize,
    place: usize,
    heartbeat: Duration,
    silence: Duration,
) -> Config {
    let (at_least, at_most) = timeout_bounds(silence, place);
    let heartbeat = u64::try_from(heartbeat.as_millis()).unwrap_or(u64::MAX);
    let several = members > 1;
    Config {
        cluster_name: format!("partition {group}"),
        heartbeat_interval: heartbeat,
        election_timeout_min: at_least,
        election_timeout_max: at_most,
        // The replica says what may go, see `RaftNode::state_durable`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: 0,
        // Alone there is nobody to send heartbeats to or to hear them from.
        enable_tick: several,
        // One of several stands for election when it is sound, see `RaftNode::begin`.
        enable_elect: !several,
        enable_pre_vote: Some(several),
        // A leader of several sends entries before they are durable here; after a crash it may not take others for the same ids.
        enable_leader_restore: Some(!several),
        // A member may come back without its log, to be brought up.
        allow_log_reversion: Some(several),
        backoff: "20ms 50ms 100ms ...300ms".to_owned(),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has just started may be one that has lost its votes.
    #[test]
    fn one_of_several_does_not_stand_for_election_before_it_is_told() {
        let second = Duration::from_secs(1);
        for (members, stands) in [(1, true), (3, false)] {
            let config = config(1, members, 0, second / 10, second);
            assert_eq!(config.enable_elect, stands);
        }
    }

    #[test]
    fn nobody_begins_before_all_leases_are_over_and_places_do_not_overlap() {
        for millis in [100, 1_000, 2_500] {
            let silence = Duration::from_millis(millis);
            let bounds: Vec<_> = (0..7).map(|place| timeout_bounds(silence, place)).collect();
            let begins: Vec<_> = bounds
                .iter()
                .map(|(least, lease)| (lease + least, lease + lease))
                .collect();
            let longest_lease = bounds.iter().map(|(_, lease)| *lease).max();
            assert!(Some(begins[0].0) > longest_lease, "{bounds:?}");
            assert!(begins[0].1 <= millis + millis / 10, "{begins:?}");
            for pair in begins[..5].windows(2) {
                assert!(pair[0].1 < pair[1].0, "{begins:?}");
            }
            assert_eq!(begins[4], begins[6]);
            assert!(begins[6].1 <= millis * 2, "{begins:?}");
        }
    }
}

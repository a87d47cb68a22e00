//! Three brokers that each keep all partitions: killed one after the other under load, and all at once.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use common::cluster::{Cluster, Topology};
use common::orders::{Load, create, deploy, each_once};
use common::{PATIENCE, Place};

const PARTITIONS: u32 = 3;

/// Each partition has a leader, which is not the one that was killed.
fn led_without(victim: usize) -> impl Fn(&Topology) -> bool {
    move |seen| (1..=PARTITIONS).all(|one| seen.leader(one).is_some_and(|node| node != victim))
}

/// All brokers are there, each partition has a leader, and all others follow.
fn whole(seen: &Topology) -> bool {
    seen.count("LEADER, HEALTHY") == 3 && seen.count("FOLLOWER, HEALTHY") == 6
}

#[test]
fn what_was_acknowledged_is_done_once_though_each_broker_is_killed_under_load() {
    let cluster = Cluster::new(3, PARTITIONS, 3).failing_over_early();
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    cluster.await_topology(0, whole);
    let load = Load::begin(&places, 2);
    for victim in 0..3 {
        let other = (victim + 1) % 3;
        load.await_more(100);
        brokers[victim].take().unwrap().kill();
        cluster.await_topology(other, led_without(victim));
        load.await_more(100);
        brokers[victim] = Some(places[victim].start());
        cluster.await_topology(other, whole);
    }
    let created = load.end();
    each_once(&created, places[1]);
    for broker in brokers.into_iter().flatten() {
        assert_eq!(broker.stop(), Some(0));
    }
}

/// Positions of a partition's records in all files that the brokers have exported.
fn exported(places: &[&Place], partition: u32) -> BTreeSet<i64> {
    let mut positions = BTreeSet::new();
    for place in places {
        let directory = place
            .directory
            .path()
            .join(format!("exports/partition-{partition}"));
        // A broker that has never led it has none.
        for file in std::fs::read_dir(directory).into_iter().flatten() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            // What is not a whole line was being written when the broker was killed, and counts for nothing.
            let lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            positions.extend(lines.map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                record["position"].as_i64().unwrap()
            }));
        }
    }
    positions
}

#[test]
fn every_record_is_exported_though_leaders_are_killed() {
    let mut cluster = Cluster::new(3, PARTITIONS, 3).failing_over_early();
    for place in &mut cluster.places {
        let directory = place.directory.path().join("exports");
        let directory = directory.to_str().unwrap().to_owned();
        let mut set = |name: &str, value: &str| {
            place.set(&format!("ZEEBE_BROKER_EXPORTERS_FILE_{name}"), value);
        };
        set("CLASSNAME", "JsonLinesExporter");
        set("ARGS_DIRECTORY", &directory);
        set("ARGS_FLUSHINTERVAL", "100ms");
    }
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    cluster.await_topology(0, whole);
    let load = Load::begin(&places, 2);
    for victim in 0..2 {
        load.await_more(100);
        brokers[victim].take().unwrap().kill();
        cluster.await_topology(2, led_without(victim));
        load.await_more(100);
        brokers[victim] = Some(places[victim].start());
        cluster.await_topology(2, whole);
    }
    let created = load.end();
    each_once(&created, places[2]);
    for broker in brokers.into_iter().flatten() {
        assert_eq!(broker.stop(), Some(0));
    }
    for partition in 1..=PARTITIONS {
        let positions = exported(&places, partition);
        let last = *positions.last().unwrap();
        assert_eq!(positions.len() as i64, last, "there is a gap before {last}");
    }
}

#[test]
fn a_backup_outlives_the_leader_that_began_it_and_restores_on_all_brokers() {
    let cluster = Cluster::new(3, PARTITIONS, 3).failing_over_early();
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    let created = create(places[1], 50);
    let leader = cluster.await_topology(0, whole).leader(1).unwrap();
    let other = (leader + 1) % 3;
    places[other].begin_backup(1);
    brokers[leader].take().unwrap().kill();
    // With two of three brokers left, whoever leads now finishes what is not done.
    places[other].insist(&["backup", "wait", "1"]);
    cluster.await_topology(other, led_without(leader));
    places[other].take_backup(2);
    brokers
        .into_iter()
        .flatten()
        .for_each(|broker| broker.kill());

    for place in &places {
        place.lose_data();
        place.skep(&["restore", "--backupId=2"]);
    }
    let brokers = cluster.start();
    each_once(&created, places[2]);
    create(places[0], 10);
    places[2].take_backup(3);
    drop(brokers);
}

#[test]
fn a_follower_uploads_where_that_is_configured_and_the_leader_where_none_can() {
    let mut cluster = Cluster::new(3, PARTITIONS, 3);
    cluster.set("ZEEBE_BROKER_DATA_BACKUP_UPLOADFROM", "FOLLOWER");
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    let created = create(places[1], 50);
    let id = check_uploaders(&cluster, 1, whole, |leader, uploader| leader != uploader);
    // Of a partition that one broker leads and another follows, the latter uploads; the third cannot be reached.
    brokers[2].take().unwrap().kill();
    let is_other = |leader, uploader| leader + uploader == 1;
    let id = check_uploaders(&cluster, id + 1, led_without(2), is_other);
    brokers.into_iter().flatten().for_each(|one| one.kill());
    for place in &places {
        place.lose_data();
        place.skep(&["restore", &format!("--backupId={id}")]);
    }
    let _brokers = cluster.start();
    each_once(&created, places[2]);
}

/// Takes backups, with ids from that one on, until of each partition one was taken under the leader that it began under: then the right
/// broker has uploaded it. Gives the last id.
fn check_uploaders(
    cluster: &Cluster,
    first: u64,
    begins: impl Fn(&Topology) -> bool,
    is_right: impl Fn(usize, usize) -> bool,
) -> u64 {
    let end = Instant::now() + PATIENCE;
    let mut unchecked: BTreeSet<u32> = (1..=PARTITIONS).collect();
    for id in first.. {
        let before = (
            cluster.await_topology(0, &begins),
            terms(&cluster.places[0]),
        );
        cluster.places[0].take_backup(id);
        let after = (terms(&cluster.places[0]), cluster.topology(0));
        for (partition, uploader) in uploaders(&cluster.places[0], id) {
            let leader = before.0.leader(partition).unwrap();
            if before.1[&partition] == after.0[&partition]
                && after.1.leader(partition) == Some(leader)
            {
                assert!(is_right(leader, uploader), "{leader} {uploader}");
                unchecked.remove(&partition);
            }
        }
        if unchecked.is_empty() {
            return id;
        }
        assert!(Instant::now() < end, "the leaders change all the time");
    }
    unreachable!("there is always another id")
}

/// The terms that a broker's replicas are in. In each there is one leader at most.
fn terms(place: &Place) -> BTreeMap<u32, String> {
    let (_, metrics) = place.get("/actuator/prometheus");
    let of = |partition: u32| {
        let begin = format!("skep_raft_term{{partition=\"{partition}\"}} ");
        let term = metrics.lines().find_map(|line| line.strip_prefix(&begin));
        (partition, term.unwrap().to_owned())
    };
    (1..=PARTITIONS).map(of).collect()
}

/// Partitions of a backup, each with the broker that has uploaded it.
fn uploaders(place: &Place, backup: u64) -> Vec<(u32, usize)> {
    let (_, body) = place.get(&format!("/actuator/backups/{backup}"));
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let details = answer["details"].as_array().unwrap();
    let number = |one: &serde_json::Value, name: &str| one[name].as_u64().unwrap();
    let one = |one| {
        (
            number(one, "partitionId") as u32,
            number(one, "brokerId") as usize,
        )
    };
    details.iter().map(one).collect()
}

#[test]
fn with_too_few_brokers_nothing_hangs_and_the_reason_is_told() {
    let cluster = Cluster::new(3, 1, 3);
    let mut brokers = cluster.start();
    deploy(&cluster.places[0]);
    let last = brokers.remove(0);
    drop(brokers);
    // It stops to lead once it has heard from nobody for a while.
    cluster.await_topology(0, |seen| seen.leader(1).is_none());
    let (_, said) = cluster.places[0].fails(&["backup", "take", "1"]);
    let expected = "Partition 1 has no leader at present";
    assert!(said.contains(expected), "{said}");
    drop(last);
}

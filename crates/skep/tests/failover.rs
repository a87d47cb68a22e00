//! Three brokers that each keep all partitions: killed one after the other under load, and all at once.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::collections::BTreeSet;

use common::cluster::{Cluster, Topology};
use common::orders::{Load, each_once};
use common::{Place, repository};

const PARTITIONS: u32 = 3;

fn deploy(place: &Place) {
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
}

fn all_led(seen: &Topology) -> bool {
    (1..=PARTITIONS).all(|partition| seen.leader(partition).is_some())
}

/// All brokers are there, each partition has a leader, and all others follow.
fn whole(seen: &Topology) -> bool {
    seen.count("LEADER, HEALTHY") == 3 && seen.count("FOLLOWER, HEALTHY") == 6
}

#[test]
fn what_was_acknowledged_is_done_once_though_each_broker_is_killed_under_load() {
    let cluster = Cluster::new(3, PARTITIONS, 3);
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    cluster.await_topology(0, whole);
    let load = Load::begin(&places, 2);
    for victim in 0..3 {
        let other = (victim + 1) % 3;
        load.await_more(100);
        brokers[victim].take().unwrap().kill();
        cluster.await_topology(other, |seen| {
            all_led(seen) && (1..=PARTITIONS).all(|one| seen.leader(one) != Some(victim))
        });
        load.await_more(100);
        brokers[victim] = Some(places[victim].start());
        cluster.await_topology(other, whole);
    }
    let acknowledged = load.end();
    each_once(&acknowledged, places[1]);
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
            positions.extend(text.lines().map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                record["position"].as_i64().unwrap()
            }));
        }
    }
    positions
}

#[test]
fn every_record_is_exported_though_leaders_are_killed() {
    let mut cluster = Cluster::new(3, PARTITIONS, 3);
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
        cluster.await_topology(2, all_led);
        load.await_more(100);
        brokers[victim] = Some(places[victim].start());
        cluster.await_topology(2, whole);
    }
    let acknowledged = load.end();
    each_once(&acknowledged, places[2]);
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
    let cluster = Cluster::new(3, PARTITIONS, 3);
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    places[1].skep(&["start", "order", "--count", "50"]);
    let leader = cluster.await_topology(0, whole).leader(1).unwrap();
    let other = (leader + 1) % 3;
    places[other].skep(&["backup", "take", "1"]);
    brokers[leader].take().unwrap().kill();
    // With two of three brokers left, whoever leads now finishes what is not done.
    places[other].skep(&["backup", "wait", "1"]);
    cluster.await_topology(other, all_led);
    places[other].skep(&["backup", "take", "2", "--wait"]);
    brokers
        .into_iter()
        .flatten()
        .for_each(|broker| broker.kill());

    for place in &places {
        place.lose_data();
        place.skep(&["restore", "--backupId=2"]);
    }
    let brokers = cluster.start();
    let worked = places[2].skep(&["work", "payment", "--idle", "1s"]);
    assert!(worked.contains("Completed 50 jobs"), "{worked}");
    places[0].skep(&["start", "order", "--count", "10"]);
    places[2].skep(&["backup", "take", "3", "--wait"]);
    drop(brokers);
}

#[test]
fn a_follower_uploads_where_that_is_configured_and_the_leader_where_none_can() {
    let mut cluster = Cluster::new(3, PARTITIONS, 3);
    for place in &mut cluster.places {
        place.set("ZEEBE_BROKER_DATA_BACKUP_UPLOADFROM", "FOLLOWER");
    }
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    places[1].skep(&["start", "order", "--count", "50"]);
    let seen = cluster.await_topology(0, whole);
    places[0].skep(&["backup", "take", "1", "--wait"]);
    for (partition, uploader) in uploaders(places[0], 1) {
        assert_ne!(seen.leader(partition), Some(uploader));
    }
    // Of a partition that one broker leads and another follows, the latter uploads; the third cannot be reached.
    brokers[2].take().unwrap().kill();
    let seen = cluster.await_topology(0, all_led);
    places[0].skep(&["backup", "take", "2", "--wait"]);
    for (partition, uploader) in uploaders(places[0], 2) {
        assert_eq!(seen.leader(partition), Some(1 - uploader));
    }
    brokers.into_iter().flatten().for_each(|one| one.kill());
    for place in &places {
        place.lose_data();
        place.skep(&["restore", "--backupId=2"]);
    }
    let _brokers = cluster.start();
    let worked = places[2].skep(&["work", "payment", "--idle", "1s"]);
    assert!(worked.contains("Completed 50 jobs"), "{worked}");
}

/// Partitions of a backup, each with the broker that has uploaded it.
fn uploaders(place: &Place, backup: u32) -> Vec<(u32, usize)> {
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

//! Clusters that were restored: only brokers of the same restore make one, of whatever number of brokers and replicas.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::collections::BTreeSet;
use std::time::Instant;

use common::cluster::{Cluster, Topology, begin};
use common::orders::{Created, create, deploy, each_once, each_once_at, pay};
use common::{PATIENCE, PAUSE, Place, Running};

const PARTITIONS: u32 = 3;
const INSTANCES: usize = 60;

/// A cluster of three that has taken backup 1 with these instances in it, of which there are `INSTANCES`.
fn with_backup() -> (Cluster, Vec<Running>, Created) {
    let cluster = Cluster::new(3, PARTITIONS, 3);
    let brokers = cluster.start();
    let place = &cluster.places[0];
    deploy(place);
    let created = create(place, INSTANCES as u64);
    place.take_backup(1);
    (cluster, brokers, created)
}

fn lose_all(cluster: &Cluster, brokers: Vec<Running>) {
    brokers.into_iter().for_each(Running::kill);
    cluster.places.iter().for_each(Place::lose_data);
}

fn restore(place: &Place, id: u64) {
    place.skep(&["restore", &format!("--backupId={id}")]);
}

fn all_led(seen: &Topology) -> bool {
    (1..=PARTITIONS).all(|partition| seen.leader(partition).is_some())
}

/// What a broker says of its health, once it is well.
fn await_healthy(place: &Place) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let (status, health) = place.get("/actuator/health");
        if status == 200 {
            return health;
        }
        assert!(Instant::now() < end, "{status}: {health}");
        std::thread::sleep(PAUSE);
    }
}

#[test]
fn a_broker_of_an_older_backup_is_refused_and_everyone_says_which_it_is() {
    let (cluster, brokers, _) = with_backup();
    let places = &cluster.places;
    places[1].take_backup(2);
    lose_all(&cluster, brokers);
    restore(&places[2], 1);
    restore(&places[1], 2);
    restore(&places[0], 2);
    let mut brokers: Vec<Running> = places.iter().map(begin).collect();
    let stray = brokers.pop().unwrap();
    for (broker, place) in brokers.iter_mut().zip(places) {
        broker.line("the broker is running");
        let said = broker.line("node 2 has the data of restore");
        assert!(said.contains("restore the same backup"), "{said}");
        // Most brokers belong together.
        let health = await_healthy(place);
        assert!(
            health.contains("node 2 has the data of restore"),
            "{health}"
        );
    }
    let mut stray = stray;
    stray.line("has the data of restore");
    let (status, health) = places[2].get("/actuator/health/readiness");
    assert_eq!(status, 503, "{health}");
    assert!(health.contains("restore the same backup"), "{health}");
    let seen = cluster.topology(2);
    assert_eq!(seen.count("LEADER"), 0, "it serves nothing");
    assert_eq!(cluster.await_topology(0, all_led).count("Broker "), 2);
    // With the right backup it is one of them.
    stray.kill();
    places[2].lose_data();
    restore(&places[2], 2);
    let third = begin(&places[2]);
    cluster.await_topology(0, |seen| seen.count(", HEALTHY") == 9);
    drop(third);
}

#[test]
fn brokers_without_data_begin_no_empty_cluster_beside_a_restored_broker() {
    let (cluster, brokers, created) = with_backup();
    lose_all(&cluster, brokers);
    let places = &cluster.places;
    restore(&places[0], 1);
    let mut restored = begin(&places[0]);
    // The management API begins a moment later.
    let status = loop {
        match places[0].try_get("/actuator/health/startup") {
            Ok((status, _)) => break status,
            Err(_) => std::thread::sleep(PAUSE),
        }
    };
    assert_eq!(status, 503, "alone it is no majority");
    for place in &places[1..] {
        let mut empty = begin(place);
        let said = empty.await_line("has no data and was not restored");
        assert!(said.contains("node 0 has the data of restore"), "{said}");
        assert_eq!(empty.ended(), Some(3));
    }
    restored.line("data of a cluster that was never restored");
    for place in &places[1..] {
        // They have begun nothing, so that there is nothing to lose.
        place.lose_data();
        restore(place, 1);
    }
    let others: Vec<Running> = places[1..].iter().map(begin).collect();
    restored.line("the broker is running");
    each_once(&created, &places[1]);
    drop(others);
}

/// Restores a backup on the brokers in that order, of which there may be another number than before, and works on a third of
/// the jobs; ends with the next backup. Gives the instances whose jobs these were.
fn go_on(cluster: &Cluster, order: &[usize], id: u64) -> BTreeSet<i64> {
    for node in order {
        restore(&cluster.places[*node], id);
    }
    let brokers = cluster.start();
    cluster.await_topology(0, all_led);
    let last = cluster.places.last().unwrap();
    let paid = pay(last, INSTANCES / 3);
    last.take_backup(id + 1);
    lose_all(cluster, brokers);
    paid
}

#[test]
fn a_backup_restores_to_other_numbers_of_brokers_and_replicas_in_any_order() {
    let (three, brokers, created) = with_backup();
    lose_all(&three, brokers);
    let store = "ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH";
    let backups = three.places[0].variable(store).to_owned();
    let with_backups = |size: u32, replication_factor: u32| {
        let mut cluster = Cluster::new(size, PARTITIONS, replication_factor);
        cluster.set(store, &backups);
        cluster
    };
    let [one, five] = [(1, 1), (5, 3)].map(|(size, factor)| with_backups(size, factor));
    let mut paid = BTreeSet::new();
    for third in [
        go_on(&one, &[0], 1),
        go_on(&three, &[2, 0, 1], 2),
        go_on(&five, &[4, 1, 3, 0, 2], 3),
    ] {
        assert!(paid.is_disjoint(&third), "no job is done twice");
        paid.extend(third);
    }
    three.places.iter().for_each(|place| restore(place, 4));
    let brokers = three.start();
    // All jobs are done but those of creations whose answer was lost.
    let rest = Created {
        keys: created
            .keys
            .iter()
            .filter(|key| !paid.contains(key))
            .copied()
            .collect(),
        doubtful: created.doubtful,
    };
    assert!(rest.keys.len() <= created.doubtful, "{rest:?}");
    each_once(&rest, &three.places[1]);
    each_once_at(&created, &three.places[1], "shipping");
    drop(brokers);
}

//! Clusters that were restored: only brokers of the same restore make one, of whatever number of brokers and replicas.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, Topology, begin};
use common::{Place, Running, repository};

const PARTITIONS: u32 = 3;
const INSTANCES: usize = 60;

/// A cluster of three that has taken backup 1 with `INSTANCES` instances in it.
fn with_backup() -> (Cluster, Vec<Running>) {
    let cluster = Cluster::new(3, PARTITIONS, 3);
    let brokers = cluster.start();
    let place = &cluster.places[0];
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["start", "order", "--count", &INSTANCES.to_string()]);
    place.skep(&["backup", "take", "1", "--wait"]);
    (cluster, brokers)
}

fn lose_all(cluster: &Cluster, brokers: Vec<Running>) {
    brokers.into_iter().for_each(Running::kill);
    cluster.places.iter().for_each(Place::lose_data);
}

fn restore(place: &Place, id: u32) {
    place.skep(&["restore", &format!("--backupId={id}")]);
}

fn all_led(seen: &Topology) -> bool {
    (1..=PARTITIONS).all(|partition| seen.leader(partition).is_some())
}

#[test]
fn a_broker_of_an_older_backup_is_refused_and_everyone_says_which_it_is() {
    let (cluster, brokers) = with_backup();
    let places = &cluster.places;
    places[1].skep(&["backup", "take", "2", "--wait"]);
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
        let (status, health) = place.get("/actuator/health");
        assert_eq!(status, 200, "most brokers belong together: {health}");
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
    let (cluster, brokers) = with_backup();
    lose_all(&cluster, brokers);
    let places = &cluster.places;
    restore(&places[0], 1);
    let mut restored = begin(&places[0]);
    // The management API begins a moment later.
    let status = loop {
        match places[0].try_get("/actuator/health/startup") {
            Ok((status, _)) => break status,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
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
    let worked = places[1].skep(&["work", "payment", "--max", &INSTANCES.to_string()]);
    assert!(
        worked.contains(&format!("Completed {INSTANCES} jobs")),
        "{worked}"
    );
    drop(others);
}

/// Restores a backup on the brokers in that order, of which there may be another number than before, and works on a third of
/// the jobs; ends with the next backup.
fn go_on(cluster: &Cluster, order: &[usize], id: u32) {
    for node in order {
        restore(&cluster.places[*node], id);
    }
    let brokers: Vec<Running> = match cluster.places.len() {
        1 => vec![cluster.places[0].start()],
        _ => cluster.start(),
    };
    cluster.await_topology(0, all_led);
    let last = cluster.places.last().unwrap();
    let third = (INSTANCES / 3).to_string();
    let worked = last.skep(&["work", "payment", "--max", &third]);
    assert!(
        worked.contains(&format!("Completed {third} jobs")),
        "{worked}"
    );
    last.skep(&["backup", "take", &(id + 1).to_string(), "--wait"]);
    lose_all(cluster, brokers);
}

#[test]
fn a_backup_restores_to_other_numbers_of_brokers_and_replicas_in_any_order() {
    let (three, brokers) = with_backup();
    lose_all(&three, brokers);
    let store = "ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH";
    let backups = three.places[0].variable(store).to_owned();
    let with_backups = |size: u32, replication_factor: u32| {
        let mut cluster = Cluster::new(size, PARTITIONS, replication_factor);
        for place in &mut cluster.places {
            place.set(store, &backups);
        }
        cluster
    };
    let [one, five] = [(1, 1), (5, 3)].map(|(size, factor)| with_backups(size, factor));
    go_on(&one, &[0], 1);
    go_on(&three, &[2, 0, 1], 2);
    go_on(&five, &[4, 1, 3, 0, 2], 3);
    // All jobs are done.
    three.places.iter().for_each(|place| restore(place, 4));
    let brokers = three.start();
    let worked = three.places[1].skep(&["work", "payment", "--idle", "1s"]);
    assert!(worked.contains("Completed 0 jobs"), "{worked}");
    let shipped = three.places[1].skep(&["work", "shipping", "--max", &INSTANCES.to_string()]);
    assert!(
        shipped.contains(&format!("Completed {INSTANCES} jobs")),
        "{shipped}"
    );
    drop(brokers);
}

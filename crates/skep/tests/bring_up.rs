//! Replicas that lack more of the log than is kept, or have lost their data: brought up by their leader's content.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::cluster::{Cluster, Topology, begin};
use common::orders::{Load, create, deploy, each_once, fill};
use common::small_disk::{SmallDisk, with_small_disks};
use common::{PATIENCE, Place};
use serde_json::json;

/// Bytes of an instance's variable: not far below a chunk's.
const LARGE: u64 = 800_000;

const BROUGHT_UP: &str = "brought up by the leader's content";

/// Three brokers that keep little log for others.
fn cluster(partitions: u32) -> Cluster {
    let mut cluster = Cluster::new(3, partitions, 3);
    let key = "ZEEBE_BROKER_EXPERIMENTAL_RAFT_PREFERSNAPSHOTREPLICATIONTHRESHOLD";
    cluster.set(key, "5");
    cluster
}

fn whole(partitions: usize) -> impl Fn(&Topology) -> bool {
    move |seen| {
        seen.count("LEADER, HEALTHY") == partitions
            && seen.count("FOLLOWER, HEALTHY") == 2 * partitions
    }
}

/// The value of a field in a line of the log.
fn field(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(&format!(" {name}=")).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Waits until so many files are in a directory, which may not exist yet.
fn await_files(directory: &Path, count: usize) {
    let end = Instant::now() + PATIENCE;
    let there = || std::fs::read_dir(directory).map_or(0, Iterator::count);
    while there() < count {
        assert!(Instant::now() < end, "{} files", there());
        // So soon that not all of them are there.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Has the broker lead partition 1 that should lead it.
#[track_caller]
fn make_lead(cluster: &Cluster, preferred: usize) {
    cluster.rebalance(preferred);
    cluster.await_topology(preferred, |seen| seen.leader(1) == Some(preferred));
}

#[test]
fn a_broker_that_has_lost_its_data_is_brought_up_though_it_is_killed_meanwhile_and_leads_later() {
    let cluster = cluster(1);
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[1]);
    cluster.await_topology(1, whole(1));
    brokers[0].take().unwrap().kill();
    places[0].lose_data();
    let others_lead = |seen: &Topology| seen.leader(1).is_some_and(|node| node != 0);
    cluster.await_topology(1, others_lead);
    let mut created = fill(places[1], 120, LARGE);
    let load = Load::begin(&places[1..], 2);
    load.await_more(100);

    let killed = begin(places[0]);
    await_files(&places[0].data().join("partitions/1.chunks"), 10);
    killed.kill();
    let mut broker = begin(places[0]);
    let fetched = broker.await_line("has fetched the leader's content");
    let (chunks, sent) = (field(&fetched, "chunks"), field(&fetched, "chunks_fetched"));
    assert!(chunks > 60, "{fetched}");
    assert!(
        sent <= chunks - 8,
        "what had come is not sent again: {fetched}"
    );
    broker.line(BROUGHT_UP);
    broker.line("votes from now on");
    brokers[0] = Some(broker);
    cluster.await_topology(1, whole(1));
    assert!(!places[0].data().join("partitions/1.chunks").exists());
    load.await_more(100);
    created = created.and(load.end());

    make_lead(&cluster, 0);
    places[0].take_backup(1);
    each_once(&created, places[0]);
    for broker in brokers.into_iter().flatten() {
        assert_eq!(broker.stop(), Some(0));
    }
}

#[test]
fn a_broker_that_was_away_too_long_is_sent_what_it_lacks_and_no_more() {
    let mut cluster = cluster(1);
    // It should lead afterwards.
    let nodes = [(0, 1), (1, 2), (2, 3)];
    let nodes = nodes.map(|(node, priority)| json!({ "nodeId": node, "priority": priority }));
    let listed = json!({ "partitionId": 1, "nodes": nodes }).to_string();
    cluster.set("ZEEBE_BROKER_EXPERIMENTAL_PARTITIONING_SCHEME", "FIXED");
    cluster.set("ZEEBE_BROKER_EXPERIMENTAL_PARTITIONING_FIXED", &listed);
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    cluster.await_topology(1, whole(1));
    let mut created = fill(places[1], 60, LARGE);
    brokers[2].take().unwrap().kill();
    created = created.and(fill(places[1], 90, LARGE));
    let mut broker = begin(places[2]);
    let fetched = broker.await_line("has fetched the leader's content");
    let (chunks, sent) = (field(&fetched, "chunks"), field(&fetched, "chunks_fetched"));
    assert!(sent + 20 < chunks, "what it had is not sent: {fetched}");
    broker.line(BROUGHT_UP);
    brokers[2] = Some(broker);
    cluster.await_topology(1, whole(1));
    make_lead(&cluster, 2);
    each_once(&created, places[2]);
}

#[test]
fn in_a_restored_cluster_an_empty_broker_that_is_told_of_the_restore_is_brought_up() {
    let cluster = cluster(1);
    let places: Vec<&Place> = cluster.places.iter().collect();
    let brokers = cluster.start();
    deploy(places[0]);
    let mut created = create(places[0], 20);
    places[1].take_backup(1);
    drop(brokers);
    for place in &places {
        place.lose_data();
        place.skep(&["restore", "--backupId=1"]);
    }
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    created = created.and(create(places[0], 10));
    brokers[0].take().unwrap().kill();
    places[0].lose_data();
    std::fs::create_dir(places[0].data()).unwrap();
    let marker = "restore-marker.json";
    std::fs::copy(places[1].data().join(marker), places[0].data().join(marker)).unwrap();
    let mut broker = begin(places[0]);
    broker.line("votes from now on");
    brokers[0] = Some(broker);
    cluster.await_topology(1, whole(1));
    make_lead(&cluster, 0);
    each_once(&created, places[0]);
}

#[test]
fn a_partition_whose_directory_is_lost_is_brought_up_and_the_others_are_left_alone() {
    let cluster = cluster(2);
    let places: Vec<&Place> = cluster.places.iter().collect();
    let mut brokers: Vec<_> = cluster.start().into_iter().map(Some).collect();
    deploy(places[0]);
    cluster.await_topology(1, whole(2));
    // Some of it is of each partition.
    let mut created = fill(places[1], 240, LARGE);
    brokers[2].take().unwrap().kill();
    std::fs::remove_dir_all(places[2].data().join("partitions/1")).unwrap();
    created = created.and(fill(places[1], 4, 100));
    let mut broker = begin(places[2]);
    let said = broker.await_line(BROUGHT_UP);
    assert_eq!(field(&said, "group"), 1, "{said}");
    broker.line("votes from now on");
    brokers[2] = Some(broker);
    cluster.await_topology(1, whole(2));
    brokers[1].take().unwrap().kill();
    let led = |seen: &Topology| (1..=2).all(|one| seen.leader(one).is_some_and(|node| node != 1));
    cluster.await_topology(2, led);
    each_once(&created, places[2]);
}

#[test]
fn a_broker_whose_disk_is_full_is_brought_up_when_there_is_room() {
    with_small_disks(
        "a_broker_whose_disk_is_full_is_brought_up_when_there_is_room",
        || {
            let mut cluster = cluster(1);
            let small = &mut cluster.places[0];
            small.set("ZEEBE_BROKER_DATA_LOGSEGMENTSIZE", "8MB");
            small.set("ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING", "0");
            std::fs::create_dir(small.data()).unwrap();
            let disk = SmallDisk::mount(&small.data(), 256);
            let places: Vec<&Place> = cluster.places.iter().collect();
            let mut brokers = [None, Some(begin(places[1])), Some(begin(places[2]))];
            cluster.await_topology(1, |seen| seen.leader(1).is_some());
            deploy(places[1]);
            let mut created = fill(places[1], 60, LARGE);

            // Room for the log and a part of the content.
            let ballast = disk.take(216 << 20);
            let mut broker = begin(places[0]);
            let said = broker.await_line("the leader's content did not come");
            assert!(said.contains("No space left on device"), "{said}");
            let (ready, _) = places[0].get("/actuator/health/readiness");
            assert_ne!(ready, 200);
            created = created.and(fill(places[1], 4, 100));
            drop(ballast);
            broker.await_line("has fetched the leader's content");
            broker.line(BROUGHT_UP);
            broker.line("votes from now on");
            brokers[0] = Some(broker);
            cluster.await_topology(1, whole(1));
            make_lead(&cluster, 0);
            each_once(&created, places[0]);
        },
    );
}

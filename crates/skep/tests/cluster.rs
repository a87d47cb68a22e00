//! Several brokers as one cluster, each a process of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::time::Instant;

use common::cluster::{Cluster, await_status, begin};
use common::orders::{Load, create, deploy, each_once};
use common::{PATIENCE, PAUSE, Place, Running, SKEP};

#[test]
fn partitions_on_several_brokers_are_reached_through_each_of_them() {
    let cluster = Cluster::new(3, 3, 1);
    let [zero, one, two] = [0, 1, 2].map(|node| &cluster.places[node]);
    let brokers = cluster.start();
    for node in 0..3 {
        let topology = cluster.await_topology(node, |seen| seen.count("LEADER, HEALTHY") == 3);
        assert_eq!([1, 2, 3].map(|id| topology.leader(id)), [0, 1, 2].map(Some));
    }
    deploy(one);
    // The definition comes to the other partitions through their brokers.
    let load = Load::begin(&[zero, one, two], 2);
    load.await_more(300);
    let loaded = load.end();
    each_once(&loaded, two);

    let mut created = create(zero, 30);
    created.doubtful += loaded.doubtful;
    two.skep(&["backup", "take", "1", "--wait"]);
    let shown = one.skep(&["backup", "show", "1"]);
    assert!(shown.contains("COMPLETED"), "{shown}");
    brokers.into_iter().for_each(|broker| broker.kill());
    for place in &cluster.places {
        place.lose_data();
        place.skep(&["restore", "--backupId=1"]);
        let kept = std::fs::read_dir(place.data().join("partitions")).unwrap();
        assert_eq!(kept.count(), 1, "each restores what it keeps");
    }
    let brokers = cluster.start();
    each_once(&created, one);
    for broker in brokers {
        assert_eq!(broker.stop(), Some(0));
    }
}

#[test]
fn a_gateway_of_its_own_serves_brokers_that_have_none() {
    for size in [1, 2] {
        let mut cluster = Cluster::new(size, 2, 1);
        for place in &mut cluster.places {
            place.set("ZEEBE_BROKER_GATEWAY_ENABLE", "false");
        }
        let broker = &cluster.places[0];
        let mut front = Place::without_store(1);
        for (variable, of) in [
            (
                "ZEEBE_GATEWAY_NETWORK_PORT",
                "ZEEBE_BROKER_GATEWAY_NETWORK_PORT",
            ),
            ("ZEEBE_GATEWAY_NETWORK_HOST", "ZEEBE_BROKER_NETWORK_HOST"),
        ] {
            let value = front.variable(of).to_owned();
            front.set(variable, &value);
        }
        let contact = broker.variable("ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT");
        let contact = format!("127.0.0.1:{contact}");
        front.set("ZEEBE_GATEWAY_CLUSTER_INITIALCONTACTPOINTS", &contact);
        let mut gateway =
            Running::spawn_until(front.command(SKEP).arg("gateway"), "looks for brokers");
        let brokers = cluster.start();
        gateway.line("the gateway is running");
        let (status, _) = front.get("/actuator/health/startup");
        assert_eq!(status, 200);
        await_status(&front, |seen| seen.count("LEADER, HEALTHY") == 2);
        deploy(&front);
        front.skep(&["start", "order", "--count", "20"]);
        let worked = front.skep(&["work", "payment", "--max", "20", "--idle", "2m"]);
        assert!(worked.contains("Completed 20 jobs"), "{worked}");
        let worked = front.skep(&["work", "payment", "--idle", "1s"]);
        assert!(worked.contains("Completed 0 jobs"), "{worked}");
        manage_through(&front, broker);
        let loggers = "/actuator/loggers/io.camunda.zeebe";
        let debug = r#"{"configuredLevel": "DEBUG"}"#;
        assert_eq!(front.ask("POST", loggers, debug).0, 204);
        let said = gateway.await_line("what is logged has changed");
        let named = "logger=\"io.camunda.zeebe\" to=\"DEBUG\"";
        assert!(said.contains(named), "{said}");
        drop(brokers);
        // The gateway may not have heard yet that they are gone.
        let (status, said) = front.get("/actuator/backups");
        assert_eq!(status, 502, "{said}");
        assert!(said.contains("No broker is connected"), "{said}");
        assert_eq!(gateway.stop(), Some(0));
    }
}

/// What a gateway of its own has of the management API, as one of its brokers has it.
fn manage_through(front: &Place, broker: &Place) {
    front.skep(&["backup", "take", "1", "--wait"]);
    let shown = front.get("/actuator/backupRuntime/1");
    assert!(shown.1.contains("COMPLETED"), "{shown:?}");
    assert_eq!(shown, broker.get("/actuator/backupRuntime/1"));
    assert_eq!(
        front
            .ask("POST", "/actuator/backups", r#"{"backupId": 1}"#)
            .0,
        409
    );
    assert_eq!(front.ask("DELETE", "/actuator/backups/1", "").0, 204);
    // It may still be listed for a moment.
    let end = Instant::now() + PATIENCE;
    while front.get("/actuator/backupRuntime/1").0 != 404 {
        assert!(Instant::now() < end, "it is not deleted");
        std::thread::sleep(PAUSE);
    }
    let cluster = front.get("/actuator/cluster");
    assert_eq!(cluster.0, 200);
    assert_eq!(cluster, broker.get("/actuator/cluster"));
    assert_eq!(front.ask("POST", "/actuator/rebalance", "").0, 204);
    assert_eq!(front.get("/actuator/partitions").0, 404, "it keeps none");
    let (status, metrics) = front.get("/actuator/prometheus");
    assert_eq!(status, 200);
    let leads = r#"zeebe_gateway_topology_partition_roles{partition="1",broker="0"} 3"#;
    assert!(metrics.contains(leads), "{metrics}");
}

#[test]
fn where_a_broker_is_missing_the_others_go_on_with_their_partitions() {
    let cluster = Cluster::new(3, 3, 1);
    let [zero, one, two] = [0, 1, 2].map(|node| &cluster.places[node]);
    let mut brokers = cluster.start();
    deploy(zero);
    let created = create(zero, 3);
    brokers.remove(2).kill();
    for node in [0, 1] {
        cluster.await_topology(node, |seen| seen.leader(3).is_none());
    }
    let load = Load::begin(&[zero, one], 2);
    load.await_more(100);
    let created = created.and(load.end());
    let (code, said) = one.fails(&["backup", "take", "1"]);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("Partition 3 has no leader at present"),
        "{said}"
    );
    brokers.push(two.start());
    cluster.await_topology(0, |seen| seen.leader(3) == Some(2));
    // Those of the partition that was away are there again.
    each_once(&created, zero);
}

#[test]
fn brokers_that_are_configured_differently_refuse_each_other_and_say_why() {
    let mut cluster = Cluster::new(2, 2, 1);
    let mut first = begin(&cluster.places[0]);
    for (variable, value, reason) in [
        ("ZEEBE_BROKER_CLUSTER_CLUSTERNAME", "other", "clusterName"),
        (
            "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT",
            "3",
            "partitionsCount",
        ),
        ("ZEEBE_BROKER_CLUSTER_NODEID", "0", "nodeId"),
    ] {
        let second = &mut cluster.places[1];
        let before = second.variables.clone();
        second.set(variable, value);
        let mut other = begin(second);
        other.await_line_with(&["no connection to the node there", reason]);
        first.await_line_with(&["refused a connection", reason]);
        other.kill();
        second.variables = before;
    }
    let second = begin(&cluster.places[1]);
    first.line("the broker is running");
    drop(second);
}

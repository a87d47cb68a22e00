//! Brokers and gateways that speak mutual TLS with each other, and those that are not let in.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::certificates::secure;
use common::cluster::{Cluster, await_status, begin};
use common::orders::{create, deploy, each_once};
use common::{PATIENCE, Place, Running, SKEP};
use skep_tls::testkit::{Authority, Files};

const NODES: &str = "ZEEBE_BROKER_NETWORK";

struct Keys {
    directory: tempfile::TempDir,
    ours: Authority,
}

impl Keys {
    fn new() -> Keys {
        Keys {
            directory: tempfile::tempdir().unwrap(),
            ours: Authority::new("ours"),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Three brokers with certificates of our authority, which they demand of each other.
    fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new(3, 3, 3);
        let trusted = self.ours.file(self.path(), "authority");
        for (node, place) in cluster.places.iter_mut().enumerate() {
            let files = self.ours.sign(self.path(), &format!("broker-{node}"));
            secure(place, NODES, &files, Some(&trusted));
        }
        cluster
    }
}

#[test]
fn brokers_and_a_gateway_work_over_mutual_tls_and_take_a_backup() {
    let keys = Keys::new();
    let cluster = keys.cluster();
    let brokers = cluster.start();
    let [zero, one, two] = [0, 1, 2].map(|node| &cluster.places[node]);
    cluster.await_topology(0, |seen| seen.count(", HEALTHY") == 9);
    deploy(zero);

    let mut front = Place::without_store(1);
    let port = front
        .variable("ZEEBE_BROKER_GATEWAY_NETWORK_PORT")
        .to_owned();
    front.set("ZEEBE_GATEWAY_NETWORK_PORT", &port);
    front.set("ZEEBE_GATEWAY_NETWORK_HOST", "127.0.0.1");
    let contact = zero.variable("ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT");
    let contact = format!("127.0.0.1:{contact}");
    front.set("ZEEBE_GATEWAY_CLUSTER_INITIALCONTACTPOINTS", &contact);
    let files = keys.ours.sign(keys.path(), "gateway");
    let trusted = keys.ours.file(keys.path(), "authority");
    secure(&mut front, "ZEEBE_GATEWAY_CLUSTER", &files, Some(&trusted));
    let gateway = Running::spawn_until(front.command(SKEP).arg("gateway"), "gateway is running");
    await_status(&front, |seen| seen.count("LEADER, HEALTHY") == 3);

    let created = create(&front, 30);
    each_once(&created, two);
    one.take_backup(1);
    let shown = one.insist(&["backup", "show", "1"]);
    assert!(shown.contains("COMPLETED"), "{shown}");
    assert_eq!(gateway.stop(), Some(0));
    drop(brokers);
}

/// Starts the third broker with `change`, and waits until it and the first one say this of their connection.
#[track_caller]
fn refused(
    cluster: &mut Cluster,
    first: &mut Running,
    change: impl FnOnce(&mut Place),
    (here, there): (&str, &str),
) {
    let third = &mut cluster.places[2];
    let before = third.variables.clone();
    change(third);
    let mut stray = begin(third);
    first.await_line_with(&["a connection", here]);
    stray.await_line_with(&["connection", there]);
    stray.kill();
    cluster.places[2].variables = before;
}

#[test]
fn a_broker_without_an_accepted_certificate_is_refused_and_both_sides_say_why() {
    let keys = Keys::new();
    let mut cluster = keys.cluster();
    let mut first = begin(&cluster.places[0]);
    let second = begin(&cluster.places[1]);
    first.line("the broker is running");

    let foreign = Authority::new("foreign").sign(keys.path(), "foreign");
    let expired = keys.ours.sign_until(keys.path(), "expired", 2020);
    let shows = |files: Files| {
        move |place: &mut Place| {
            secure(place, NODES, &files, None);
        }
    };
    let not_accepted = "it does not accept the certificate or the TLS of this side";
    let says = (
        "its certificate is not accepted: UnknownIssuer",
        not_accepted,
    );
    refused(&mut cluster, &mut first, shows(foreign), says);
    let says = (
        "its certificate is not accepted: it has expired",
        not_accepted,
    );
    refused(&mut cluster, &mut first, shows(expired), says);
    let plain = |place: &mut Place| place.set(&format!("{NODES}_SECURITY_ENABLED"), "false");
    let says = (
        "it speaks no TLS",
        "it speaks TLS, which this node does not",
    );
    refused(&mut cluster, &mut first, plain, says);

    // With its own certificate it is welcome, and two of three have gone on without it.
    let third = cluster.places[2].start();
    cluster.await_topology(0, |seen| seen.count(", HEALTHY") == 9);
    drop((second, third));
}

/// Waits until a broker has taken a new certificate for connections between nodes, or refused it: files are looked at every ten seconds.
#[track_caller]
fn await_renewal(place: &Place, result: &str) {
    let server = "server=\"connections between nodes\"";
    let line = format!("skep_certificate_renewals_total{{{server},result=\"{result}\"}} 1");
    let end = Instant::now() + PATIENCE;
    while !place.get("/actuator/prometheus").1.contains(&line) {
        assert!(Instant::now() < end, "it has not {result} anything");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_new_certificate_is_shown_to_who_comes_later_and_with_a_broken_one_the_old_is() {
    let keys = Keys::new();
    let new = Authority::new("new");
    let [old_file, new_file] = [
        keys.ours.file(keys.path(), "old"),
        new.file(keys.path(), "new"),
    ];
    let both_file = keys.path().join("both.pem");
    std::fs::write(&both_file, keys.ours.pem() + &new.pem()).unwrap();
    let mut cluster = keys.cluster();
    for place in &mut cluster.places {
        let both = both_file.to_str().unwrap();
        place.set(&format!("{NODES}_SECURITY_CLIENTAUTHORITIESPATH"), both);
    }
    let mut brokers = cluster.start();
    let all_healthy = |node| {
        cluster.await_topology(node, |seen| seen.count(", HEALTHY") == 9);
    };
    all_healthy(0);

    new.sign(keys.path(), "broker-0");
    std::fs::write(keys.path().join("broker-1.pem"), "no certificate").unwrap();
    await_renewal(&cluster.places[0], "renewed");
    await_renewal(&cluster.places[1], "refused");
    // What was connected before still is.
    all_healthy(0);

    // One that trusts the new authority alone knows the first broker, and not the second: neither has been restarted.
    let third = |trusted: &Path| {
        let mut command = cluster.places[2].command(SKEP);
        let authorities = format!("{NODES}_SECURITY_CLIENTAUTHORITIESPATH");
        Running::spawn_until(
            command.env(authorities, trusted).arg("broker"),
            "joins its cluster",
        )
    };
    assert_eq!(brokers.pop().unwrap().stop(), Some(0));
    let mut strict = third(&new_file);
    strict.line(": connected node=0");
    let refused = strict.line("no connection to the node there");
    let second = cluster.places[1].variable("ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT");
    assert!(refused.contains(second), "{refused}");
    let reason = "its certificate is not accepted: UnknownIssuer";
    assert!(refused.contains(reason), "{refused}");
    strict.kill();

    // One that trusts the old authority alone knows the second by what its file held before, and not the first.
    let mut former = third(&old_file);
    former.line(": connected node=1");
    let refused = former.line("no connection to the node there");
    let first = cluster.places[0].variable("ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT");
    assert!(refused.contains(first), "{refused}");
    former.kill();

    // With both authorities it is connected to both, and what was mended is used as well.
    new.sign(keys.path(), "broker-1");
    await_renewal(&cluster.places[1], "renewed");
    let third = third(&both_file);
    all_healthy(2);
    drop((brokers, third));
}

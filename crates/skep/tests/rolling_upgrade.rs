//! A cluster of two adjacent versions: brokers of an earlier build are replaced by this one's, one after the other, under load.
//!
//! `SKEP_PREVIOUS_PROGRAM` is the earlier build's program, which `tools/previous-build` builds.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;
#[path = "common/history/mod.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod history;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::cluster::{Cluster, Topology};
use common::orders::incompressible;
use common::{Place, Running, SKEP};
use history::client::{Answers, Client};
use history::ledger::{Cut, Ledger};
use history::load::{Load, Size};
use history::restored::{self, Restore};
use history::{PARTITIONS, process};
use tokio::runtime::Runtime;

const BROKERS: usize = 3;
/// Orders that must be delivered after each step.
const DELIVERIES: usize = 100;
/// What makes the log so long that its begin is given up: messages, and letters of each.
const LONG: (u64, u64) = (240, 800_000);
const SIZE: Size = Size {
    window: 64,
    pause: Duration::from_millis(50),
};

/// Brokers, each of one build or the other, under load.
struct Mixed {
    cluster: Cluster,
    client: Client,
    brokers: Vec<Option<Running>>,
    ledger: Arc<Ledger>,
    load: Load,
    cuts: Vec<Cut>,
}

fn whole(seen: &Topology) -> bool {
    seen.count("LEADER, HEALTHY") == PARTITIONS as usize
        && seen.count("FOLLOWER, HEALTHY") == (BROKERS - 1) * PARTITIONS as usize
}

fn start(place: &Place, program: &str) -> Running {
    Running::spawn_until(place.command(program).arg("broker"), "joins its cluster")
}

impl Mixed {
    /// All of them of the earlier build.
    fn begin(runtime: &Runtime, previous: &str) -> Mixed {
        // The earlier build knows no other time.
        let mut cluster =
            Cluster::new(BROKERS as u32, PARTITIONS, BROKERS as u32).failing_over_early();
        for place in &mut cluster.places {
            // So little log is kept that a broker that has lost its data needs the leader's content.
            let key = "ZEEBE_BROKER_EXPERIMENTAL_RAFT_PREFERSNAPSHOTREPLICATIONTHRESHOLD";
            place.set(key, "5");
            place.set("ZEEBE_BROKER_DATA_LOGSEGMENTSIZE", "8MB");
        }
        let places = &cluster.places;
        let mut brokers: Vec<_> = places.iter().map(|one| start(one, previous)).collect();
        for broker in &mut brokers {
            broker.line("the broker is running");
        }
        places[0].insist(&["deploy", process().to_str().unwrap()]);
        let addresses: Vec<&str> = places
            .iter()
            .map(|place| place.variable("ZEEBE_ADDRESS"))
            .collect();
        let _entered = runtime.enter();
        let client = Client::of(&addresses, Answers::MayBeLost);
        let ledger = Arc::new(Ledger::new(Answers::MayBeLost));
        let load = Load::start(runtime.handle(), client.clone(), Arc::clone(&ledger), SIZE);
        Mixed {
            cluster,
            client,
            brokers: brokers.into_iter().map(Some).collect(),
            ledger,
            load,
            cuts: Vec::new(),
        }
    }

    /// All replicas are there, orders are delivered, and a backup completes.
    fn goes_on(&mut self) {
        self.cluster.await_topology(0, whole);
        self.load.await_deliveries(DELIVERIES);
        let backup = self.cuts.len() as u64 + 1;
        let asked = self.ledger.now();
        let place = &self.cluster.places[backup as usize % BROKERS];
        place.begin_backup(backup);
        let answered = self.ledger.now();
        place.insist(&["backup", "wait", &backup.to_string()]);
        self.cuts.push(Cut {
            backup,
            asked,
            answered,
        });
    }

    fn start(&mut self, node: usize, program: &str) {
        let broker = start(&self.cluster.places[node], program);
        self.brokers[node] = Some(broker);
    }

    /// In order, as an operator does it.
    fn upgrade(&mut self, node: usize) {
        assert_eq!(self.brokers[node].take().unwrap().stop(), Some(0));
        self.start(node, SKEP);
        self.goes_on();
    }

    /// Killed; the others, of whatever build, elect leaders and deliver.
    fn kill(&mut self, node: usize) {
        self.brokers[node].take().unwrap().kill();
        let other = (node + 1) % BROKERS;
        self.cluster
            .await_topology(other, |seen| led_without(seen, node));
        self.load.await_deliveries(DELIVERIES);
    }

    /// Killed, and started again with its data.
    fn kill_and_start(&mut self, node: usize, program: &str) {
        self.kill(node);
        self.start(node, program);
        self.goes_on();
    }

    /// Killed, and started again without its data, when the others have no log from the beginning on.
    fn replace(&mut self, runtime: &Runtime, node: usize, program: &str) {
        self.kill(node);
        self.cluster.places[node].lose_data();
        let (messages, letters) = LONG;
        for number in 0..messages {
            let text = incompressible(number * letters, letters);
            runtime.block_on(self.client.publish_unheard(number, &text));
        }
        self.start(node, program);
        let broker = self.brokers[node].as_mut().unwrap();
        for _ in 0..PARTITIONS {
            broker.await_line("votes from now on");
        }
        broker.line("has fetched the leader's content");
        self.goes_on();
    }
}

fn led_without(seen: &Topology, node: usize) -> bool {
    (1..=PARTITIONS).all(|partition| seen.leader(partition).is_some_and(|leader| leader != node))
}

#[test]
#[ignore = "needs an earlier build's program: tools/previous-build"]
fn brokers_are_upgraded_one_after_the_other_and_nothing_is_lost_or_done_twice() {
    let previous = std::env::var("SKEP_PREVIOUS_PROGRAM");
    let previous = previous.expect("SKEP_PREVIOUS_PROGRAM, what tools/previous-build prints");
    let runtime = Runtime::new().unwrap();
    let mut mixed = Mixed::begin(&runtime, &previous);
    mixed.goes_on();
    mixed.upgrade(0);
    // One of this build among those of the other: each kind elects and catches up the other.
    mixed.kill_and_start(0, SKEP);
    mixed.replace(&runtime, 1, &previous);
    mixed.upgrade(1);
    mixed.replace(&runtime, 1, SKEP);
    mixed.kill_and_start(2, &previous);
    mixed.upgrade(2);

    let Mixed {
        cluster,
        client,
        brokers,
        ledger,
        load,
        cuts,
    } = mixed;
    runtime.block_on(load.finish());
    let orders = ledger.orders().clone();
    let last = Cut {
        backup: cuts.last().unwrap().backup,
        asked: ledger.now(),
        answered: ledger.now(),
    };
    let place = &cluster.places[0];
    let backups = PathBuf::from(place.variable("ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH"));
    runtime.block_on(restored::drive(place, client, &backups, last, &orders));
    for broker in brokers.into_iter().flatten() {
        assert_eq!(broker.stop(), Some(0));
    }
    let on_one = |cut: &Cut| Restore {
        cut: *cut,
        brokers: 1,
    };
    let restores: Vec<Restore> = cuts.iter().map(on_one).collect();
    restored::check_all(&runtime, &backups, &restores, &orders);
}

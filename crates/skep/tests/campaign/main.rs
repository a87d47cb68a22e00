//! A campaign of faults against three brokers that keep three replicas of everything, with a gateway of its own, under load.
//!
//! Brokers are killed, stopped, paused, cut off from each other, slowed down; their disks fill, become slow or fail to sync, their clocks jump;
//! meanwhile clients create orders, work on them and pay, and backups are taken. A history says what was sent when and what was
//! answered. For each run holds:
//!
//! - after every fault the cluster goes on to deliver orders;
//! - no order has two instances, and no step of an order two jobs, at any time;
//! - what was acknowledged is there in the end, every order comes to its end, and nothing is left of any instance;
//! - every backup that completes, restored into one broker or three, holds what its cut must and nothing else, and goes on to its end.
//!
//! The faults and their order come from a seed, which is printed: `SKEP_CAMPAIGN_SEED` repeats them, as far as real processes do.
//! `SKEP_CAMPAIGN_RUNS=10 SKEP_CAMPAIGN_FAULTS=50 cargo test --release --workspace --test campaign -- --nocapture` is the long one.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod failover;
#[path = "../common/history/mod.rs"]
#[allow(dead_code, reason = "each test uses a part")]
mod history;
mod network;
mod node;
mod plan;
mod preload;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::FaultyCluster;
use common::{PATIENCE, PAUSE, Running};
use history::client::{Answers, Client};
use history::ledger::{Cut, Ledger};
use history::load::{Load, Size};
use history::restored::{self, Restore};
use plan::{Fault, Random};
use tokio::runtime::Runtime;

const FAULTS: u64 = 10;
/// Before every so many faults a backup is asked for.
const BACKUP_EVERY: u64 = 4;
/// Every so many backups one is restored into three brokers, the others into one.
const RESTORED_ON_THREE_EVERY: usize = 4;
/// Orders that must be delivered after each fault.
const DELIVERIES_BETWEEN: usize = 10;
const SIZE: Size = Size {
    window: 64,
    pause: Duration::from_millis(100),
};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|value| value.parse().unwrap())
}

/// Of the clients, which leave the rest of the machine to the brokers.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn nothing_is_lost_or_done_twice_or_stuck_whatever_happens_to_brokers() {
    // The standard library seeds its hash maps from the system's entropy.
    let seed = number("SKEP_CAMPAIGN_SEED")
        .unwrap_or_else(|| std::hash::RandomState::new().build_hasher().finish() >> 32);
    for run in 0..number("SKEP_CAMPAIGN_RUNS").unwrap_or(1) {
        campaign(seed + run, number("SKEP_CAMPAIGN_FAULTS").unwrap_or(FAULTS));
    }
}

fn campaign(seed: u64, faults: u64) {
    println!("SKEP_CAMPAIGN_SEED={seed} repeats this run of {faults} faults");
    let runtime = runtime();
    let mut campaign = Campaign::begin(&runtime, seed);
    campaign.run(faults);
    campaign.end(&runtime);
}

struct Campaign {
    began: Instant,
    random: Random,
    cluster: FaultyCluster,
    gateway: Running,
    client: Client,
    ledger: Arc<Ledger>,
    load: Load,
    happened: BTreeMap<Fault, u64>,
    asked: u64,
    cuts: Vec<Cut>,
    /// Backups that were refused, with the reason, or failed.
    missing: Vec<String>,
}

impl Campaign {
    fn begin(runtime: &Runtime, seed: u64) -> Campaign {
        let mut cluster = FaultyCluster::start();
        let gateway = cluster.start_gateway();
        let process = history::process();
        cluster.nodes[0]
            .place
            .insist(&["deploy", process.to_str().unwrap()]);
        let _entered = runtime.enter();
        let client = Client::of(&cluster.addresses(), Answers::MayBeLost);
        let ledger = Arc::new(Ledger::new(Answers::MayBeLost));
        let load = Load::start(runtime.handle(), client.clone(), Arc::clone(&ledger), SIZE);
        load.await_deliveries(DELIVERIES_BETWEEN);
        Campaign {
            began: Instant::now(),
            random: Random(seed),
            cluster,
            gateway,
            client,
            ledger,
            load,
            happened: BTreeMap::new(),
            asked: 0,
            cuts: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn run(&mut self, faults: u64) {
        let mut done = 0;
        while done < faults {
            let backup = done % BACKUP_EVERY == 0;
            let early = self.random.percent(60);
            let taken_early = (backup && early).then(|| self.take_backup(0));
            let mut begun = vec![self.begin_fault()];
            // A quorum may be gone then.
            if self.random.percent(15) {
                begun.push(self.begin_fault());
            }
            let taken_late = (backup && !early).then(|| self.take_backup(1));
            std::thread::sleep(self.random.duration(200, 4_000));
            done += begun.len() as u64;
            self.cluster.end_faults(&begun);
            self.load.await_deliveries(DELIVERIES_BETWEEN);
            self.cluster.await_all_led();
            for cut in [taken_early, taken_late].into_iter().flatten().flatten() {
                self.await_backup(cut);
            }
        }
    }

    fn begin_fault(&mut self) -> (Fault, usize) {
        let fault = Fault::draw(&mut self.random);
        let node = self.random.below(3) as usize;
        println!("{:>7.1?}  {fault:?} of broker {node}", self.began.elapsed());
        *self.happened.entry(fault).or_default() += 1;
        self.cluster.begin_fault(fault, node, &mut self.random);
        (fault, node)
    }

    /// Asks for a backup at the gateway of some broker that runs. While nothing has happened to any of them, one is taken in the end.
    fn take_backup(&mut self, faults: usize) -> Option<Cut> {
        let end = Instant::now() + PATIENCE;
        loop {
            let node = self.cluster.one_that_answers()?;
            match self.try_backup(node) {
                Ok(cut) => return Some(cut),
                Err(refused) => {
                    let late = Instant::now() >= end;
                    assert!(faults > 0 || !late, "of a whole cluster, {refused}");
                    self.missing.push(refused);
                }
            }
            if faults > 0 {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn try_backup(&mut self, node: usize) -> Result<Cut, String> {
        self.asked += 1;
        let backup = self.asked;
        let asked = self.ledger.now();
        let taken = self.cluster.nodes[node]
            .place
            .run(&["backup", "take", &backup.to_string()]);
        let answered = self.ledger.now();
        if !taken.status.success() {
            return Err(format!("{backup} refused: {}", common::text_of(&taken)));
        }
        Ok(Cut {
            backup,
            asked,
            answered,
        })
    }

    fn await_backup(&mut self, cut: Cut) {
        match self.cluster.await_backup(cut.backup) {
            Ok(()) => self.cuts.push(cut),
            Err(state) => self.missing.push(format!("{} is {state}", cut.backup)),
        }
    }

    /// The cluster is whole again, and comes to its end; then all backups do.
    fn end(self, runtime: &Runtime) {
        let Campaign {
            mut cluster, load, ..
        } = self;
        runtime.block_on(load.finish());
        let orders = self.ledger.orders().clone();
        let now = self.ledger.now();
        let last = Cut {
            backup: self.asked,
            asked: now,
            answered: now,
        };
        let place = &cluster.nodes[0].place;
        let backups = cluster.backups();
        runtime.block_on(restored::drive(place, self.client, &backups, last, &orders));
        let loaded = self.began.elapsed();
        assert_eq!(self.gateway.stop(), Some(0));
        cluster.nodes.iter_mut().for_each(node::Node::stop);
        let restore = |(turn, cut): (usize, &Cut)| Restore {
            cut: *cut,
            brokers: if (turn + 1).is_multiple_of(RESTORED_ON_THREE_EVERY) {
                3
            } else {
                1
            },
        };
        let restores: Vec<_> = self.cuts.iter().enumerate().map(restore).collect();
        restored::check_all(runtime, &backups, &restores, &orders);
        let acknowledged = orders.iter().filter(|order| !order.doubtful).count();
        println!(
            "{} faults ({:?}); {} orders, {acknowledged} acknowledged; {} backups completed and restored; {} not: {:#?}; \
             {loaded:.0?}, with restores {:.0?}",
            self.happened.values().sum::<u64>(),
            self.happened,
            orders.len(),
            self.cuts.len(),
            self.missing.len(),
            self.missing,
            self.began.elapsed(),
        );
    }
}

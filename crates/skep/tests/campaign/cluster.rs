//! Three brokers, the network between them, and what a fault does to them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::common::cluster::Cluster;
use crate::common::{Place, Running, SKEP, free_port};
use crate::history::{PARTITIONS, PATIENCE};
use crate::network::{Link, Network};
use crate::node::Node;
use crate::plan::{Fault, Random};
use crate::preload::{self, Setting};

const BROKERS: u32 = 3;
/// Between two looks at something that changes by itself.
const PAUSE: Duration = Duration::from_millis(50);

pub struct FaultyCluster {
    pub nodes: Vec<Node>,
    network: Arc<Network>,
    gateway: Option<Place>,
    stuttering: Option<Stutter>,
    /// Holds the library that all brokers preload.
    _library: tempfile::TempDir,
}

/// A process that is paused and continued in turn.
struct Stutter {
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl FaultyCluster {
    /// Whose partitions are all led.
    pub fn start() -> FaultyCluster {
        let directory = tempfile::tempdir().unwrap();
        let library = preload::compile(directory.path());
        let ports: Vec<u16> = (0..BROKERS).map(|_| free_port()).collect();
        let proxies: Vec<u16> = (0..BROKERS).map(|_| free_port()).collect();
        let network = Arc::<Network>::default();
        for broker in 0..BROKERS {
            let at = broker as usize;
            let listener = TcpListener::bind(("127.0.0.1", proxies[at])).unwrap();
            network.serve(broker, listener, ports[at]);
        }
        let cluster = Cluster::reached_at(&ports, &proxies, PARTITIONS, BROKERS);
        let places = cluster.failing_over_early().places;
        let mut cluster = FaultyCluster {
            nodes: places
                .into_iter()
                .map(|mut place| {
                    // Nothing hangs: what cannot be done is refused in time.
                    place.set("ZEEBE_BROKER_GATEWAY_CLUSTER_REQUESTTIMEOUT", "5s");
                    Node::new(place, &library)
                })
                .collect(),
            network,
            gateway: None,
            stuttering: None,
            _library: directory,
        };
        cluster.nodes.iter_mut().for_each(Node::start);
        cluster.await_all_led();
        cluster
    }

    /// A gateway that keeps no partitions.
    pub fn start_gateway(&mut self) -> Running {
        let mut place = Place::without_store(PARTITIONS);
        let first = &self.nodes[0].place;
        let contacts = first.variable("ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS");
        let (_, port) = place.variable("ZEEBE_ADDRESS").rsplit_once(':').unwrap();
        let port = port.to_owned();
        let internal = free_port().to_string();
        for (name, value) in [
            ("CLUSTER_INITIALCONTACTPOINTS", contacts),
            ("CLUSTER_PORT", &internal),
            ("NETWORK_HOST", "127.0.0.1"),
            ("NETWORK_PORT", &port),
            ("CLUSTER_REQUESTTIMEOUT", "5s"),
        ] {
            place.set(&format!("ZEEBE_GATEWAY_{name}"), value);
        }
        let mut gateway =
            Running::spawn_until(place.command(SKEP).arg("gateway"), "looks for brokers");
        gateway.line("the gateway is running");
        self.gateway = Some(place);
        gateway
    }

    /// Where clients may go.
    pub fn addresses(&self) -> Vec<&str> {
        let places = self.nodes.iter().map(|node| &node.place);
        places
            .chain(&self.gateway)
            .map(|place| place.variable("ZEEBE_ADDRESS"))
            .collect()
    }

    pub fn backups(&self) -> PathBuf {
        let place = &self.nodes[0].place;
        PathBuf::from(place.variable("ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH"))
    }

    /// Begins a fault of one broker, or of all.
    pub fn begin_fault(&mut self, fault: Fault, node: usize, random: &mut Random) {
        let broker = &mut self.nodes[node];
        match fault {
            Fault::Kill => broker.kill(),
            Fault::KillAll => self.nodes.iter_mut().for_each(Node::kill),
            Fault::Stop if broker.runs() => broker.stop(),
            Fault::Stop => {}
            Fault::Pause => broker.signal("STOP"),
            Fault::Stutter => self.stutter(node),
            Fault::Cut => self.each_link(node, |network, this, other| {
                network.set(this, other, Link::Silent);
                network.set(other, this, Link::Silent);
                network.reset(this, other);
            }),
            Fault::Silence => self.each_link(node, |network, this, other| {
                network.set(this, other, Link::Silent);
                network.set(other, this, Link::Silent);
            }),
            Fault::SilenceOneWay => self.each_link(node, |network, this, other| {
                network.set(this, other, Link::Silent);
            }),
            Fault::Deafness => self.each_link(node, |network, this, other| {
                network.set(other, this, Link::Silent);
            }),
            Fault::SlowNetwork => {
                let delay = random.duration(20, 400);
                self.each_link(node, |network, this, other| {
                    network.set(this, other, Link::Slow(delay));
                    network.set(other, this, Link::Slow(delay));
                });
            }
            Fault::SlowDisk => {
                let slower = random.duration(20, 800).as_millis() as i64;
                broker.faults.set(Setting::SyncTakes, slower);
            }
            Fault::DiskFull => broker.faults.set(Setting::DiskFull, 1),
            Fault::SyncFails => broker.faults.set(Setting::SyncFails, 1),
            Fault::Clock => {
                let jump = random.duration(500, 3_600_000).as_millis() as i64;
                let jump = if random.percent(50) { jump } else { -jump };
                broker.faults.set(Setting::ClockAhead, jump);
            }
        }
    }

    /// Ends faults; a broker that has ended over one is started again.
    pub fn end_faults(&mut self, faults: &[(Fault, usize)]) {
        for (fault, node) in faults {
            self.lift(*fault, *node);
        }
        for (number, node) in self.nodes.iter_mut().enumerate() {
            if let Some(status) = node.ended() {
                println!("         broker {number} has ended over it: {status}");
                let may = [Fault::DiskFull, Fault::SyncFails].map(|fault| (fault, number));
                assert!(
                    may.iter().any(|fault| faults.contains(fault)),
                    "it should not have"
                );
            }
            node.start();
        }
    }

    fn lift(&mut self, fault: Fault, node: usize) {
        match fault {
            Fault::Pause => self.nodes[node].signal("CONT"),
            Fault::Stutter => {
                if let Some(stutter) = self.stuttering.take() {
                    stutter.end.store(true, Ordering::Relaxed);
                    stutter.thread.join().unwrap();
                }
            }
            Fault::Cut
            | Fault::Silence
            | Fault::SilenceOneWay
            | Fault::Deafness
            | Fault::SlowNetwork => {
                self.each_link(node, |network, this, other| {
                    network.set(this, other, Link::Whole);
                    network.set(other, this, Link::Whole);
                });
            }
            Fault::SlowDisk => self.nodes[node].faults.set(Setting::SyncTakes, 0),
            Fault::DiskFull => self.nodes[node].faults.set(Setting::DiskFull, 0),
            Fault::SyncFails => {
                self.nodes[node].faults.set(Setting::SyncFails, 0);
                // It does not trust its disk any more until it is started again.
                self.nodes[node].kill();
            }
            Fault::Clock => self.nodes[node].faults.set(Setting::ClockAhead, 0),
            Fault::Kill | Fault::KillAll | Fault::Stop => {}
        }
    }

    fn each_link(&self, node: usize, act: impl Fn(&Network, u32, u32)) {
        let this = node as u32;
        for other in (0..BROKERS).filter(|other| *other != this) {
            act(&self.network, this, other);
        }
    }

    fn stutter(&mut self, node: usize) {
        if self.stuttering.is_some() {
            return;
        }
        let Some(process) = self.nodes[node].process() else {
            return;
        };
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // It may be killed meanwhile.
                for (signal, ms) in [("STOP", 150), ("CONT", 50)] {
                    let _ = std::process::Command::new("kill")
                        .args(["-s", signal, &process.to_string()])
                        .stderr(std::process::Stdio::null())
                        .status();
                    std::thread::sleep(Duration::from_millis(ms));
                }
            }
        });
        self.stuttering = Some(Stutter { end, thread });
    }

    /// A broker whose management API answers.
    pub fn one_that_answers(&mut self) -> Option<usize> {
        (0..self.nodes.len()).find(|node| {
            let node = &mut self.nodes[*node];
            node.runs() && !node.is_paused()
        })
    }

    /// Waits until each broker sees a leader of each partition.
    #[track_caller]
    pub fn await_all_led(&mut self) {
        let end = Instant::now() + PATIENCE;
        for node in 0..self.nodes.len() {
            loop {
                let ready = self.nodes[node].place.try_get("/ready");
                if ready.as_ref().is_ok_and(|(status, _)| *status < 300) {
                    break;
                }
                assert!(
                    Instant::now() < end,
                    "broker {node} is not ready: {ready:?}"
                );
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Waits until a backup has ended, and gives its state unless it is completed.
    pub fn await_backup(&self, backup: u64) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let (_, body) = self.nodes[0]
                .place
                .get(&format!("/actuator/backups/{backup}"));
            let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
            let state = answer["state"].as_str().unwrap_or_default();
            match state {
                "COMPLETED" => return Ok(()),
                "FAILED" => return Err(body),
                _ => assert!(Instant::now() < end, "backup {backup} is not done: {body}"),
            }
            std::thread::sleep(PAUSE);
        }
    }
}

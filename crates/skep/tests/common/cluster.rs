//! Several brokers on this machine, as one cluster with one backup store.

use std::time::Instant;

use super::{PATIENCE, PAUSE, Place, Running, SKEP, free_port, text_of};

/// Silence of a leader after which another broker is elected. All brokers share this machine and its disk, which may stand still for
/// longer than the default; tests of which failover is the subject have that.
const ELECTION_TIMEOUT: &str = "3s";

/// The places of the brokers.
pub struct Cluster {
    pub places: Vec<Place>,
}

/// What Topology says.
pub struct Topology(String);

impl Cluster {
    pub fn new(size: u32, partitions: u32, replication_factor: u32) -> Cluster {
        let ports: Vec<u16> = (0..size).map(|_| free_port()).collect();
        Cluster::reached_at(&ports, &ports, partitions, replication_factor)
    }

    /// Brokers that listen at `ports`, and that others reach at `advertised`.
    pub fn reached_at(
        ports: &[u16],
        advertised: &[u16],
        partitions: u32,
        replication_factor: u32,
    ) -> Cluster {
        let size = ports.len();
        let contacts: Vec<String> = advertised
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let mut places: Vec<Place> = (0..size)
            .map(|_| Place::without_store(partitions))
            .collect();
        let backups = places[0].directory.path().join("backups");
        std::fs::create_dir(&backups).unwrap();
        for (node, place) in places.iter_mut().enumerate() {
            let mut set = |name: &str, value: &str| {
                place.set(&format!("ZEEBE_BROKER_{name}"), value);
            };
            set("CLUSTER_NODEID", &node.to_string());
            set("CLUSTER_CLUSTERSIZE", &size.to_string());
            set("CLUSTER_REPLICATIONFACTOR", &replication_factor.to_string());
            set("CLUSTER_INITIALCONTACTPOINTS", &contacts.join(","));
            set("CLUSTER_ELECTIONTIMEOUT", ELECTION_TIMEOUT);
            set("NETWORK_INTERNALAPI_PORT", &ports[node].to_string());
            set(
                "NETWORK_INTERNALAPI_ADVERTISEDPORT",
                &advertised[node].to_string(),
            );
            set("DATA_BACKUP_STORE", "FILESYSTEM");
            set("DATA_BACKUP_FILESYSTEM_BASEPATH", backups.to_str().unwrap());
        }
        Cluster { places }
    }

    /// Sets a variable of all brokers.
    pub fn set(&mut self, name: &str, value: &str) {
        self.places
            .iter_mut()
            .for_each(|place| place.set(name, value));
    }

    /// With the time for failover that brokers have by default.
    pub fn failing_over_early(mut self) -> Cluster {
        self.set("ZEEBE_BROKER_CLUSTER_ELECTIONTIMEOUT", "1s");
        self
    }

    /// Starts all brokers at once, and waits until each has found its place and votes: the first may be killed then.
    pub fn start(&self) -> Vec<Running> {
        if let [alone] = self.places.as_slice() {
            return vec![alone.start()];
        }
        let mut brokers: Vec<Running> = self.places.iter().map(begin).collect();
        for broker in &mut brokers {
            broker.line("the broker is running");
        }
        self.places.iter().for_each(await_ready);
        brokers
    }

    /// What a broker's gateway says of the cluster.
    #[track_caller]
    pub fn topology(&self, node: usize) -> Topology {
        Topology(self.places[node].insist(&["status"]))
    }

    /// Has each partition be led by the broker that should lead it.
    #[track_caller]
    pub fn rebalance(&self, asked: usize) {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.places[asked].ask("POST", "/actuator/rebalance", "");
            if status == 204 {
                return;
            }
            assert!(Instant::now() < end, "{status}: {body}");
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks a broker's gateway until it says what is wanted.
    #[track_caller]
    pub fn await_topology(&self, node: usize, wanted: impl Fn(&Topology) -> bool) -> Topology {
        await_status(&self.places[node], wanted)
    }
}

/// Asks a gateway until it says what is wanted.
#[track_caller]
pub fn await_status(place: &Place, wanted: impl Fn(&Topology) -> bool) -> Topology {
    let end = Instant::now() + PATIENCE;
    loop {
        let output = place.run(&["status"]);
        let topology = Topology(text_of(&output));
        if output.status.success() && wanted(&topology) {
            return topology;
        }
        assert!(Instant::now() < end, "{}", topology.0);
        std::thread::sleep(PAUSE);
    }
}

/// Waits until a broker says that it is ready.
#[track_caller]
pub fn await_ready(place: &Place) {
    let end = Instant::now() + PATIENCE;
    let readiness = || place.try_get("/actuator/health/readiness");
    while !readiness().is_ok_and(|(status, _)| status == 200) {
        assert!(Instant::now() < end, "it is not ready");
        std::thread::sleep(PAUSE);
    }
}

/// Starts a broker and waits until it takes part, which does not need the others yet.
pub fn begin(place: &Place) -> Running {
    Running::spawn_until(place.command(SKEP).arg("broker"), "joins its cluster")
}

impl Topology {
    /// The broker that leads a partition.
    pub fn leader(&self, partition: u32) -> Option<usize> {
        let wanted = format!("partition {partition}: LEADER");
        let mut broker = None;
        for line in self.0.lines() {
            if let Some(rest) = line.strip_prefix("Broker ") {
                let number = rest.split(' ').next().unwrap();
                broker = Some(number.parse().unwrap());
            }
            if line.contains(&wanted) {
                return broker;
            }
        }
        None
    }

    /// How many replicas there are whose line contains the text.
    pub fn count(&self, text: &str) -> usize {
        self.0.lines().filter(|line| line.contains(text)).count()
    }
}

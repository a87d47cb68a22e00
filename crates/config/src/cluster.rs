//! How brokers form a cluster: how many there are, which of them keeps which partitions, how they reach one another.

use std::net::SocketAddr;
use std::time::Duration;

use crate::broker::address;
use crate::partitioning::{Distribution, distribution};
use crate::tls::{TlsConfig, TlsKeys};
use crate::{ConfigError, Source};

/// The cluster that a broker is part of.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// How many brokers there are, numbered from 0.
    pub size: u32,
    /// Replicas of each partition.
    pub replication_factor: u32,
    /// Which broker keeps which partitions.
    pub distribution: Distribution,
    /// How other nodes reach this broker; `None` if there are none.
    pub internal: Option<InternalConfig>,
    /// Log entries that are kept for a replica that lacks them, if there are not too many bytes of them.
    pub kept_entries_max: u64,
    /// When a partition's leader is taken for lost.
    pub elections: ElectionConfig,
}

/// How long leaders may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElectionConfig {
    /// Between two signs of life of a leader.
    pub heartbeat: Duration,
    /// Silence after which the broker that should lead next stands for election; the others wait longer, at most twice as long.
    pub timeout: Duration,
}

/// Where a broker listens for other nodes, and where it finds them.
#[derive(Debug, Clone)]
pub struct InternalConfig {
    /// Its address.
    pub address: SocketAddr,
    /// Host at which other nodes reach it.
    pub advertised_host: String,
    /// Port at which other nodes reach it; the one that it listens on if not given.
    pub advertised_port: Option<u16>,
    /// Addresses of other nodes, `host:port`.
    pub contacts: Vec<String>,
    /// Its certificate, which it shows to nodes that dial it and that it dials; `None` if they do without TLS.
    pub tls: Option<TlsConfig>,
}

/// More brokers than that have not been tried.
const CLUSTER_SIZE_MAX: u64 = 64;
/// Partitions are threads; more than this many are better served by another cluster.
pub const PARTITIONS_MAX: u64 = 64;
const HEARTBEAT_MIN: Duration = Duration::from_millis(10);
const HEARTBEAT_MAX: Duration = Duration::from_secs(10);
/// A leader counts as one for half of the timeout after others have answered.
const TIMEOUT_IN_HEARTBEATS: u32 = 5;
const TIMEOUT_MAX: Duration = Duration::from_secs(300);
/// Port of a node for other nodes.
const INTERNAL_PORT: u16 = 26_502;

const SIZE: &str = "zeebe.broker.cluster.clusterSize";
const FACTOR: &str = "zeebe.broker.cluster.replicationFactor";
const CONTACTS: &str = "zeebe.broker.cluster.initialContactPoints";

impl ClusterConfig {
    /// Reads and checks it. Gives also the broker's number and the number of partitions.
    pub(crate) fn from_source(source: &Source) -> Result<(ClusterConfig, u32, u32), ConfigError> {
        let size = source.number(SIZE, 1, CLUSTER_SIZE_MAX)? as u32;
        let replication_factor = source.number(FACTOR, 1, CLUSTER_SIZE_MAX)? as u32;
        if replication_factor > size {
            let expected = format!(
                "at most the number of brokers, {SIZE}, which is {size}: each replica needs a broker of its own"
            );
            return Err(source.wrong(FACTOR, &source.text(FACTOR), &expected));
        }
        let node_key = "zeebe.broker.cluster.nodeId";
        let node_id = source.number(node_key, 0, u64::from(u32::MAX))? as u32;
        if node_id >= size {
            let expected = format!(
                "less than the number of brokers, {SIZE}, which is {size}: brokers are numbered from 0"
            );
            return Err(source.wrong(node_key, &source.text(node_key), &expected));
        }
        let partitions_key = "zeebe.broker.cluster.partitionsCount";
        let partitions = source.number(partitions_key, 1, PARTITIONS_MAX)? as u32;
        let distribution = distribution(source, partitions, size, replication_factor)?;
        let cluster = ClusterConfig {
            size,
            replication_factor,
            distribution,
            internal: internal(source, size)?,
            kept_entries_max: kept_entries_max(source)?,
            elections: elections(source)?,
        };
        Ok((cluster, node_id, partitions))
    }
}

fn elections(source: &Source) -> Result<ElectionConfig, ConfigError> {
    let (heartbeat_key, timeout_key) = (
        "zeebe.broker.cluster.heartbeatInterval",
        "zeebe.broker.cluster.electionTimeout",
    );
    let heartbeat = source.duration(heartbeat_key)?;
    if !(HEARTBEAT_MIN..=HEARTBEAT_MAX).contains(&heartbeat) {
        let expected = format!("a duration from {HEARTBEAT_MIN:?} to {HEARTBEAT_MAX:?}");
        return Err(source.wrong(heartbeat_key, &source.text(heartbeat_key), &expected));
    }
    let timeout = source.duration(timeout_key)?;
    if !(heartbeat * TIMEOUT_IN_HEARTBEATS..=TIMEOUT_MAX).contains(&timeout) {
        let expected = format!(
            "a duration of at least {TIMEOUT_IN_HEARTBEATS} times {heartbeat_key}, which is {heartbeat:?}, so that a late heartbeat \
             is not taken for a lost leader, and of at most {TIMEOUT_MAX:?}"
        );
        return Err(source.wrong(timeout_key, &source.text(timeout_key), &expected));
    }
    Ok(ElectionConfig { heartbeat, timeout })
}

/// 0 stands for no limit besides that of bytes.
fn kept_entries_max(source: &Source) -> Result<u64, ConfigError> {
    let key = "zeebe.broker.experimental.raft.preferSnapshotReplicationThreshold";
    Ok(match source.number(key, 0, u64::MAX)? {
        0 => u64::MAX,
        entries => entries,
    })
}

/// The internal port is open only where another node may need it.
fn internal(source: &Source, size: u32) -> Result<Option<InternalConfig>, ConfigError> {
    let address = internal_address(source)?;
    let port_key = "zeebe.broker.network.internalApi.advertisedPort";
    let advertised_port = match source.given(port_key) {
        Some(_) => Some(source.number(port_key, 1, 65_535)? as u16),
        None => None,
    };
    let contacts = contacts(source, CONTACTS)?;
    if size == 1 && source.boolean("zeebe.broker.gateway.enable")? {
        return Ok(None);
    }
    if size > 1 && contacts.is_empty() {
        return Err(ConfigError::Incomplete(format!(
            "{SIZE} is {size}, but this broker does not know where the others are: set {CONTACTS} (ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS) to the \
             internal addresses of some brokers, separated by commas, such as broker-0:{INTERNAL_PORT},broker-1:{INTERNAL_PORT}; the list may be the same on all brokers."
        )));
    }
    let host_key = "zeebe.broker.network.internalApi.advertisedHost";
    let advertised_host = source
        .optional_text(host_key)
        .unwrap_or_else(|| source.text("zeebe.broker.network.advertisedHost"));
    Ok(Some(InternalConfig {
        address,
        advertised_host,
        advertised_port,
        contacts,
        tls: TlsConfig::from_source(source, &TlsKeys::of_zeebe("zeebe.broker.network"))?,
    }))
}

fn internal_address(source: &Source) -> Result<SocketAddr, ConfigError> {
    let own_key = "zeebe.broker.network.internalApi.host";
    let (host_key, host) = match source.optional_text(own_key) {
        Some(host) => (own_key, host),
        None => (
            "zeebe.broker.network.host",
            source.text("zeebe.broker.network.host"),
        ),
    };
    let port_key = "zeebe.broker.network.internalApi.port";
    address(source, host_key, &host, port_key)
}

/// Addresses of nodes, separated by commas; the port may be left out where it is the usual one.
pub(crate) fn contacts(source: &Source, key: &str) -> Result<Vec<String>, ConfigError> {
    let text = source.text(key);
    let mut contacts = Vec::new();
    for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let valid = match one.rsplit_once(':') {
            // An IPv6 address has its colons in brackets.
            _ if one.ends_with(']') => Some(format!("{one}:{INTERNAL_PORT}")),
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Some(one.to_owned())
            }
            Some(_) => None,
            None => Some(format!("{one}:{INTERNAL_PORT}")),
        };
        contacts.push(valid.ok_or_else(|| {
            source.wrong(
                key,
                one,
                "addresses host:port, separated by commas, such as broker-0:26502,broker-1:26502",
            )
        })?);
    }
    Ok(contacts)
}

//! A broker's configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::tls::{TlsConfig, TlsKeys};
use crate::{
    AuthenticationConfig, BackupConfig, ClusterConfig, ConfigError, ExporterConfig,
    FlowControlConfig, Source,
};

/// Everything that a broker needs to know. Restore reads the same.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Number of this broker.
    pub node_id: u32,
    /// Number of partitions.
    pub partitions_count: u32,
    /// The cluster that it is part of.
    pub cluster: ClusterConfig,
    /// Name of the cluster.
    pub cluster_name: String,
    /// Address that clients are shown.
    pub advertised_host: String,
    /// Data directory and log.
    pub data: DataConfig,
    /// How much each partition takes in.
    pub flow_control: FlowControlConfig,
    /// Backups.
    pub backup: BackupConfig,
    /// Exporters, in order of their ids.
    pub exporters: Vec<ExporterConfig>,
    /// The embedded gateway; `None` if switched off.
    pub gateway: Option<GatewayListenConfig>,
    /// The management API.
    pub management: ManagementConfig,
}

/// Data directory and log.
#[derive(Debug, Clone)]
pub struct DataConfig {
    /// Where the broker keeps its log and state.
    pub directory: PathBuf,
    /// Size of one log file.
    pub log_segment_bytes: u64,
    /// Free space below which commands are refused.
    pub free_space_bytes: u64,
}

/// Where and how the gateway listens.
#[derive(Debug, Clone)]
pub struct GatewayListenConfig {
    /// Its address.
    pub address: SocketAddr,
    /// Largest message.
    pub max_message_bytes: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Waiting for jobs.
    pub long_polling: LongPolling,
    /// Its certificate; `None` if it does without TLS.
    pub tls: Option<TlsConfig>,
    /// How clients show who they are, by gRPC and by REST; `None` if everybody is let in.
    pub authentication: Option<AuthenticationConfig>,
    /// The REST API; `None` if switched off.
    pub rest: Option<RestConfig>,
}

/// Where the REST API listens.
#[derive(Debug, Clone)]
pub struct RestConfig {
    /// Its address.
    pub address: SocketAddr,
    /// Its certificate; `None` if it does without TLS.
    pub tls: Option<TlsConfig>,
    /// Whether somebody chose a port other than the default; where the default is taken by something else, the broker does
    /// without. The distributed file names the default too, so that it is named says nothing.
    pub chosen: bool,
}

/// Waiting for jobs.
#[derive(Debug, Clone, Copy)]
pub struct LongPolling {
    /// Whether requests wait at all.
    pub enabled: bool,
    /// How long.
    pub timeout: Duration,
    /// How often they look although nothing was announced.
    pub probe_timeout: Duration,
    /// How often they look in vain before they wait.
    pub min_empty_responses: u32,
}

/// The management API.
#[derive(Debug, Clone)]
pub struct ManagementConfig {
    /// Its address.
    pub address: SocketAddr,
    /// Its certificate; `None` if it does without TLS.
    pub tls: Option<TlsConfig>,
    /// Whether `/actuator/backups` is served.
    pub backups_enabled: bool,
    /// Endpoints that are served; `None` for all.
    pub exposed: Option<Vec<String>>,
}

impl ManagementConfig {
    /// Whether an endpoint is served.
    pub fn exposes(&self, endpoint: &str) -> bool {
        self.exposed
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| name == endpoint))
    }
}

/// Port of the REST API if nobody chose one.
const REST_PORT: u16 = 8080;

impl BrokerConfig {
    /// Reads and checks everything.
    pub fn from_source(source: &Source) -> Result<BrokerConfig, ConfigError> {
        let (cluster, node_id, partitions_count) = ClusterConfig::from_source(source)?;
        Ok(BrokerConfig {
            node_id,
            partitions_count,
            cluster,
            cluster_name: source.text("zeebe.broker.cluster.clusterName"),
            advertised_host: source.text("zeebe.broker.network.advertisedHost"),
            data: DataConfig {
                directory: source.text("zeebe.broker.data.directory").into(),
                log_segment_bytes: segment_bytes(source)?,
                free_space_bytes: source.bytes("zeebe.broker.data.disk.freeSpace.processing")?,
            },
            flow_control: FlowControlConfig::from_source(source)?,
            backup: BackupConfig::from_source(source)?,
            exporters: ExporterConfig::from_source(source)?,
            gateway: gateway(source)?,
            management: management(source)?,
        })
    }
}

fn segment_bytes(source: &Source) -> Result<u64, ConfigError> {
    let key = "zeebe.broker.data.logSegmentSize";
    let bytes = source.bytes(key)?;
    if !((8 << 20)..=(1 << 30)).contains(&bytes) {
        return Err(source.wrong(
            key,
            &source.text(key),
            "from 8MB (room for the largest batch) to 1GB",
        ));
    }
    Ok(bytes)
}

pub(crate) fn address(
    source: &Source,
    host_key: &str,
    host: &str,
    port_key: &str,
) -> Result<SocketAddr, ConfigError> {
    let ip: IpAddr = match host {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => host.parse().map_err(|_| {
            source.wrong(host_key, host, "an IP address such as 0.0.0.0 or 127.0.0.1")
        })?,
    };
    Ok(SocketAddr::new(
        ip,
        source.number(port_key, 0, 65_535)? as u16,
    ))
}

fn gateway(source: &Source) -> Result<Option<GatewayListenConfig>, ConfigError> {
    if !source.boolean("zeebe.broker.gateway.enable")? {
        return Ok(None);
    }
    let host_key = "zeebe.broker.gateway.network.host";
    let (host_key, host) = match source.optional_text(host_key) {
        Some(host) => (host_key, host),
        None => (
            "zeebe.broker.network.host",
            source.text("zeebe.broker.network.host"),
        ),
    };
    let port_key = "zeebe.broker.gateway.network.port";
    let address = address(source, host_key, &host, port_key)?;
    gateway_at(source, "zeebe.broker.gateway", address).map(Some)
}

/// The gateway whose keys begin with `keys`, at that address.
pub(crate) fn gateway_at(
    source: &Source,
    keys: &str,
    address: SocketAddr,
) -> Result<GatewayListenConfig, ConfigError> {
    let key = |name: &str| format!("{keys}.{name}");
    let max_key = &key("network.maxMessageSize");
    let max_message_bytes = source.bytes(max_key)?;
    if !((64 << 10)..=(4 << 20)).contains(&max_message_bytes) {
        return Err(source.wrong(
            max_key,
            &source.text(max_key),
            "from 64KB to 4MB, the largest command that fits into a batch",
        ));
    }
    Ok(GatewayListenConfig {
        address,
        max_message_bytes: max_message_bytes as usize,
        request_timeout: source.duration(&key("cluster.requestTimeout"))?,
        long_polling: LongPolling {
            enabled: source.boolean(&key("longPolling.enabled"))?,
            timeout: source.duration(&key("longPolling.timeout"))?,
            probe_timeout: source.duration(&key("longPolling.probeTimeout"))?,
            min_empty_responses: source.number(&key("longPolling.minEmptyResponses"), 1, 1000)?
                as u32,
        },
        tls: TlsConfig::from_source(source, &TlsKeys::of_zeebe(keys))?,
        authentication: AuthenticationConfig::from_source(source, keys)?,
        rest: rest(source)?,
    })
}

/// In Zeebe 8.1 `server.port` was the port of all that is HTTP, later that of the REST API beside a `management.server.port`.
fn server_port_is_managements(source: &Source) -> bool {
    source.is_chosen("server.port") && !source.is_chosen("management.server.port")
}

fn rest(source: &Source) -> Result<Option<RestConfig>, ConfigError> {
    if !source.boolean("camunda.rest.enabled")? {
        return Ok(None);
    }
    let host_key = "server.address";
    let mut address = address(source, host_key, &source.text(host_key), "server.port")?;
    if server_port_is_managements(source) {
        address.set_port(REST_PORT);
    }
    let chosen = address.port() != REST_PORT;
    Ok(Some(RestConfig {
        address,
        tls: TlsConfig::from_source(source, &TlsKeys::of_http("server"))?,
        chosen,
    }))
}

pub(crate) fn management(source: &Source) -> Result<ManagementConfig, ConfigError> {
    let host_key = "management.server.address";
    let exposed = source.text("management.endpoints.web.exposure.include");
    let names: Vec<String> = exposed
        .split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    Ok(ManagementConfig {
        address: address(
            source,
            host_key,
            &source.text(host_key),
            match server_port_is_managements(source) {
                true => "server.port",
                false => "management.server.port",
            },
        )?,
        tls: TlsConfig::from_source(source, &TlsKeys::of_http("management.server"))?,
        backups_enabled: source.boolean("management.endpoint.backups.enabled")?,
        exposed: (!names.iter().any(|name| name == "*")).then_some(names),
    })
}

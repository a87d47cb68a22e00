//! A gateway that is no broker.

use crate::broker::{address, gateway_at, management};
use crate::cluster::contacts;
use crate::tls::{TlsConfig, TlsKeys};
use crate::{ConfigError, GatewayListenConfig, ManagementConfig, Source};

/// Everything that a gateway needs to know.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Name of the cluster.
    pub cluster_name: String,
    /// Addresses of brokers, `host:port`.
    pub contacts: Vec<String>,
    /// Its certificate for brokers, where those speak TLS; `None` if they do without.
    pub tls: Option<TlsConfig>,
    /// Where and how it serves clients.
    pub clients: GatewayListenConfig,
    /// The management API.
    pub management: ManagementConfig,
}

impl GatewayConfig {
    /// Reads and checks everything.
    pub fn from_source(source: &Source) -> Result<GatewayConfig, ConfigError> {
        let host_key = "zeebe.gateway.network.host";
        let host = source.text(host_key);
        let address = address(source, host_key, &host, "zeebe.gateway.network.port")?;
        Ok(GatewayConfig {
            cluster_name: source.text("zeebe.gateway.cluster.clusterName"),
            contacts: contacts(source, "zeebe.gateway.cluster.initialContactPoints")?,
            tls: TlsConfig::from_source(source, &TlsKeys::of_zeebe("zeebe.gateway.cluster"))?,
            clients: gateway_at(source, "zeebe.gateway", address)?,
            management: management(source)?,
        })
    }
}

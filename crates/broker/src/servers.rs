//! The servers of a node: gateway, REST API, management API.

use std::net::SocketAddr;
use std::sync::Arc;

use skep_auth::{AuthError, Authenticator, KeySource, OidcOptions, User};
use skep_config::{AuthenticationConfig, GatewayListenConfig, ManagementConfig, TlsConfig};
use skep_gateway::{CallStats, GatewayConfig, LongPollingConfig};
use skep_management::{Api, Exposure};
use skep_tls::{Acceptor, Identity, Listener, Protocol};
use skep_transport::Security;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, warn};

use crate::BrokerError;
use crate::certificates::Certificates;
use crate::router::Router;

/// What is spoken with clients of the gateway, and how many may be connected: each costs some ten KiB and a file handle.
const GATEWAY: (Protocol, usize) = (Protocol::Http2, 10_000);
/// The same of the REST API.
const REST: (Protocol, usize) = (Protocol::Http1, 1_000);
/// The same of the management API.
const MANAGEMENT: (Protocol, usize) = (Protocol::Http1, 1_000);

/// Takes a port.
pub async fn listen(
    address: SocketAddr,
    what: &'static str,
    variable: &'static str,
) -> Result<(TcpListener, SocketAddr), BrokerError> {
    let failed = |source| BrokerError::Listen {
        address,
        what,
        source,
        variable,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Takes what comes to a port, with TLS if there is a certificate. Reads its files.
fn secured(
    listener: TcpListener,
    what: &'static str,
    (tls, certificates): (Option<&TlsConfig>, &Certificates),
    (protocol, connections_max): (Protocol, usize),
) -> Result<Listener, BrokerError> {
    let failed = |source| BrokerError::Tls { what, source };
    let open = |identity: &Identity| Acceptor::open(identity, protocol);
    let acceptor = tls.map(|tls| certificates.open(what, tls, open, Acceptor::renew));
    let acceptor = acceptor.transpose().map_err(failed)?;
    Listener::new(listener, protocol, acceptor, connections_max)
        .map_err(BrokerError::system(format!("listen for the {what}")))
}

/// TLS between nodes, if there is a certificate. Reads its files.
pub fn node_security(
    tls: Option<&TlsConfig>,
    certificates: &Certificates,
) -> Result<Option<Security>, BrokerError> {
    let what = "connections between nodes";
    let open = |tls| certificates.open(what, tls, Security::open, Security::renew);
    let opened = tls.map(open).transpose();
    opened.map_err(|source| BrokerError::Tls { what, source })
}

/// Who is let in by the gateway.
async fn authenticator(
    config: Option<&AuthenticationConfig>,
) -> Result<Option<Arc<Authenticator>>, AuthError> {
    let authenticator = match config {
        None => return Ok(None),
        Some(AuthenticationConfig::Basic(users)) => {
            let user = |user: &skep_config::UserConfig| User {
                name: user.name.clone(),
                password: user.password.reveal().to_owned(),
            };
            Authenticator::basic(&users.iter().map(user).collect::<Vec<_>>())
        }
        Some(AuthenticationConfig::Oidc {
            issuer,
            audience,
            keys,
        }) => {
            let source = |keys: &String| match keys.contains("://") {
                true => KeySource::Address(keys.clone()),
                false => KeySource::File(keys.into()),
            };
            let options = OidcOptions {
                issuer: issuer.clone(),
                audience: audience.clone(),
                keys: keys.as_ref().map(source),
            };
            Authenticator::oidc(options).await?
        }
    };
    Ok(Some(Arc::new(authenticator)))
}

pub async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the broker is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn listen_to_operators(
    config: &ManagementConfig,
    certificates: &Certificates,
) -> Result<(Listener, SocketAddr), BrokerError> {
    let (what, variable) = ("management API", "MANAGEMENT_SERVER_PORT");
    let (listener, bound) = listen(config.address, what, variable).await?;
    let listener = secured(
        listener,
        what,
        (config.tls.as_ref(), certificates),
        MANAGEMENT,
    )?;
    Ok((listener, bound))
}

/// What the management API is to serve.
pub fn exposure(config: &ManagementConfig) -> Exposure {
    let exposes = |endpoint| config.exposes(endpoint);
    Exposure {
        backups: config.backups_enabled && exposes("backups"),
        health: exposes("health"),
        prometheus: exposes("prometheus"),
        partitions: exposes("partitions"),
        exporting: exposes("exporting"),
        rebalance: exposes("rebalance"),
        cluster: exposes("cluster"),
        loggers: exposes("loggers"),
    }
}

/// Serves the management API.
pub async fn serve_management(
    config: &ManagementConfig,
    api: Api,
    certificates: &Certificates,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<SocketAddr, BrokerError> {
    let (listener, bound) = listen_to_operators(config, certificates).await?;
    let stopped = until(stopped.clone());
    servers.push(tokio::spawn(async move {
        skep_management::serve(listener, api, stopped).await;
    }));
    Ok(bound)
}

/// Serves gRPC and REST. Gives where each listens.
pub async fn serve_clients(
    gateway: &GatewayListenConfig,
    brokers: Arc<Router>,
    (calls, certificates): (Arc<CallStats>, &Certificates),
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<(SocketAddr, Option<SocketAddr>), BrokerError> {
    let authenticator = authenticator(gateway.authentication.as_ref()).await?;
    let served_as = gateway_config(gateway, authenticator, calls);
    let rest = serve_rest(
        (gateway, certificates),
        served_as.clone(),
        brokers.clone(),
        stopped,
        servers,
    )
    .await?;
    let served = serve_gateway(
        (gateway, certificates),
        served_as,
        brokers,
        stopped,
        servers,
    )
    .await?;
    Ok((served, rest))
}

async fn serve_gateway(
    (config, certificates): (&GatewayListenConfig, &Certificates),
    gateway: GatewayConfig,
    brokers: Arc<Router>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<SocketAddr, BrokerError> {
    let (listener, bound) = listen(
        config.address,
        "gateway",
        "ZEEBE_BROKER_GATEWAY_NETWORK_PORT",
    )
    .await?;
    let listener = secured(
        listener,
        "gateway",
        (config.tls.as_ref(), certificates),
        GATEWAY,
    )?;
    let stopped = until(stopped.clone());
    servers.push(tokio::spawn(async move {
        if let Err(error) = skep_gateway::serve(listener, gateway, brokers, stopped).await {
            error!(%error, "the gateway ended");
        }
    }));
    Ok(bound)
}

fn gateway_config(
    config: &GatewayListenConfig,
    authenticator: Option<Arc<Authenticator>>,
    calls: Arc<CallStats>,
) -> GatewayConfig {
    let polling = config.long_polling;
    GatewayConfig {
        request_timeout: config.request_timeout,
        max_message_size: config.max_message_bytes,
        long_polling: LongPollingConfig {
            enabled: polling.enabled,
            timeout: polling.timeout,
            probe_timeout: polling.probe_timeout,
            min_empty_responses: polling.min_empty_responses,
        },
        authenticator,
        calls,
    }
}

/// A port that nobody chose is done without if it is not free: other programs like it as well.
async fn serve_rest(
    (config, certificates): (&GatewayListenConfig, &Certificates),
    gateway: GatewayConfig,
    brokers: Arc<Router>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<Option<SocketAddr>, BrokerError> {
    let Some(rest) = &config.rest else {
        return Ok(None);
    };
    let (listener, bound) = match listen(rest.address, "REST API", "SERVER_PORT").await {
        Ok(listening) => listening,
        Err(error) if !rest.chosen => {
            warn!(%error, "there is no REST API; choose its port with SERVER_PORT and MANAGEMENT_SERVER_PORT, or switch it off with CAMUNDA_REST_ENABLED=false");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let listener = secured(
        listener,
        "REST API",
        (rest.tls.as_ref(), certificates),
        REST,
    )?;
    let stopped = until(stopped.clone());
    servers.push(tokio::spawn(async move {
        skep_gateway::serve_rest(listener, gateway, brokers, stopped).await;
    }));
    Ok(Some(bound))
}

//! A gateway that keeps no partitions: it finds the brokers, and serves clients as theirs do.

use std::sync::{Arc, Weak};

use skep_config::GatewayConfig;
use skep_management::{Api, Loggers};
use skep_protocol::NodeId;
use skep_transport::{GATEWAY_MIN, Identity, Shape, Transport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::certificates::Certificates;
use crate::clock::process_nonce;
use crate::front::{Front, health};
use crate::gateway_metrics::GatewayMetrics;
use crate::local::LocalPartitions;
use crate::nodes::{NodeHandler, Nodes};
use crate::partition::Partitions;
use crate::request_stats::RequestStats;
use crate::router::Router;
use crate::servers::{exposure, node_security, serve_clients, serve_management};
use crate::view::ClusterView;
use crate::{BrokerError, Listening};

/// A running gateway.
pub struct Gateway {
    listening: Listening,
    router: Arc<Router>,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Gateway {
    /// Starts a gateway on the current tokio runtime.
    pub async fn start(
        config: GatewayConfig,
        loggers: Arc<dyn Loggers>,
    ) -> Result<Gateway, BrokerError> {
        let router = Arc::new(make_router());
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let patience = config.clients.request_timeout;
        let metrics = GatewayMetrics::new();
        let calls = Arc::clone(&metrics.calls);
        let certificates = Arc::clone(&metrics.certificates);
        let front = Arc::new(Front {
            router: Arc::clone(&router),
            metrics,
            patience,
        });
        let api = Api::of_gateway(front, loggers, &exposure(&config.management), patience);
        let management = serve_management(
            &config.management,
            api,
            &certificates,
            &stopped,
            &mut servers,
        )
        .await?;
        let brokers = Arc::clone(&router);
        let clients = serve_clients(
            &config.clients,
            brokers,
            (calls, &certificates),
            &stopped,
            &mut servers,
        );
        let (served, rest) = clients.await?;
        join(&config, &router, &certificates)?;
        servers.push(tokio::spawn(certificates.watch(stopped)));
        let listening = Listening {
            gateway: Some(served),
            rest,
            management,
        };
        Ok(Gateway {
            listening,
            router,
            servers,
            stop,
        })
    }

    /// Where it listens.
    pub fn listening(&self) -> Listening {
        self.listening
    }

    /// Waits until a broker is found.
    pub async fn settled(&self) {
        let view = &self.router.view;
        view.until(|| health(view).started).await;
    }

    /// Stops in order: no more calls, then those that are open.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.servers {
            if let Err(error) = server.await {
                error!(%error, "a server ended badly");
            }
        }
        info!("the gateway has stopped");
    }
}

/// The way to the brokers. There are no partitions here.
fn make_router() -> Router {
    let own = NodeId(GATEWAY_MIN.0 | process_nonce() as u32);
    let view = Arc::new(ClusterView::of_gateway(own));
    let partitions = Partitions::new(Arc::clone(&view), 0, Vec::new());
    Router {
        own,
        view,
        local: Arc::new(LocalPartitions::new(partitions)),
        nodes: Arc::new(Nodes::default()),
        stats: RequestStats::new(),
    }
}

fn join(
    config: &GatewayConfig,
    router: &Router,
    certificates: &Certificates,
) -> Result<(), BrokerError> {
    info!(contacts = ?config.contacts, "looks for brokers");
    let identity = Identity {
        node: router.own,
        life: process_nonce(),
        cluster: config.cluster_name.clone(),
        incarnation: [0; 16],
        shape: Shape::default(),
        address: String::new(),
    };
    let handler = NodeHandler {
        nodes: Arc::downgrade(&router.nodes),
        view: Arc::clone(&router.view),
        local: Arc::clone(&router.local),
        exporters: None,
        management: Weak::new(),
        own: identity.clone(),
        misplaced: watch::Sender::new(None),
    };
    let security = node_security(config.tls.as_ref(), certificates)?;
    let contacts = &config.contacts;
    let transport = Transport::start(identity, security, None, contacts, Arc::new(handler))
        .map_err(BrokerError::system("look for brokers"))?;
    router.nodes.join(transport);
    Ok(())
}

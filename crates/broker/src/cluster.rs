//! A broker's place in its cluster: what it keeps, how it is found, how it finds the others.

use std::net::SocketAddr;
use std::sync::Arc;

use skep_config::{BrokerConfig, ClusterConfig, InternalConfig};
use skep_management::Api;
use skep_partition::{FlowControl, Receiver, inbox};
use skep_protocol::{NodeId, PartitionId};
use skep_transport::{Identity, Shape, Transport};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use crate::BrokerError;
use crate::certificates::Certificates;
use crate::clock::process_nonce;
use crate::exporters::Exporters;
use crate::local::LocalPartitions;
use crate::nodes::{NodeHandler, Nodes, tell_status};
use crate::partition::{Partition, Partitions};
use crate::request_stats::RequestStats;
use crate::router::Router;
use crate::servers::{listen, node_security};
use crate::view::ClusterView;

fn shape(config: &BrokerConfig) -> Shape {
    let ClusterConfig {
        size,
        replication_factor,
        ..
    } = config.cluster;
    Shape {
        cluster_size: size,
        partitions: config.partitions_count,
        replication_factor,
    }
}

/// The partitions that this broker keeps and the way to all, each of its own with the receiver of its inbox. Nobody else can be
/// reached until the cluster is joined.
pub fn make_router(config: &BrokerConfig) -> (Arc<Router>, Vec<Receiver>) {
    let own = NodeId(config.node_id);
    let keeps = |partition: &u32| config.cluster.distribution.keeps(own.0, *partition);
    let ids: Vec<PartitionId> = (1..=config.partitions_count)
        .filter(keeps)
        .map(PartitionId)
        .collect();
    let host = config.advertised_host.clone();
    let view = ClusterView::of_broker(own, host, shape(config), ids.iter().copied());
    let view = Arc::new(view);
    let limits = FlowControl {
        waiting_max: config.flow_control.waiting_max,
        records_per_second: config.flow_control.records_per_second,
    };
    let (inboxes, receivers): (Vec<_>, Vec<_>) = ids.iter().map(|_| inbox(limits)).unzip();
    let all = ids
        .into_iter()
        .zip(inboxes)
        .map(|(id, inbox)| Partition::new(id, inbox))
        .collect();
    let partitions = Partitions::new(Arc::clone(&view), config.partitions_count, all);
    let router = Router {
        own,
        view,
        local: Arc::new(LocalPartitions::new(partitions)),
        nodes: Arc::new(Nodes::default()),
        stats: RequestStats::new(),
    };
    (Arc::new(router), receivers)
}

/// The internal port, taken.
pub struct InternalPort<'a> {
    config: &'a InternalConfig,
    listener: TcpListener,
    bound: SocketAddr,
}

/// Takes the internal port, if this broker is one of several.
pub async fn listen_to_nodes(
    config: &BrokerConfig,
) -> Result<Option<InternalPort<'_>>, BrokerError> {
    let Some(internal) = &config.cluster.internal else {
        return Ok(None);
    };
    let variable = "ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT";
    let (listener, bound) = listen(internal.address, "other nodes", variable).await?;
    Ok(Some(InternalPort {
        config: internal,
        listener,
        bound,
    }))
}

/// Begins to talk to the other nodes.
pub fn join(
    config: &BrokerConfig,
    port: InternalPort<'_>,
    (incarnation, misplaced): ([u8; 16], watch::Sender<Option<String>>),
    router: &Router,
    exporters: &Arc<Exporters>,
    (management, certificates): (&Arc<Api>, &Certificates),
    stopped: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, BrokerError> {
    let InternalPort {
        config: internal,
        listener,
        bound,
    } = port;
    let port = internal.advertised_port.unwrap_or_else(|| bound.port());
    let address = match internal.advertised_host.contains(':') {
        true => format!("[{}]:{port}", internal.advertised_host),
        false => format!("{}:{port}", internal.advertised_host),
    };
    info!(listening = %bound, advertised = address, contacts = ?internal.contacts, "joins its cluster");
    let identity = Identity {
        node: router.own,
        life: process_nonce(),
        cluster: config.cluster_name.clone(),
        incarnation,
        shape: shape(config),
        address,
    };
    let handler = NodeHandler {
        nodes: Arc::downgrade(&router.nodes),
        view: Arc::clone(&router.view),
        local: Arc::clone(&router.local),
        exporters: Some(Arc::clone(exporters)),
        management: Arc::downgrade(management),
        own: identity.clone(),
        misplaced,
    };
    let contacts = &internal.contacts;
    let security = node_security(internal.tls.as_ref(), certificates)?;
    let handler = Arc::new(handler);
    let transport = Transport::start(identity, security, Some(listener), contacts, handler)
        .map_err(BrokerError::system("join the cluster"))?;
    router.nodes.join(transport);
    let (nodes, view) = (Arc::clone(&router.nodes), Arc::clone(&router.view));
    let exporters = Arc::clone(exporters);
    Ok(tokio::spawn(tell_status(nodes, view, exporters, stopped)))
}

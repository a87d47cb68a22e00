//! Starting and stopping a broker.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use skep_blob::BlobRef;
use skep_config::{BrokerConfig, GatewayListenConfig};
use skep_gateway::{GatewayConfig, LongPollingConfig};
use skep_log::{GroupId, LogOptions, LogStatus, LogStore, RealFiles};
use skep_management::Exposure;
use skep_partition::thread::ReplicaThread;
use skep_partition::{Event, FileNote, LocalPosition, Receiver, Replica, ReplicaConfig, inbox};
use skep_protocol::{NodeId, PartitionId};
use skep_raft::{RaftNode, RaftOptions};
use skep_state::Store;
use skep_store::{Compact, PartitionStore, StoreOptions, WriteBack};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::backups::{BackupSettings, PartitionBackups};
use crate::brokers::LocalBrokers;
use crate::clock::process_nonce;
use crate::data_dir::DataDir;
use crate::effects::NodeEffects;
use crate::exporters::Exporters;
use crate::management::{ManagedNode, collect_unused};
use crate::metrics::Metrics;
use crate::partition::{Partition, Partitions};
use crate::requests::Requests;
use crate::{BrokerError, disk, open_configured_store};

/// How often unused chunks are collected.
const COLLECT_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Where a broker listens.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// The gateway, if it serves clients.
    pub gateway: Option<SocketAddr>,
    /// Its REST API, if it is served.
    pub rest: Option<SocketAddr>,
    /// The management API.
    pub management: SocketAddr,
}

/// A running broker.
pub struct Broker {
    listening: Listening,
    partitions: Arc<Partitions>,
    replicas: Vec<ReplicaThread>,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    disk_watch: (mpsc::Sender<()>, std::thread::JoinHandle<()>),
    write_back: Arc<WriteBack>,
    exporters: Arc<Exporters>,
    log: LogStore,
    _data: DataDir,
}

/// What all partitions are started with.
struct Shared<'a> {
    config: &'a BrokerConfig,
    data: &'a DataDir,
    log: LogStore,
    store_options: StoreOptions,
    partitions: Arc<Partitions>,
    requests: Arc<Requests>,
    announcements: tokio::sync::broadcast::Sender<skep_gateway::JobsAvailable>,
    write_back: Arc<WriteBack>,
    backups: Option<BackupSettings>,
    exporters: Arc<Exporters>,
}

impl Broker {
    /// Starts a broker on the current tokio runtime.
    pub async fn start(config: BrokerConfig) -> Result<Broker, BrokerError> {
        let blob_store = open_configured_store(&config).await?;
        let data = DataDir::open(&config.data.directory)?;
        let exporters = Arc::new(Exporters::open(&config, &data)?);
        let log = open_log(&config, &data)?;
        let write_back =
            Arc::new(WriteBack::spawn().map_err(BrokerError::system("start the write-back"))?);
        let metrics = Metrics::new();
        let requests = Arc::new(Requests::new());
        let announcements = LocalBrokers::announcements();
        let (partitions, receivers) = make_partitions(&config);
        let backups = blob_store
            .clone()
            .map(|store| backup_settings(&config, store, &metrics));
        let shared = Shared {
            config: &config,
            data: &data,
            log: log.clone(),
            store_options: StoreOptions::default(),
            partitions: Arc::clone(&partitions),
            requests: Arc::clone(&requests),
            announcements: announcements.clone(),
            write_back: Arc::clone(&write_back),
            backups,
            exporters: Arc::clone(&exporters),
        };
        let replicas = start_partitions(&shared, receivers).await;
        let disk_watch = start_disk_watch(&config, &data, &log, &partitions)?;
        let (stop, stopped) = watch::channel(false);
        let node = Arc::new(ManagedNode {
            partitions: Arc::clone(&partitions),
            requests: Arc::clone(&requests),
            store: blob_store.clone(),
            backups_enabled: config.backup.enabled,
            metrics,
            exporters: Arc::clone(&exporters),
            log: log.clone(),
            node_id: config.node_id,
        });
        let mut servers = Vec::new();
        let management = serve_management(&config, node, &stopped, &mut servers).await?;
        let brokers = Arc::new(LocalBrokers::new(
            Arc::clone(&partitions),
            requests,
            announcements,
        ));
        let (gateway, rest) = serve_clients(&config, brokers, &stopped, &mut servers).await?;
        if let Some(store) = blob_store {
            servers.push(tokio::spawn(collect_now_and_then(
                store,
                config.node_id,
                stopped,
            )));
        }
        let listening = Listening {
            gateway,
            rest,
            management,
        };
        Ok(Broker {
            listening,
            partitions,
            replicas,
            servers,
            stop,
            disk_watch,
            write_back,
            exporters,
            log,
            _data: data,
        })
    }

    /// Where it listens.
    pub fn listening(&self) -> Listening {
        self.listening
    }

    /// Waits until every partition leads or has failed: from then on clients are served.
    pub async fn settled(&self) {
        self.partitions.settled().await;
    }

    /// Stops in order: clients first, then partitions with everything written back, then the log.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.servers {
            if let Err(error) = server.await {
                error!(%error, "a server ended badly");
            }
        }
        for partition in self.partitions.iter() {
            partition.inbox.push(Event::Stop);
        }
        let (disk_stop, disk_thread) = self.disk_watch;
        drop(disk_stop);
        let (replicas, write_back, log) = (self.replicas, self.write_back, self.log);
        let exporters = self.exporters;
        let joined = tokio::task::spawn_blocking(move || {
            for replica in replicas {
                replica.join();
            }
            if disk_thread.join().is_err() {
                error!("the disk watch panicked");
            }
            exporters.stop();
            drop(write_back);
            log.close();
        });
        if let Err(error) = joined.await {
            error!(%error, "the broker did not stop in order");
        }
        info!("the broker has stopped");
    }
}

/// The partitions, each with the receiver of its inbox.
fn make_partitions(config: &BrokerConfig) -> (Arc<Partitions>, Vec<Receiver>) {
    let (inboxes, receivers): (Vec<_>, Vec<_>) =
        (0..config.partitions_count).map(|_| inbox()).unzip();
    let all = inboxes
        .into_iter()
        .zip(1..)
        .map(|(inbox, number)| Partition::new(PartitionId(number), inbox))
        .collect();
    let node = NodeId(config.node_id);
    let partitions = Partitions::new(node, config.advertised_host.clone(), all);
    (Arc::new(partitions), receivers)
}

fn open_log(config: &BrokerConfig, data: &DataDir) -> Result<LogStore, BrokerError> {
    let options = LogOptions {
        segment_bytes: config.data.log_segment_bytes,
        ..LogOptions::default()
    };
    let (log, report) = LogStore::open(Arc::new(RealFiles), &data.log(), options)?;
    info!(?report, "the log is open");
    Ok(log)
}

fn backup_settings(config: &BrokerConfig, store: BlobRef, metrics: &Metrics) -> BackupSettings {
    BackupSettings {
        store,
        cluster_id: config.cluster_name.clone(),
        partition_count: config.partitions_count,
        node_id: config.node_id,
        limits: config.backup.upload,
        processors: skep_backup::Processors::half(),
        runtime: Handle::current(),
        metrics: metrics.backups.clone(),
    }
}

/// Starts every partition; one that cannot start is marked as failed, and the others go on.
async fn start_partitions(shared: &Shared<'_>, receivers: Vec<Receiver>) -> Vec<ReplicaThread> {
    let mut replicas = Vec::new();
    for (receiver, number) in receivers.into_iter().zip(1..) {
        match start_partition(shared, PartitionId(number), receiver).await {
            Ok(replica) => replicas.push(replica),
            Err(reason) => {
                error!(
                    partition = number,
                    reason, "the partition cannot start; the others go on"
                );
                shared.partitions.set_failed(PartitionId(number), reason);
            }
        }
    }
    replicas
}

async fn start_partition(
    shared: &Shared<'_>,
    id: PartitionId,
    receiver: Receiver,
) -> Result<ReplicaThread, String> {
    let directory = shared.data.partition(id.0);
    let options = shared.store_options.clone();
    let store = tokio::task::spawn_blocking(move || PartitionStore::open(&directory, &options));
    let store = store
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let store = Arc::new(store);
    let applied = match store.meta().map_err(|error| error.to_string())? {
        Some(meta) => LocalPosition::read(&meta).map_err(|error| error.to_string())?,
        None => LocalPosition::default(),
    };
    let partition = shared
        .partitions
        .get(id)
        .ok_or("the partition is not of this node")?;
    let raft_options = RaftOptions {
        applied: (applied != LocalPosition::default())
            .then_some((applied.raft_index(), applied.term)),
        ..RaftOptions::new(
            u64::from(shared.config.node_id),
            vec![u64::from(shared.config.node_id)],
        )
    };
    let exporters = &shared.exporters;
    let tap = Arc::new(exporters.tap(partition.inbox.clone(), applied));
    let group = shared.log.group(GroupId(id.0));
    let raft = RaftNode::open(raft_options, group, Arc::clone(&tap) as Arc<_>);
    let mut raft = raft.await.map_err(|error| error.to_string())?;
    let readers = (0..exporters.count()).map(|_| raft.reader()).collect();
    let effects = NodeEffects {
        partition: id,
        partitions: Arc::clone(&shared.partitions),
        requests: Arc::clone(&shared.requests),
        announcements: shared.announcements.clone(),
        write_back: Arc::clone(&shared.write_back),
        store: Arc::clone(&store) as Arc<dyn Compact>,
        backups: shared.backups.clone().map(PartitionBackups::new),
    };
    let config = ReplicaConfig {
        partition: id,
        partition_count: shared.config.partitions_count,
        node: NodeId(shared.config.node_id),
        seed: process_nonce() ^ u64::from(id.0),
    };
    let mut replica =
        Replica::open(config, store, raft, effects).map_err(|error| error.to_string())?;
    let note = shared.data.note(id.0);
    let note =
        FileNote::open(&note).map_err(|error| format!("open {}: {error}", note.display()))?;
    replica.keep_note(Box::new(note));
    exporters.start(id, shared.data, &tap, readers, &replica.inspect())?;
    let (partitions, requests) = (Arc::clone(&shared.partitions), Arc::clone(&shared.requests));
    let ended = move |result: Result<(), skep_partition::ReplicaError>| {
        if let Err(error) = result {
            partitions.set_failed(id, error.to_string());
            requests.forget(id);
        }
    };
    ReplicaThread::spawn(format!("partition-{id}"), replica, receiver, ended)
        .map_err(|error| error.to_string())
}

fn start_disk_watch(
    config: &BrokerConfig,
    data: &DataDir,
    log: &LogStore,
    partitions: &Arc<Partitions>,
) -> Result<(mpsc::Sender<()>, std::thread::JoinHandle<()>), BrokerError> {
    let (stop, stopped) = mpsc::channel();
    let (directory, limit) = (data.path().to_owned(), config.data.free_space_bytes);
    let (log, partitions) = (log.clone(), Arc::clone(partitions));
    let thread = std::thread::Builder::new()
        .name("disk-watch".to_owned())
        .spawn(move || {
            disk::watch(
                directory,
                limit,
                || matches!(log.status(), LogStatus::Full(_)),
                partitions,
                &stopped,
            )
        })
        .map_err(BrokerError::system("start the disk watch"))?;
    Ok((stop, thread))
}

async fn listen(
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

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the broker is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve_management(
    config: &BrokerConfig,
    node: Arc<ManagedNode>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<SocketAddr, BrokerError> {
    let (listener, bound) = listen(
        config.management.address,
        "management API",
        "MANAGEMENT_SERVER_PORT",
    )
    .await?;
    let exposes = |endpoint| config.management.exposes(endpoint);
    let exposure = Exposure {
        backups: config.management.backups_enabled && exposes("backups"),
        health: exposes("health"),
        prometheus: exposes("prometheus"),
        partitions: exposes("partitions"),
        exporting: exposes("exporting"),
    };
    let timeout = config
        .gateway
        .as_ref()
        .map_or(Duration::from_secs(15), |gateway| gateway.request_timeout);
    let stopped = until(stopped.clone());
    servers.push(tokio::spawn(async move {
        if let Err(error) = skep_management::serve(listener, node, exposure, timeout, stopped).await
        {
            error!(%error, "the management API ended");
        }
    }));
    Ok(bound)
}

/// Serves gRPC and REST, if this broker has a gateway. Gives where each listens.
async fn serve_clients(
    config: &BrokerConfig,
    brokers: Arc<LocalBrokers>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<(Option<SocketAddr>, Option<SocketAddr>), BrokerError> {
    let Some(gateway) = &config.gateway else {
        return Ok((None, None));
    };
    let rest = serve_rest(gateway, brokers.clone(), stopped, servers).await?;
    let served = serve_gateway(gateway, brokers, stopped, servers).await?;
    Ok((Some(served), rest))
}

async fn serve_gateway(
    config: &GatewayListenConfig,
    brokers: Arc<LocalBrokers>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<SocketAddr, BrokerError> {
    let (listener, bound) = listen(
        config.address,
        "gateway",
        "ZEEBE_BROKER_GATEWAY_NETWORK_PORT",
    )
    .await?;
    let gateway = gateway_config(config);
    let stopped = until(stopped.clone());
    servers.push(tokio::spawn(async move {
        if let Err(error) = skep_gateway::serve(listener, gateway, brokers, stopped).await {
            error!(%error, "the gateway ended");
        }
    }));
    Ok(bound)
}

fn gateway_config(config: &GatewayListenConfig) -> GatewayConfig {
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
    }
}

/// A port that nobody chose is done without if it is not free: other programs like it as well.
async fn serve_rest(
    config: &GatewayListenConfig,
    brokers: Arc<LocalBrokers>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<Option<SocketAddr>, BrokerError> {
    let Some(rest) = config.rest else {
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
    let gateway = gateway_config(config);
    let stopped = until(stopped.clone());
    servers.push(tokio::spawn(async move {
        let served = skep_gateway::serve_rest(listener, gateway, brokers, stopped);
        if let Err(error) = served.await {
            error!(%error, "the REST API ended");
        }
    }));
    Ok(Some(bound))
}

async fn collect_now_and_then(store: BlobRef, node_id: u32, stopped: watch::Receiver<bool>) {
    let stopped = until(stopped);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(COLLECT_INTERVAL) => collect_unused(store.clone(), node_id).await,
        }
    }
}

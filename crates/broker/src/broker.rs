//! Starting and stopping a broker.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use skep_backup::Processors;
use skep_blob::BlobRef;
use skep_config::BrokerConfig;
use skep_log::{LogOptions, LogStatus, LogStore, RealFiles};
use skep_management::{Api, Loggers};
use skep_partition::Event;
use skep_partition::thread::ReplicaThread;
use skep_store::{StoreOptions, WriteBack};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::backups::BackupSettings;
use crate::data_dir::DataDir;
use crate::exporters::Exporters;
use crate::local::LocalPartitions;
use crate::management::{ManagedNode, collect_unused};
use crate::metrics::Metrics;
use crate::partition::Partitions;
use crate::replicas::{Shared, start_replicas};
use crate::router::Router;
use crate::servers::{exposure, serve_clients, serve_management, until};
use crate::transfer::Transfers;
use crate::{BrokerError, cluster, disk, open_configured_store};

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
    local: Arc<LocalPartitions>,
    replicas: Vec<ReplicaThread>,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    disk_watch: (mpsc::Sender<()>, std::thread::JoinHandle<()>),
    write_back: Arc<WriteBack>,
    exporters: Arc<Exporters>,
    log: LogStore,
    misplaced: watch::Sender<Option<String>>,
    /// What other nodes ask of it as well.
    _management: Arc<Api>,
    _data: DataDir,
}

impl Broker {
    /// Starts a broker on the current tokio runtime.
    pub async fn start(
        config: BrokerConfig,
        loggers: Arc<dyn Loggers>,
    ) -> Result<Broker, BrokerError> {
        let blob_store = open_configured_store(&config).await?;
        let data = DataDir::open(&config.data.directory)?;
        let exporters = Arc::new(Exporters::open(&config, &data)?);
        let log = open_log(&config, &data)?;
        let write_back =
            Arc::new(WriteBack::spawn().map_err(BrokerError::system("start the write-back"))?);
        let metrics = Metrics::new();
        let internal = cluster::listen_to_nodes(&config).await?;
        let (router, receivers) = cluster::make_router(&config);
        let processors = Processors::half();
        let transfers = move_content(&processors, &metrics, &router);
        let backups = blob_store
            .clone()
            .map(|store| backup_settings(&config, store, &metrics, processors));
        let shared = Shared {
            config: &config,
            data: &data,
            log: log.clone(),
            store_options: StoreOptions::default(),
            router: Arc::clone(&router),
            write_back: Arc::clone(&write_back),
            backups,
            transfers,
            exporters: Arc::clone(&exporters),
        };
        let replicas = start_replicas(&shared, receivers).await;
        let local = Arc::clone(&router.local);
        let disk_watch = start_disk_watch(&config, &data, &log, &local.partitions)?;
        let (stop, stopped) = watch::channel(false);
        let node = managed(&shared, blob_store.clone(), Arc::clone(&metrics));
        let management = Arc::new(management_api(&config, node, loggers));
        let misplaced = watch::Sender::new(None);
        let mut servers = Vec::new();
        if let Some(port) = internal {
            let (place, stopped) = ((data.incarnation(), misplaced.clone()), stopped.clone());
            let told = cluster::join(
                &config,
                port,
                place,
                &router,
                &exporters,
                (&management, &metrics.certificates),
                stopped,
            )?;
            servers.push(told);
        }
        let api = Api::clone(&management);
        let listening = serve(&config, (api, &metrics), router, &stopped, &mut servers).await?;
        if let Some(store) = blob_store {
            let collected = collect_now_and_then(store, config.node_id, stopped);
            servers.push(tokio::spawn(collected));
        }
        Ok(Broker {
            listening,
            local,
            replicas,
            servers,
            stop,
            disk_watch,
            write_back,
            exporters,
            log,
            misplaced,
            _management: management,
            _data: data,
        })
    }

    /// Where it listens.
    pub fn listening(&self) -> Listening {
        self.listening
    }

    /// Waits until every partition leads or has failed: from then on clients are served.
    pub async fn settled(&self) {
        self.local.partitions.settled().await;
    }

    /// Waits until it turns out that this broker must not go on with the data that it has, and gives the reason.
    pub async fn misplaced(&self) -> String {
        let mut misplaced = self.misplaced.subscribe();
        let told = misplaced.wait_for(Option::is_some).await;
        told.ok().and_then(|told| told.clone()).unwrap_or_default()
    }

    /// Stops in order: clients first, then the leaderships go to other brokers, then partitions with everything written back, then the log.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for server in self.servers {
            if let Err(error) = server.await {
                error!(%error, "a server ended badly");
            }
        }
        self.local.hand_over().await;
        for partition in self.local.partitions.iter() {
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

/// How long a request of a client or of an operator may take.
fn request_timeout(config: &BrokerConfig) -> Duration {
    let clients = config.gateway.as_ref();
    clients.map_or(Duration::from_secs(15), |clients| clients.request_timeout)
}

fn managed(shared: &Shared<'_>, store: Option<BlobRef>, metrics: Arc<Metrics>) -> Arc<ManagedNode> {
    let (config, router) = (shared.config, &shared.router);
    Arc::new(ManagedNode {
        partitions: Arc::clone(&router.local.partitions),
        router: Arc::clone(router),
        store,
        backups_enabled: config.backup.enabled,
        metrics,
        exporters: Arc::clone(&shared.exporters),
        log: shared.log.clone(),
        node_id: config.node_id,
        cluster: config.cluster.clone(),
    })
}

fn management_api(config: &BrokerConfig, node: Arc<ManagedNode>, loggers: Arc<dyn Loggers>) -> Api {
    let exposure = exposure(&config.management);
    Api::of_broker(node, loggers, &exposure, request_timeout(config))
}

/// Serves operators and clients, with the certificates that there are at any time.
async fn serve(
    config: &BrokerConfig,
    (api, metrics): (Api, &Metrics),
    router: Arc<Router>,
    stopped: &watch::Receiver<bool>,
    servers: &mut Vec<JoinHandle<()>>,
) -> Result<Listening, BrokerError> {
    let certificates = &metrics.certificates;
    let management =
        serve_management(&config.management, api, certificates, stopped, servers).await?;
    let mut listening = Listening {
        gateway: None,
        rest: None,
        management,
    };
    if let Some(clients) = &config.gateway {
        let counted = (Arc::clone(&metrics.calls), &**certificates);
        let (gateway, rest) = serve_clients(clients, router, counted, stopped, servers).await?;
        (listening.gateway, listening.rest) = (Some(gateway), rest);
    }
    let watched = Arc::clone(certificates).watch(stopped.clone());
    servers.push(tokio::spawn(watched));
    Ok(listening)
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

/// From now on content goes to other brokers and comes from them.
fn move_content(processors: &Processors, metrics: &Metrics, router: &Router) -> Arc<Transfers> {
    let transfers = Transfers::new(processors.clone(), metrics.transfers.clone());
    let transfers = Arc::new(transfers);
    router.nodes.move_content(Arc::clone(&transfers));
    transfers
}

fn backup_settings(
    config: &BrokerConfig,
    store: BlobRef,
    metrics: &Metrics,
    processors: Processors,
) -> BackupSettings {
    BackupSettings {
        store,
        cluster_id: config.cluster_name.clone(),
        partition_count: config.partitions_count,
        node_id: config.node_id,
        limits: config.backup.upload,
        upload_from: config.backup.upload_from,
        processors,
        runtime: Handle::current(),
        metrics: metrics.backups.clone(),
    }
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
    let runtime = Handle::current();
    let thread = std::thread::Builder::new()
        .name("disk-watch".to_owned())
        .spawn(move || {
            disk::watch(
                directory,
                limit,
                || matches!(log.status(), LogStatus::Full(_)),
                partitions,
                &runtime,
                &stopped,
            )
        })
        .map_err(BrokerError::system("start the disk watch"))?;
    Ok((stop, thread))
}

/// Collects unused chunks until the broker stops. A collection under way is given up then, as by a crash: the next one goes on.
async fn collect_now_and_then(store: BlobRef, node_id: u32, stopped: watch::Receiver<bool>) {
    let collect = || collect_unused(store.clone(), node_id);
    every(COLLECT_INTERVAL, collect, until(stopped)).await;
}

/// Does something after each interval until `stopped` completes, which is not held up by what is being done.
async fn every<Work: Future<Output = ()>>(
    interval: Duration,
    work: impl Fn() -> Work,
    stopped: impl Future<Output = ()>,
) {
    let working = async {
        loop {
            tokio::time::sleep(interval).await;
            work().await;
        }
    };
    tokio::select! {
        () = stopped => {}
        () = working => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn what_is_being_done_when_the_broker_stops_does_not_hold_it_up() {
        let begun = Notify::new();
        let endless = || {
            begun.notify_one();
            std::future::pending()
        };
        let until_then = every(Duration::from_millis(1), endless, begun.notified());
        let ended = tokio::time::timeout(Duration::from_secs(60), until_then);
        assert!(ended.await.is_ok());
    }
}

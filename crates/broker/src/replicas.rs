//! Starting the replicas of a node.

use std::sync::Arc;

use skep_config::BrokerConfig;
use skep_log::{GroupId, LogStore};
use skep_partition::consensus::ConsensusEvents;
use skep_partition::thread::ReplicaThread;
use skep_partition::{FileNote, LocalPosition, Receiver, Replica, ReplicaConfig};
use skep_protocol::{NodeId, PartitionId};
use skep_raft::{RaftNode, RaftOptions, RaftPeers};
use skep_state::Store;
use skep_store::{Compact, PartitionStore, StoreOptions, WriteBack};
use tracing::error;

use crate::backup_parts::BackupParts;
use crate::backups::{BackupSettings, PartitionBackups};
use crate::clock::process_nonce;
use crate::data_dir::DataDir;
use crate::effects::NodeEffects;
use crate::exporters::Exporters;
use crate::nodes::Members;
use crate::partition::Partition;
use crate::router::Router;
use crate::transfer::Transfers;

/// What all partitions are started with.
pub struct Shared<'a> {
    /// The configuration.
    pub config: &'a BrokerConfig,
    /// The data directory.
    pub data: &'a DataDir,
    /// The log.
    pub log: LogStore,
    /// How their stores are opened.
    pub store_options: StoreOptions,
    /// The way to all partitions, and to the other nodes.
    pub router: Arc<Router>,
    /// The threads that write layers back.
    pub write_back: Arc<WriteBack>,
    /// Where backups go.
    pub backups: Option<BackupSettings>,
    /// Content on its way between brokers.
    pub transfers: Arc<Transfers>,
    /// The exporters.
    pub exporters: Arc<Exporters>,
}

/// Starts every replica of this node; one that cannot start is marked as failed, and the others go on.
pub async fn start_replicas(shared: &Shared<'_>, receivers: Vec<Receiver>) -> Vec<ReplicaThread> {
    let mut replicas = Vec::new();
    let partitions = &shared.router.local.partitions;
    for (receiver, partition) in receivers.into_iter().zip(partitions.iter()) {
        match start_replica(shared, partition, receiver).await {
            Ok(replica) => replicas.push(replica),
            Err(reason) => {
                error!(
                    partition = partition.id.0,
                    reason, "the partition cannot start; the others go on"
                );
                partitions.set_failed(partition.id, reason);
                // Its inbox has closed; what was in there already is answered by nobody.
                shared.router.local.requests.forget(partition.id);
            }
        }
    }
    replicas
}

async fn start_replica(
    shared: &Shared<'_>,
    partition: &Partition,
    receiver: Receiver,
) -> Result<ReplicaThread, String> {
    let id = partition.id;
    let (store, applied) = open_store(shared, id).await?;
    let exporters = &shared.exporters;
    let tap = Arc::new(exporters.tap(id, partition.inbox.clone(), applied));
    let mut raft = open_raft(shared, id, applied, Arc::clone(&tap) as Arc<_>).await?;
    if partition.raft.set(raft.handle()).is_err() {
        unreachable!("a replica is started once");
    }
    let chunks = shared.data.chunks(id.0);
    let inbox = partition.inbox.clone();
    shared.transfers.register(id, inbox, &store, chunks);
    let readers = (0..exporters.count()).map(|_| raft.reader()).collect();
    let backups = shared
        .backups
        .clone()
        .map(|settings| take_part_in_backups(shared, partition, settings));
    let effects = NodeEffects {
        partition: id,
        router: Arc::clone(&shared.router),
        write_back: Arc::clone(&shared.write_back),
        store: Arc::clone(&store) as Arc<dyn Compact>,
        backups,
        elected: None,
        exporters: Arc::clone(exporters),
    };
    let config = ReplicaConfig {
        partition: id,
        partition_count: shared.config.partitions_count,
        node: NodeId(shared.config.node_id),
        seed: process_nonce() ^ u64::from(id.0),
    };
    let mut replica =
        Replica::open(config, store, raft, effects).map_err(|error| error.to_string())?;
    // A replica is started once.
    let _ = partition.counters.job_types.set(replica.job_types());
    let _ = partition.counters.measures.set(replica.measures());
    let note = shared.data.note(id.0);
    let note =
        FileNote::open(&note).map_err(|error| format!("open {}: {error}", note.display()))?;
    replica.keep_note(Box::new(note));
    exporters.start(id, shared.data, &tap, readers, &replica.inspect())?;
    let local = Arc::clone(&shared.router.local);
    let ended = move |result: Result<(), skep_partition::ReplicaError>| {
        if let Err(error) = result {
            local.partitions.set_failed(id, error.to_string());
            local.requests.forget(id);
        }
    };
    ReplicaThread::spawn(format!("partition-{id}"), replica, receiver, ended)
        .map_err(|error| error.to_string())
}

fn take_part_in_backups(
    shared: &Shared<'_>,
    partition: &Partition,
    settings: BackupSettings,
) -> PartitionBackups {
    let parts = Arc::new(BackupParts::new(settings.clone()));
    if partition.backups.set(Arc::clone(&parts)).is_err() {
        unreachable!("a replica is started once");
    }
    let nodes = shared.config.cluster.distribution.replicas(partition.id.0);
    let nodes = nodes.iter().map(|node| NodeId(*node)).collect();
    PartitionBackups::new(settings, Arc::clone(&shared.router), nodes, parts)
}

/// Opens a partition's store. Gives also the last log entry that is in it.
async fn open_store(
    shared: &Shared<'_>,
    id: PartitionId,
) -> Result<(Arc<PartitionStore>, LocalPosition), String> {
    let directory = shared.data.partition(id.0);
    let options = shared.store_options.clone();
    let store = tokio::task::spawn_blocking(move || PartitionStore::open(&directory, &options));
    let store = store
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let applied = match store.meta().map_err(|error| error.to_string())? {
        Some(meta) => LocalPosition::read(&meta).map_err(|error| error.to_string())?,
        None => LocalPosition::default(),
    };
    Ok((Arc::new(store), applied))
}

/// Starts this node's member of a partition's consensus.
async fn open_raft(
    shared: &Shared<'_>,
    id: PartitionId,
    applied: LocalPosition,
    events: Arc<dyn ConsensusEvents>,
) -> Result<RaftNode, String> {
    let members = shared.config.cluster.distribution.replicas(id.0);
    let members = members.iter().map(|node| u64::from(*node)).collect();
    let elections = &shared.config.cluster.elections;
    let options = RaftOptions {
        applied: (applied != LocalPosition::default())
            .then_some((applied.raft_index(), applied.term)),
        kept_entries_max: shared.config.cluster.kept_entries_max,
        heartbeat: elections.heartbeat,
        election_timeout: elections.timeout,
        ..RaftOptions::new(u64::from(shared.config.node_id), members)
    };
    let group = shared.log.group(GroupId(id.0));
    let peers: Arc<dyn RaftPeers> = Arc::new(Members(Arc::clone(&shared.router.nodes)));
    let begun = shared.data.begun(id.0);
    let raft = RaftNode::open(options, group, &begun, events, peers).await;
    raft.map_err(|error| error.to_string())
}

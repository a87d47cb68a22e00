//! The exporters of this node: started with each partition, fed from its log, paused and resumed together.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use skep_config::{BrokerConfig, ExporterConfig};
use skep_exporter::file::{FileExporter, FileOptions};
use skep_exporter::thread::ExporterThread;
use skep_exporter::{CommittedLog, Feed, Filter, Phase, Progress, Source, Status, Worker};
use skep_partition::consensus::{ConsensusEvent, ConsensusEvents};
use skep_partition::{Bookkeeping, Inbox, Inspection, LocalPosition};
use skep_protocol::node_message::ExporterStatus;
use skep_protocol::{Index, PartitionId, Position};
use skep_raft::LogReader;
use tracing::info;

use crate::data_dir::{DataDir, lock_within};
use crate::exporting_phase::PhaseFile;
use crate::{BrokerError, now_ms};

/// How long to wait for a broker that is being killed to let an exporter's directory go.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// All exporters of a node.
pub struct Exporters {
    configured: Vec<Configured>,
    phase: Mutex<PhaseFile>,
    running: Mutex<Running>,
    /// Whether other nodes keep replicas, of which one exports.
    take_turns: bool,
}

/// An exporter as configured, for all partitions.
struct Configured {
    config: ExporterConfig,
    filter: Filter,
    _lock: File,
}

#[derive(Default)]
struct Running {
    feeds: Vec<(PartitionId, Arc<Feed>)>,
    threads: Vec<ExporterThread>,
    seen: Vec<Seen>,
}

/// One exporter of one partition, as others see it.
#[derive(Clone)]
pub struct Seen {
    /// The exporter.
    pub id: String,
    /// The partition.
    pub partition: PartitionId,
    /// How it is.
    pub status: Arc<Status>,
    feed: Arc<Feed>,
}

impl Seen {
    /// Log entries that are committed and kept for it.
    pub fn held(&self) -> i64 {
        let end = self.feed.end();
        end.0.saturating_sub(self.status.released().0) as i64
    }
}

/// The exporters of one partition.
pub struct Together {
    /// Up to where all have exported for good; `None` if there are none.
    pub exported: Option<Position>,
    /// What holds some of them up.
    pub failure: Option<String>,
}

impl Exporters {
    /// Checks the configuration, and takes the exporters' directories into possession.
    pub fn open(config: &BrokerConfig, data: &DataDir) -> Result<Exporters, BrokerError> {
        let phase = data.path().join("exporting");
        let phase = PhaseFile::open(&phase)
            .map_err(BrokerError::system(format!("read {}", phase.display())))?;
        let configured = config.exporters.iter().map(configure);
        Ok(Exporters {
            configured: configured.collect::<Result<_, _>>()?,
            phase: Mutex::new(phase),
            running: Mutex::default(),
            take_turns: config.cluster.replication_factor > 1,
        })
    }

    /// What a partition's consensus is to tell its events: the replica, and the exporters if there are any.
    pub fn tap(&self, partition: PartitionId, inbox: Inbox, applied: LocalPosition) -> Tap {
        if self.configured.is_empty() {
            return Tap { inbox, feed: None };
        }
        let feed = Arc::new(Feed::new(next_after(applied)));
        feed.set_phase(self.phase());
        feed.set_leads(!self.take_turns);
        let told = (partition, Arc::clone(&feed));
        self.running().feeds.push(told);
        Tap {
            inbox,
            feed: Some(feed),
        }
    }

    /// How many readers of a partition's log there will be.
    pub fn count(&self) -> usize {
        self.configured.len()
    }

    /// Starts the exporters of a partition, each with a reader of its log. `opened` is the replica before it has applied anything.
    pub fn start(
        &self,
        partition: PartitionId,
        data: &DataDir,
        tap: &Tap,
        readers: Vec<LogReader>,
        opened: &Inspection<'_>,
    ) -> Result<(), String> {
        let Some(feed) = &tap.feed else {
            return Ok(());
        };
        let begin = Progress {
            next: next_after(opened.log_id),
            epoch: opened.bookkeeping.epoch(),
            sequence: opened.bookkeeping.sequence(),
            position: opened.bookkeeping.position(),
        };
        for (configured, reader) in self.configured.iter().zip(readers) {
            let id = &configured.config.id;
            let source = Source {
                partition,
                log: Box::new(Log(reader)),
                begin,
                position: data.export_position(partition.0, id),
            };
            let worker = configured
                .worker(source)
                .map_err(|error| format!("start the exporter '{id}': {error}"))?;
            let status = worker.status();
            info!(
                partition = partition.0,
                exporter = id,
                position = status.acknowledged().0,
                "exports after that position"
            );
            let name = format!("export-{partition}-{id}");
            let thread = ExporterThread::spawn(name, worker, Arc::clone(feed))
                .map_err(|error| format!("start the exporter '{id}': {error}"))?;
            let mut running = self.running();
            running.threads.push(thread);
            running.seen.push(Seen {
                id: id.clone(),
                partition,
                status,
                feed: Arc::clone(feed),
            });
        }
        Ok(())
    }

    /// Ends all exporters, after what is committed has been exported unless that takes too long.
    pub fn stop(&self) {
        let (feeds, threads) = {
            let mut running = self.running();
            (
                std::mem::take(&mut running.feeds),
                std::mem::take(&mut running.threads),
            )
        };
        feeds.iter().for_each(|(_, feed)| feed.stop());
        threads.into_iter().for_each(ExporterThread::join);
    }

    /// This node leads a partition or does not: only the leader's exporters export it.
    pub fn set_leads(&self, partition: PartitionId, leads: bool) {
        if !self.take_turns {
            return;
        }
        for (of, feed) in &self.running().feeds {
            if *of == partition {
                feed.set_leads(leads);
            }
        }
    }

    /// How far the exporters of those partitions are, for other replicas.
    pub fn durable(&self, is_led: impl Fn(PartitionId) -> bool) -> Vec<ExporterStatus> {
        if !self.take_turns {
            return Vec::new();
        }
        let running = self.running();
        let seen = running.seen.iter().filter(|seen| is_led(seen.partition));
        let status = seen.map(|seen| {
            let durable = seen.status.durable();
            ExporterStatus {
                partition: seen.partition,
                exporter: seen.id.clone(),
                next: durable.next,
                epoch: durable.epoch,
                sequence: durable.sequence,
                position: durable.position,
            }
        });
        status.collect()
    }

    /// A replica has been given another one's content. Its log begins after that, so its exporters can go on there at the earliest.
    pub fn begin_after(
        &self,
        partition: PartitionId,
        applied: &Bookkeeping,
        log_id: LocalPosition,
    ) {
        let running = self.running();
        for seen in running
            .seen
            .iter()
            .filter(|seen| seen.partition == partition)
        {
            seen.status.log_begins_after(Progress {
                next: next_after(log_id),
                epoch: applied.epoch(),
                sequence: applied.sequence(),
                position: applied.position(),
            });
        }
    }

    /// The exporter of another node is that far.
    pub fn hear(&self, told: &ExporterStatus) {
        let running = self.running();
        let ours = |seen: &&Seen| seen.partition == told.partition && seen.id == told.exporter;
        for seen in running.seen.iter().filter(ours) {
            seen.status.hear(Progress {
                next: told.next,
                epoch: told.epoch,
                sequence: told.sequence,
                position: told.position,
            });
        }
    }

    /// Pauses or goes on, also after a restart.
    pub fn set_phase(&self, phase: Phase) -> std::io::Result<()> {
        let mut file = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        file.set(phase)?;
        for (_, feed) in &self.running().feeds {
            feed.set_phase(phase);
        }
        info!(phase = phase.name(), "exporting");
        Ok(())
    }

    /// Whether exporting is paused.
    pub fn phase(&self) -> Phase {
        self.phase
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get()
    }

    /// All exporters of all partitions.
    pub fn all(&self) -> Vec<Seen> {
        self.running().seen.clone()
    }

    /// How the exporters of one partition are, taken together.
    pub fn of(&self, partition: PartitionId) -> Together {
        let running = self.running();
        let seen = running
            .seen
            .iter()
            .filter(|seen| seen.partition == partition);
        let failures = seen.clone().filter_map(|seen| {
            let failure = seen.status.failure()?;
            Some(format!("{}: {failure}", seen.id))
        });
        let failure = failures.collect::<Vec<_>>().join("; ");
        Together {
            exported: seen.map(|seen| seen.status.acknowledged()).min(),
            failure: (!failure.is_empty()).then_some(failure),
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // No code that can panic runs under the lock.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn configure(config: &ExporterConfig) -> Result<Configured, BrokerError> {
    let refused = |reason: String| BrokerError::Exporter {
        id: config.id.clone(),
        reason,
    };
    let filter = Filter::of_names(&config.record_types, &config.value_types)
        .map_err(|error| refused(error.to_string()))?;
    let directory = &config.directory;
    let shown = directory.display();
    std::fs::create_dir_all(directory).map_err(|error| {
        refused(format!(
            "the directory {shown} cannot be created: {error}. Choose another with args.directory"
        ))
    })?;
    let path = directory.join("exporter.lock");
    let lock = File::create(&path)
        .map_err(|error| refused(format!("create {}: {error}", path.display())))?;
    lock_within(&lock, LOCK_PATIENCE).map_err(|error| {
        refused(format!(
            "lock {}: {error}. If another broker writes there, choose another directory with args.directory",
            path.display()
        ))
    })?;
    Ok(Configured {
        config: config.clone(),
        filter,
        _lock: lock,
    })
}

impl Configured {
    fn worker(&self, source: Source) -> Result<Worker, skep_exporter::ExportError> {
        let exporter = FileExporter::new(FileOptions {
            directory: partition_directory(&self.config.directory, source.partition),
            file_bytes_max: self.config.file_bytes_max,
            files_max: self.config.files_max,
            series: now_ms(),
            broker_version: skep_gateway::GATEWAY_VERSION,
        });
        Worker::new(
            source,
            Box::new(exporter),
            self.filter.clone(),
            self.config.flush_interval,
        )
    }
}

fn partition_directory(directory: &Path, partition: PartitionId) -> PathBuf {
    directory.join(format!("partition-{partition}"))
}

/// The log entry after those that are in a store.
fn next_after(applied: LocalPosition) -> Index {
    // The very first entry has index 0, as has a store that has seen none; it is none of a leader's.
    match applied == LocalPosition::default() {
        true => Index(0),
        false => Index(applied.index + 1),
    }
}

/// Takes consensus' events to the replica, and what is committed to the exporters.
pub struct Tap {
    inbox: Inbox,
    feed: Option<Arc<Feed>>,
}

impl ConsensusEvents for Tap {
    fn send(&self, event: ConsensusEvent) {
        let committed = match (&event, &self.feed) {
            (ConsensusEvent::Committed { index, .. }, Some(feed)) => Some((feed, *index)),
            _ => None,
        };
        // The replica first: clients wait for it.
        self.inbox.send(event);
        if let Some((feed, index)) = committed {
            feed.committed(index);
        }
    }
}

/// A partition's log as exporters see it.
struct Log(LogReader);

impl CommittedLog for Log {
    fn first(&self) -> Result<Index, String> {
        self.0.first().map_err(|error| error.to_string())
    }

    fn end(&self) -> Result<Index, String> {
        self.0.end().map_err(|error| error.to_string())
    }

    fn read(
        &mut self,
        from: Index,
        to: Index,
        bytes_max: usize,
    ) -> Result<Vec<(Index, Bytes)>, String> {
        self.0
            .read(from, to, bytes_max)
            .map_err(|error| error.to_string())
    }

    fn release(&mut self, index: Index) {
        self.0.release(index);
    }
}

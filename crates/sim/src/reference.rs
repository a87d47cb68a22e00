//! The reference of a partition: what its state must be, entry by entry of the committed log.
//!
//! It applies the log by rules of its own, evaluates every batch again with an engine of its own on the state before it, and
//! remembers what that state was after each entry, so that replicas can be compared with it wherever they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use skep_engine::{Context, Engine, EngineConfig, Input};
use skep_partition::{BOOKKEEPING_PREFIXES, Bookkeeping};
use skep_protocol::{
    Batch, CheckpointId, Epoch, LogEntry, PartitionId, Position, RequestId, ResponseResult,
    Sequence, WriteOp,
};
use skep_state::{KeyRange, MemoryStore, Op, Overlay, Read, Visit};

use crate::invariants::{exactly_once, positions, shadow};
use crate::violation::{Check, Violation};

/// Bytes of the reference's own layer after which it is written into its store.
const LAYER_BYTES_MAX: usize = 1 << 20;

/// A batch as its leader evaluated it.
#[derive(Debug)]
pub struct Evaluated {
    /// Inputs in order, each with its context.
    pub inputs: Vec<(Input, Context)>,
    /// What came of them.
    pub batch: Batch,
}

/// The content of a partition at one checkpoint.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Where the checkpoint is.
    pub position: Position,
    /// The content without what a manifest stands for.
    pub pairs: Arc<Vec<(Bytes, Bytes)>>,
}

/// What a request is to be answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The answer.
    pub result: ResponseResult,
    /// The entry that causes it.
    pub index: u64,
    /// Position of the last record of that entry's batch.
    pub position: Position,
}

/// The reference of one partition.
pub struct Reference {
    partition: PartitionId,
    config: EngineConfig,
    overlay: Overlay,
    store: MemoryStore,
    engine: Engine,
    /// Progress after the last entry.
    pub progress: Bookkeeping,
    /// Index of the last entry.
    pub applied: u64,
    hash: u128,
    /// After each entry from the first on: progress, and hash of the content.
    history: Vec<(Bookkeeping, u128)>,
    evaluated: BTreeMap<(Epoch, Sequence), Evaluated>,
    /// What each request of an applied batch is to be answered.
    pub answers: BTreeMap<RequestId, Answer>,
    /// What was sent to other partitions: hash by target and number.
    pub sent: BTreeMap<(PartitionId, u64), u128>,
    /// The commands applied and refused.
    pub once: exactly_once::Seen,
    /// Content at each checkpoint.
    pub cuts: BTreeMap<CheckpointId, Cut>,
    /// Batches applied.
    pub batches: u64,
    /// Commands in them.
    pub commands: u64,
}

/// Hash of a pair; that of a content is the sum, so that it changes with each write.
pub fn pair_hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.digest128()
}

/// Whether a backup's manifest stands for the key.
pub fn is_bookkeeping(key: &[u8]) -> bool {
    key.first()
        .is_some_and(|prefix| BOOKKEEPING_PREFIXES.contains(prefix))
}

/// Hash of all content but the replica's own progress, which is compared by itself.
pub fn content_hash(state: &dyn Read) -> Check<u128> {
    let mut sum = 0u128;
    let progress = Bookkeeping::default().to_pair().0;
    let scanned = state.scan(KeyRange::ALL, &mut |key, value| {
        if key != progress {
            sum = sum.wrapping_add(pair_hash(key, value));
        }
        Visit::Next
    });
    scanned.map_err(|error| Violation::new("state", error.to_string()))?;
    Ok(sum)
}

/// All pairs but those that a backup's manifest stands for.
pub fn content_pairs(state: &dyn Read) -> Check<Vec<(Bytes, Bytes)>> {
    let mut pairs = Vec::new();
    let scanned = state.scan(KeyRange::ALL, &mut |key, value| {
        if !is_bookkeeping(key) {
            pairs.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
        }
        Visit::Next
    });
    scanned.map_err(|error| Violation::new("state", error.to_string()))?;
    Ok(pairs)
}

impl Reference {
    /// Of a partition whose replicas all start with the content of `store`, for which the entries up to `applied` stand.
    pub fn new(
        partition: PartitionId,
        partition_count: u32,
        store: MemoryStore,
        applied: u64,
    ) -> Check<Reference> {
        let config = EngineConfig {
            partition,
            partition_count,
        };
        let overlay = Overlay::new(Arc::new(store.clone()));
        let progress = Bookkeeping::read(&overlay)
            .map_err(|error| Violation::new("state", error.to_string()))?;
        let hash = content_hash(&overlay)?;
        // A replica that has lost everything begins before them, with nothing.
        let nothing = Bookkeeping::read(&Overlay::new(Arc::new(MemoryStore::default())))
            .map_err(|error| Violation::new("state", error.to_string()))?;
        let mut history = vec![(nothing, 0); applied as usize];
        history.push((progress.clone(), hash));
        let once = exactly_once::Seen::begin(&overlay, partition_count)?;
        Ok(Reference {
            partition,
            engine: Engine::new(config.clone()),
            config,
            overlay,
            store,
            history,
            progress,
            applied,
            hash,
            evaluated: BTreeMap::new(),
            answers: BTreeMap::new(),
            sent: BTreeMap::new(),
            once,
            cuts: BTreeMap::new(),
            batches: 0,
            commands: 0,
        })
    }

    /// The state after the last entry.
    pub fn state(&self) -> &Overlay {
        &self.overlay
    }

    /// Progress and content's hash after an entry; `None` if it is not committed.
    pub fn after(&self, index: u64) -> Option<&(Bookkeeping, u128)> {
        self.history.get(index as usize)
    }

    /// A leader has evaluated a batch.
    pub fn evaluated(&mut self, evaluated: Evaluated) {
        let header = &evaluated.batch.header;
        self.evaluated
            .insert((header.epoch, header.sequence), evaluated);
    }

    /// Another engine, which has nothing in memory.
    pub fn forget_memory(&mut self) {
        self.engine = Engine::new(self.config.clone());
    }

    /// The next entry is committed. Gives the batch, unless the entry holds none or it is fenced.
    pub fn apply(&mut self, entry: &Bytes) -> Check<Option<Batch>> {
        self.applied += 1;
        let applied = self.apply_entry(entry)?;
        self.history.push((self.progress.clone(), self.hash));
        if self.overlay.active_bytes() > LAYER_BYTES_MAX {
            let ticket = self.overlay.rotate(Bytes::new());
            ticket
                .write_to(&self.store)
                .map_err(|error| Violation::new("state", error.to_string()))?;
            self.overlay.flushed(&ticket);
        }
        Ok(applied)
    }

    fn apply_entry(&mut self, entry: &Bytes) -> Check<Option<Batch>> {
        if entry.is_empty() {
            return Ok(None);
        }
        let entry = LogEntry::decode(entry)
            .map_err(|error| Violation::new("codec", format!("a committed entry: {error}")))?;
        let batch = match entry {
            LogEntry::Epoch(epoch) => {
                self.progress.epoch += 1;
                self.progress.sequence = 0;
                self.progress.time = self.progress.time.max(epoch.time);
                let current = self.progress.epoch();
                self.evaluated
                    .retain(|(epoch, _), _| epoch.0 + 2 >= current.0);
                return Ok(None);
            }
            LogEntry::Batch(batch) => batch,
        };
        let header = batch.header;
        let next = (self.progress.epoch(), self.progress.sequence().next());
        if (header.epoch, header.sequence) != next {
            return Ok(None);
        }
        self.apply_batch(&batch)?;
        Ok(Some(batch))
    }

    fn apply_batch(&mut self, batch: &Batch) -> Check {
        let header = batch.header;
        positions::check(self.partition, &self.progress, batch)?;
        let Some(evaluated) = self.evaluated.remove(&(header.epoch, header.sequence)) else {
            return Err(Violation::new(
                "shadow",
                format!(
                    "partition {}: no leader has evaluated batch {}/{}",
                    self.partition, header.epoch, header.sequence
                ),
            ));
        };
        self.overlay.begin_batch();
        let outcomes = shadow::evaluate(&mut self.engine, &mut self.overlay, &evaluated)?;
        shadow::compare(
            self.partition,
            &outcomes,
            self.overlay.batch_writes(),
            &evaluated,
            batch,
        )?;
        let position = Position(header.first_position.0 + batch.records.len() as i64 - 1);
        for ((input, _), outcome) in evaluated.inputs.iter().zip(outcomes) {
            self.once.check(self.partition, input, &outcome)?;
            for response in outcome.responses {
                let answer = Answer {
                    result: response.result,
                    index: self.applied,
                    position,
                };
                self.answers.insert(response.request, answer);
            }
            for send in outcome.sends {
                let mut bytes = Vec::new();
                send.command.encode(&mut bytes);
                self.sent
                    .insert((send.target, send.number), pair_hash(&[], &bytes));
            }
        }
        self.commands += evaluated.inputs.len() as u64;
        self.batches += 1;
        self.hash_writes(batch)?;
        self.overlay.apply_pending();
        self.progress.sequence = header.sequence.0;
        self.progress.position = position.0;
        self.progress.time = header.time;
        let (key, value) = self.progress.to_pair();
        self.overlay.apply([(key.into(), Op::Put(value.into()))]);
        if header.checkpoint != CheckpointId::NONE {
            let pairs = Arc::new(content_pairs(&self.overlay)?);
            let position = self.progress.position();
            self.cuts.insert(header.checkpoint, Cut { position, pairs });
        }
        Ok(())
    }

    /// Goes on with the content's hash. Called before the batch is applied: what it overwrites still counts.
    fn hash_writes(&mut self, batch: &Batch) -> Check {
        let before = self.overlay.applied();
        for (key, op) in &batch.writes {
            let old = before
                .get(key)
                .map_err(|error| Violation::new("state", error.to_string()))?;
            if let Some(old) = &old {
                self.hash = self.hash.wrapping_sub(pair_hash(key, old));
            }
            match op {
                WriteOp::Insert(_) if old.is_some() => {
                    return Err(Violation::new(
                        "state",
                        format!(
                            "partition {}: key {key:02x?} is inserted but exists",
                            self.partition
                        ),
                    ));
                }
                WriteOp::Insert(value) | WriteOp::Put(value) => {
                    self.hash = self.hash.wrapping_add(pair_hash(key, value));
                }
                WriteOp::Delete => {}
            }
        }
        Ok(())
    }
}

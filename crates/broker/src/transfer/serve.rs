//! As a leader: frozen content, read chunk by chunk as another broker asks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use skep_backup::{ChunkHash, ContentChunk, chunk, read_chunk_at, run_in_turn};
use skep_partition::{Event, FrozenContent};
use skep_protocol::{Index, PartitionId};
use skep_raft::Offer;
use tokio::sync::oneshot;
use tracing::info;

use super::wire::{self, LISTED_MAX, Listed, ListedChunk, Question};
use super::{Transfers, lock};
use crate::clock::process_nonce;
use crate::content::SnapshotContent;

/// How long a replica may take to freeze its content.
const FREEZE_PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of chunks that one answer lists, so that they can be kept until they are asked for.
const LISTED_BYTES_MAX: usize = 8 << 20;

/// Bytes of chunks that were listed and may be asked for: of this list, and of the one asked for ahead.
const READY_BYTES_MAX: usize = 24 << 20;

/// As backups are compressed: a fast network gains nothing by more.
const COMPRESSION_LEVEL: i32 = 1;

/// Content for another broker.
pub struct Outgoing {
    content: Arc<SnapshotContent>,
    ready: Mutex<Ready>,
}

impl Outgoing {
    pub fn new(content: SnapshotContent) -> Outgoing {
        Outgoing {
            content: Arc::new(content),
            ready: Mutex::default(),
        }
    }
}

/// Chunks that were read for a list, so that they need not be read again.
#[derive(Default)]
struct Ready {
    bytes: usize,
    chunks: VecDeque<(ChunkHash, Bytes)>,
}

impl Ready {
    fn add(&mut self, hash: ChunkHash, encoding: Bytes) {
        self.bytes += encoding.len();
        self.chunks.push_back((hash, encoding));
        while self.bytes > READY_BYTES_MAX
            && let Some((_, oldest)) = self.chunks.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    fn take(&mut self, hash: ChunkHash) -> Option<Bytes> {
        let at = self.chunks.iter().position(|(ready, _)| *ready == hash)?;
        let (_, encoding) = self.chunks.remove(at)?;
        self.bytes -= encoding.len();
        Some(encoding)
    }
}

/// Keeps content as long as it is offered.
struct Kept {
    transfers: Arc<Transfers>,
    partition: PartitionId,
    ticket: u64,
}

impl Drop for Kept {
    fn drop(&mut self) {
        lock(&self.transfers.outgoing).remove(&self.ticket);
        info!(partition = self.partition.0, "offers its content no more");
    }
}

/// Freezes a partition's content.
pub async fn offer(transfers: &Arc<Transfers>, partition: PartitionId) -> Result<Offer, String> {
    let here = transfers.here(partition)?;
    let (told, frozen) = oneshot::channel();
    here.inbox.push(Event::Freeze(Box::new(move |frozen| {
        // Whoever asked may have gone away.
        let _ = told.send(frozen);
    })));
    let frozen = tokio::time::timeout(FREEZE_PATIENCE, frozen).await;
    let frozen = frozen
        .map_err(|_| "the replica does not answer".to_owned())?
        .map_err(|_| "the replica has stopped".to_owned())?;
    let FrozenContent { log_id, view } = frozen.map_err(|error| error.to_string())?;
    let ticket = process_nonce();
    let outgoing = Outgoing::new(SnapshotContent::whole(Arc::new(view)));
    lock(&transfers.outgoing).insert(ticket, Arc::new(outgoing));
    info!(
        partition = partition.0,
        index = log_id.index,
        "offers its content to a replica that lacks more of the log than there is"
    );
    Ok(Offer {
        index: Index(log_id.index),
        term: log_id.term,
        ticket: wire::encode_ticket(ticket),
        kept: Box::new(Kept {
            transfers: Arc::clone(transfers),
            partition,
            ticket,
        }),
    })
}

/// Answers a question about content.
pub async fn answer(transfers: &Transfers, question: Bytes) -> Result<Bytes, String> {
    let question = Question::decode(question)?;
    let ticket = match &question {
        Question::List(list) => list.ticket,
        Question::Chunk(chunk) => chunk.ticket,
    };
    let outgoing = lock(&transfers.outgoing).get(&ticket).cloned();
    let outgoing = outgoing.ok_or("this content is not offered any more")?;
    match question {
        Question::List(asked) => {
            let listed = list(transfers, &outgoing, asked.from).await?;
            Ok(listed.encode_to_vec().into())
        }
        Question::Chunk(asked) => {
            let hash = wire::hash(&asked.hash)?;
            let ready = lock(&outgoing.ready).take(hash);
            let encoding = match ready {
                Some(encoding) => encoding,
                // It was asked for before, and did not arrive.
                None => match read(transfers, &outgoing, asked.first_key).await? {
                    Some(found) if found.info.hash == hash => found.encoding,
                    _ => return Err("there is no such chunk".to_owned()),
                },
            };
            let stored = run_in_turn(&transfers.processors, move || {
                chunk::compress(&encoding, COMPRESSION_LEVEL)
            });
            let stored = stored.await.map_err(|error| error.to_string())?;
            let (stored, _) = stored.map_err(|error| error.to_string())?;
            transfers.metrics.sent(stored.len());
            Ok(stored)
        }
    }
}

async fn list(transfers: &Transfers, outgoing: &Outgoing, from: Bytes) -> Result<Listed, String> {
    let mut listed = Listed::default();
    let mut next = Some(from);
    let mut bytes = 0;
    while let Some(from) = next.take() {
        if listed.chunks.len() == LISTED_MAX || bytes >= LISTED_BYTES_MAX {
            listed.next = Some(from);
            break;
        }
        let Some(found) = read(transfers, outgoing, from).await? else {
            break;
        };
        listed.chunks.push(ListedChunk::of(&found.info));
        bytes += found.encoding.len();
        lock(&outgoing.ready).add(found.info.hash, found.encoding);
        next = found.next.map(Bytes::from);
    }
    Ok(listed)
}

/// Reads a chunk beside everything else.
async fn read(
    transfers: &Transfers,
    outgoing: &Outgoing,
    from: Bytes,
) -> Result<Option<ContentChunk>, String> {
    let content = Arc::clone(&outgoing.content);
    let read = run_in_turn(&transfers.processors, move || {
        read_chunk_at(&*content, &from)
    });
    let read = read.await.map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())
}

//! As a follower: the leader's content, compared with what is here, fetched where it differs, and made ready to be this replica's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use futures::{StreamExt, stream};
use prost::Message as _;
use skep_backup::chunk::{self, PairRun, decode_pairs};
use skep_backup::{ChunkInfo, read_chunk_at};
use skep_partition::{Event, Inbox, LocalPosition};
use skep_protocol::{Index, NodeId, PartitionId};
use skep_raft::FetchedContent;
use skep_store::Replacement;
use skep_transport::RequestError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::Transfers;
use super::cache::ChunkCache;
use super::wire::{self, Chunk, LISTED_MAX, List, Listed, Question};
use crate::clock::process_nonce;
use crate::content::SnapshotContent;
use crate::metrics::TransferMetrics;
use crate::nodes::Nodes;

/// How long this replica may take to have nothing on its way to its store.
const HOLD_PATIENCE: Duration = Duration::from_secs(60);

/// How long an answer may take: a list of chunks is read for it, at low priority.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Attempts to get an answer, and the pause between two of them: a connection that was lost is there again within that time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Chunks compared or fetched at once.
const AT_ONCE: usize = 4;

/// Chunks that wait to be written.
const CHUNKS_AHEAD: usize = 2;

/// Between two lines of the log about how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Whoever offers the content.
pub trait Leader: Send + Sync {
    /// Answers a question, unless it is lost on the way.
    fn ask(&self, question: Bytes) -> BoxFuture<'_, Result<Bytes, RequestError>>;
}

/// One on another broker.
pub struct Remote {
    pub nodes: Arc<Nodes>,
    pub node: NodeId,
}

impl Leader for Remote {
    fn ask(&self, question: Bytes) -> BoxFuture<'_, Result<Bytes, RequestError>> {
        let asked = self.nodes.ask_content(self.node, question, ANSWER_PATIENCE);
        asked.boxed()
    }
}

/// Lets the replica write back again when nothing has come of the attempt, or the replica has been told what has.
struct HeldBack {
    inbox: Inbox,
    attempt: u64,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        let attempt = self.attempt;
        self.inbox.push(Event::WriteBackAgain { attempt });
    }
}

/// Content that is in the store already, though not visible.
pub struct Fetched {
    partition: PartitionId,
    /// Until it is installed.
    replacement: Option<Replacement>,
    cache: ChunkCache,
    metrics: TransferMetrics,
    _held: HeldBack,
}

/// One transfer.
struct Fetch {
    partition: PartitionId,
    from: NodeId,
    ticket: u64,
    leader: Arc<dyn Leader>,
    own: Arc<SnapshotContent>,
    cache: ChunkCache,
    metrics: TransferMetrics,
}

/// Where a chunk was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    OwnStore,
    Cache,
    Leader,
}

/// How far a transfer is.
#[derive(Debug, Default)]
struct Count {
    chunks: u64,
    bytes: u64,
    chunks_fetched: u64,
    bytes_fetched: u64,
}

/// A chunk, and the first key of the one after it; nothing at the end of the content.
type Next = Option<(PairRun, Option<Vec<u8>>)>;

/// Fetches what the leader has frozen under the ticket.
pub async fn fetch(
    transfers: &Transfers,
    leader: Arc<dyn Leader>,
    partition: PartitionId,
    from: NodeId,
    ticket: &[u8],
) -> Result<Fetched, String> {
    let here = transfers.here(partition)?;
    let ticket = wire::decode_ticket(ticket)?;
    let held = hold_back(here.inbox.clone()).await?;
    let store = here.store.upgrade();
    let store = store.ok_or("the replica has stopped")?;
    let own = skep_state::Store::snapshot(&*store).map_err(|error| error.to_string())?;
    let replacement = store.replace().map_err(|error| error.to_string())?;
    drop(store);
    let cache = ChunkCache::open(&here.chunks)
        .map_err(|error| format!("create {}: {error}", here.chunks.display()))?;
    let fetch = Fetch {
        partition,
        from,
        ticket,
        leader,
        own: Arc::new(SnapshotContent::whole(own)),
        cache: cache.clone(),
        metrics: transfers.metrics.clone(),
    };
    let replacement = fetch.run(replacement).await?;
    Ok(Fetched {
        partition,
        replacement: Some(replacement),
        cache,
        metrics: transfers.metrics.clone(),
        _held: held,
    })
}

async fn hold_back(inbox: Inbox) -> Result<HeldBack, String> {
    let attempt = process_nonce();
    let (told, held) = oneshot::channel();
    let guard = HeldBack {
        inbox: inbox.clone(),
        attempt,
    };
    let told = Box::new(move || {
        // Whoever asked may have gone away.
        let _ = told.send(());
    });
    inbox.push(Event::HoldBack {
        attempt,
        held: told,
    });
    match tokio::time::timeout(HOLD_PATIENCE, held).await {
        Ok(Ok(())) => Ok(guard),
        Ok(Err(_)) => Err("the replica has stopped, or leads".to_owned()),
        Err(_) => Err("the replica's store does not take what is on its way to it".to_owned()),
    }
}

impl Fetch {
    /// Has all chunks written in order, and waits until they are.
    async fn run(&self, replacement: Replacement) -> Result<Replacement, String> {
        let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
        let writer = spawn_blocking(move || write_all(replacement, receiver));
        let begun = Instant::now();
        let fed = self.feed(&sender).await;
        drop(sender);
        let written = writer.await.map_err(|error| error.to_string())?;
        // If writing failed, feeding stopped for that reason.
        let replacement = written?;
        let count = fed?.ok_or("the store took no more chunks")?;
        let Some(mut replacement) = replacement else {
            return Err("the content is not complete".to_owned());
        };
        let (prepared, replacement) = spawn_blocking(move || {
            let prepared = replacement.prepare();
            (prepared, replacement)
        })
        .await
        .map_err(|error| error.to_string())?;
        prepared.map_err(|error| error.to_string())?;
        info!(
            partition = self.partition.0,
            from = self.from.0,
            chunks = count.chunks,
            bytes = count.bytes,
            chunks_fetched = count.chunks_fetched,
            bytes_fetched = count.bytes_fetched,
            took = ?begun.elapsed(),
            "has fetched the leader's content"
        );
        Ok(replacement)
    }

    /// Hands over all chunks in order; `None` if they are not taken.
    async fn feed(&self, sender: &mpsc::Sender<Next>) -> Result<Option<Count>, String> {
        let mut count = Count::default();
        let mut said = Instant::now();
        let mut listing = Some(self.list(Bytes::new()).boxed());
        while let Some(list) = listing.take() {
            let listed = list.await?;
            // The leader reads the next ones while these are fetched.
            let next = listed.next.clone();
            let mut ahead = next.clone().map(|next| self.list(next).boxed());
            let ends = listed.chunks.iter().skip(1).map(|chunk| &chunk.first_key);
            let ends = ends.map(Some).chain([next.as_ref()]);
            let wanted = listed.chunks.iter().zip(ends);
            let wanted: Vec<(ChunkInfo, Option<Vec<u8>>)> = wanted
                .map(|(chunk, end)| Ok((chunk.info()?, end.map(|end| end.to_vec()))))
                .collect::<Result<_, String>>()?;
            let mut gotten = stream::iter(wanted)
                .map(|(info, end)| async move { self.get(info).await.map(|got| (got, end)) })
                .buffered(AT_ONCE);
            let mut ready = None;
            while let Some(got) = poll_both(&mut gotten, &mut ahead, &mut ready).await {
                let ((pairs, place, raw, sent), end) = got?;
                count.add(place, raw, sent);
                self.metrics.compared(raw);
                if sender.send(Some((pairs, end))).await.is_err() {
                    return Ok(None);
                }
                if said.elapsed() > SAY_EVERY {
                    said = Instant::now();
                    info!(
                        partition = self.partition.0,
                        ?count,
                        "fetches the leader's content"
                    );
                }
            }
            drop(gotten);
            listing = match ready {
                Some(ready) => Some(futures::future::ready(ready).boxed()),
                None => ahead,
            };
        }
        if sender.send(None).await.is_err() {
            return Ok(None);
        }
        Ok(Some(count))
    }

    async fn list(&self, from: Bytes) -> Result<Listed, String> {
        let begin = from.clone();
        let question = Question::List(List {
            ticket: self.ticket,
            from,
        });
        let answer = self.ask(question).await?;
        let listed = Listed::decode(answer).map_err(|error| error.to_string())?;
        let keys = listed.chunks.iter().map(|chunk| &chunk.first_key);
        let ordered = keys.chain(listed.next.as_ref()).is_sorted_by(|a, b| a < b);
        let goes_on = listed.next.as_ref().is_none_or(|next| *next > begin);
        if !ordered || !goes_on || listed.chunks.len() > LISTED_MAX {
            return Err("the leader's list of chunks is out of order".to_owned());
        }
        Ok(listed)
    }

    /// A chunk from wherever it is, with its length and what of it had to be sent.
    async fn get(&self, info: ChunkInfo) -> Result<(PairRun, Place, u64, u64), String> {
        let (own, cache) = (Arc::clone(&self.own), self.cache.clone());
        let wanted = info.clone();
        let here = spawn_blocking(move || find(&own, &cache, &wanted));
        let here = here.await.map_err(|error| error.to_string())??;
        if let Some((pairs, place)) = here {
            return Ok((pairs, place, info.raw_bytes, 0));
        }
        let question = Question::Chunk(Chunk {
            ticket: self.ticket,
            first_key: Bytes::copy_from_slice(&info.first_key),
            hash: Bytes::copy_from_slice(info.hash.as_bytes()),
        });
        for _ in 1..ATTEMPTS {
            let stored = self.ask(question.clone()).await?;
            let sent = stored.len();
            self.metrics.received(sent);
            let (cache, wanted) = (self.cache.clone(), info.clone());
            let checked = spawn_blocking(move || check(&cache, &wanted, &stored));
            match checked.await.map_err(|error| error.to_string())? {
                Ok(pairs) => return Ok((pairs, Place::Leader, info.raw_bytes, sent as u64)),
                Err(Wrong::Chunk(reason)) => warn!(
                    partition = self.partition.0,
                    reason, "a chunk arrived damaged, and is fetched again"
                ),
                Err(Wrong::Disk(reason)) => return Err(reason),
            }
        }
        Err("a chunk arrives damaged again and again".to_owned())
    }

    async fn ask(&self, question: Question) -> Result<Bytes, String> {
        let question = question.encode();
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.leader.ask(question.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error @ RequestError::Refused { .. }) => return Err(error.to_string()),
                Err(error) if attempt == ATTEMPTS => {
                    return Err(error.to_string());
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// The next chunk; meanwhile the list that was asked for ahead comes.
async fn poll_both<T, L>(
    chunks: &mut (impl StreamExt<Item = T> + Unpin),
    ahead: &mut Option<BoxFuture<'_, L>>,
    ready: &mut Option<L>,
) -> Option<T> {
    loop {
        let Some(list) = ahead else {
            return chunks.next().await;
        };
        tokio::select! {
            biased;
            chunk = chunks.next() => return chunk,
            listed = list => {
                *ready = Some(listed);
                *ahead = None;
            }
        }
    }
}

impl Count {
    fn add(&mut self, place: Place, raw: u64, sent: u64) {
        self.chunks += 1;
        self.bytes += raw;
        self.chunks_fetched += u64::from(place == Place::Leader);
        self.bytes_fetched += sent;
    }
}

/// Why a chunk that came is not taken.
enum Wrong {
    Chunk(String),
    Disk(String),
}

/// A chunk that need not be sent.
fn find(
    own: &SnapshotContent,
    cache: &ChunkCache,
    wanted: &ChunkInfo,
) -> Result<Option<(PairRun, Place)>, String> {
    let found = read_chunk_at(own, &wanted.first_key).map_err(|error| error.to_string())?;
    let (encoding, place) = match found.filter(|found| found.info == *wanted) {
        Some(found) => (found.encoding, Place::OwnStore),
        None => match cache.get(wanted.hash) {
            Some(encoding) => (encoding, Place::Cache),
            None => return Ok(None),
        },
    };
    let pairs = decode_pairs(encoding).map_err(|error| error.to_string())?;
    Ok(Some((pairs, place)))
}

fn check(cache: &ChunkCache, wanted: &ChunkInfo, stored: &[u8]) -> Result<PairRun, Wrong> {
    let wrong = |error: chunk::ChunkError| Wrong::Chunk(error.to_string());
    let encoding = chunk::decompress(stored, wanted.hash).map_err(wrong)?;
    let pairs = decode_pairs(encoding).map_err(wrong)?;
    let kept = cache.put(wanted.hash, stored);
    kept.map_err(|error| Wrong::Disk(format!("keep a chunk: {error}; free space on the disk")))?;
    Ok(pairs)
}

/// `None` if the content ended before its end was told.
fn write_all(
    mut replacement: Replacement,
    mut receiver: mpsc::Receiver<Next>,
) -> Result<Option<Replacement>, String> {
    let text = |error: skep_state::StateError| error.to_string();
    let mut whole = false;
    while let Some(next) = receiver.blocking_recv() {
        let Some((pairs, end)) = next else {
            if !whole {
                // A content without any chunk.
                let nothing = &mut std::iter::empty();
                replacement.put(None, nothing).map_err(text)?;
            }
            return Ok(Some(replacement));
        };
        whole = end.is_none();
        let put = replacement.put(end.as_deref(), &mut pairs.iter());
        put.map_err(text)?;
    }
    Ok(None)
}

impl FetchedContent for Fetched {
    fn install(&mut self, index: Index, term: u64) -> BoxFuture<'_, Result<(), String>> {
        let Some(replacement) = self.replacement.take() else {
            let twice = "the content has been taken already".to_owned();
            return futures::future::ready(Err(twice)).boxed();
        };
        let (partition, cache, metrics) =
            (self.partition, self.cache.clone(), self.metrics.clone());
        let installed = spawn_blocking(move || {
            let index = index.0;
            let meta = LocalPosition { index, term }.encode_to_vec().into();
            replacement
                .finish(&meta)
                .map_err(|error| error.to_string())?;
            metrics.replaced();
            if let Err(error) = cache.remove() {
                warn!(partition = partition.0, %error, "the chunks that came are not removed");
            }
            Ok(())
        });
        async move { installed.await.map_err(|error| error.to_string())? }.boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use skep_state::{LocalMeta, MemoryStore, Store};

    use super::*;

    fn content(values: std::ops::Range<u8>) -> SnapshotContent {
        let store = MemoryStore::default();
        let pairs: Vec<_> = values.map(|value| ([7, value], [value; 90])).collect();
        let mut writes = pairs
            .iter()
            .map(|(key, value)| (&key[..], Some(&value[..])));
        store.write(&mut writes, &LocalMeta::new()).unwrap();
        SnapshotContent::whole(store.snapshot().unwrap())
    }

    #[test]
    fn what_is_here_is_found_and_what_arrives_is_checked() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(directory.path()).unwrap();
        let wanted = read_chunk_at(&content(0..50), &[]).unwrap().unwrap();
        let place = |own| {
            find(&content(own), &cache, &wanted.info)
                .unwrap()
                .map(|(_, place)| place)
        };
        assert!(place(0..50) == Some(Place::OwnStore));
        assert!(place(0..51).is_none());
        assert!(place(0..0).is_none());

        let (stored, _) = chunk::compress(&wanted.encoding, 1).unwrap();
        for at in [0, 30, stored.len() - 1] {
            let mut damaged = stored.to_vec();
            damaged[at] ^= 1;
            let checked = check(&cache, &wanted.info, &damaged);
            assert!(matches!(checked, Err(Wrong::Chunk(_))));
            assert!(place(0..0).is_none(), "it is not kept");
        }
        let pairs = check(&cache, &wanted.info, &stored).ok().unwrap();
        assert_eq!(pairs.len() as u64, wanted.info.pairs);
        assert!(place(0..0) == Some(Place::Cache));
        cache.remove().unwrap();
        let full = check(&cache, &wanted.info, &stored);
        assert!(
            matches!(full, Err(Wrong::Disk(_))),
            "there is no place for it"
        );
    }
}

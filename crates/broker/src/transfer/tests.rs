//! Transfers between two brokers' stores while things go wrong between them. Nothing is installed in part: the content is the former or
//! the offered one.

#![allow(clippy::unwrap_used, reason = "tests may panic, their helpers too")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::future::join_all;
use prost::Message as _;
use skep_partition::{Event, FlowControl, LocalPosition};
use skep_protocol::Index;
use skep_state::{KeyRange, LocalMeta, MemoryStore, Store, Visit};
use skep_store::StoreOptions;
use skep_transport::{RequestError, SendError};
use tempfile::TempDir;

use super::fetch::{Fetched, Leader};
use super::wire::{Listed, Question};
use super::*;
use crate::content::SnapshotContent;

const PARTITION: PartitionId = PartitionId(1);
const LEADER: NodeId = NodeId(7);
/// Only what hangs needs as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pairs of about 12 MiB: more chunks than one list has.
const KEYS: Range<u32> = 0..6_000;
const VALUE_BYTES: usize = 2_000;

/// Where in the log the content ends.
const AT: LocalPosition = LocalPosition { index: 50, term: 3 };

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Pairs whose values say how they have come to be.
fn pairs(keys: Range<u32>, generation: impl Fn(u32) -> u8) -> Pairs {
    let pair = |key: u32| {
        (
            key.to_be_bytes().to_vec(),
            vec![generation(key); VALUE_BYTES],
        )
    };
    keys.map(pair).collect()
}

fn write(store: &dyn Store, pairs: &Pairs) {
    let mut writes = pairs
        .iter()
        .map(|(key, value)| (&key[..], Some(&value[..])));
    store.write(&mut writes, &LocalMeta::new()).unwrap();
}

fn read(store: &dyn Store) -> Pairs {
    let mut pairs = Vec::new();
    let snapshot = store.snapshot().unwrap();
    let scanned = snapshot.scan(KeyRange::ALL, &mut |key, value| {
        pairs.push((key.to_vec(), value.to_vec()));
        Visit::Next
    });
    scanned.unwrap();
    pairs
}

/// The broker that fetches.
struct Follower {
    transfers: Transfers,
    store: Arc<PartitionStore>,
    before: Pairs,
    inbox: Inbox,
    replica: Option<JoinHandle<()>>,
    directory: TempDir,
}

impl Follower {
    /// It has a part of what leaders have, something older, and something that is gone elsewhere.
    fn new() -> Follower {
        let directory = tempfile::tempdir().unwrap();
        let store = PartitionStore::open(&directory.path().join("1"), &StoreOptions::default());
        let store = Arc::new(store.unwrap());
        let before = pairs(0..7_000, |key| if key < 2_000 { 1 } else { 0 });
        write(&*store, &before);
        let (inbox, receiver) = skep_partition::inbox(FlowControl::default());
        let replica = std::thread::spawn(move || {
            let mut held_back = BTreeSet::new();
            loop {
                match receiver.next_within(PATIENCE) {
                    Some(Event::HoldBack { attempt, held }) => {
                        held_back.insert(attempt);
                        held();
                    }
                    Some(Event::WriteBackAgain { attempt }) => {
                        assert!(held_back.remove(&attempt));
                    }
                    Some(Event::Stop) => break,
                    None => {}
                    _ => panic!("this is not of a transfer"),
                }
            }
            assert!(held_back.is_empty(), "it would never write back again");
        });
        let transfers = Transfers::new(Processors::half(), TransferMetrics::default());
        let chunks = directory.path().join("1.chunks");
        transfers.register(PARTITION, inbox.clone(), &store, chunks);
        Follower {
            transfers,
            store,
            before,
            inbox,
            replica: Some(replica),
            directory,
        }
    }

    async fn fetch(&self, leader: &Arc<FaultyLeader>) -> Result<Fetched, String> {
        let ticket = wire::encode_ticket(leader.ticket);
        let leader = Arc::clone(leader) as Arc<dyn Leader>;
        fetch::fetch(&self.transfers, leader, PARTITION, LEADER, &ticket).await
    }

    async fn bring_up(&self, leader: &Arc<FaultyLeader>) {
        let mut fetched = self.fetch(leader).await.unwrap();
        assert!(read(&*self.store) == self.before, "it is visible too early");
        fetched.install(Index(AT.index), AT.term).await.unwrap();
        assert!(read(&*self.store) == leader.pairs);
        let meta = self.store.meta().unwrap().unwrap();
        assert_eq!(LocalPosition::read(&meta).unwrap(), AT);
        assert!(!self.directory.path().join("1.chunks").exists());
    }

    /// A transfer fails: nothing has changed, and the replica may write again.
    async fn fails(&self, leader: &Arc<FaultyLeader>) -> String {
        let meta = self.store.meta().unwrap();
        let reason = self.fetch(leader).await.err().unwrap();
        assert!(read(&*self.store) == self.before);
        assert_eq!(self.store.meta().unwrap(), meta);
        // Nothing of the transfer holds the store any more.
        write(&*self.store, &Pairs::new());
        reason
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.inbox.push(Event::Stop);
        let ended = self.replica.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// What becomes of a question.
#[derive(Debug, Clone)]
enum Fate {
    Answered,
    NotSent,
    /// It is served, but the connection is lost before the answer has come.
    Lost,
    /// A bit of the answer is another one.
    Damaged,
    /// The answer is a list with this done to it.
    Changed(fn(&mut Listed)),
    /// The leader leads no more.
    Refused,
    /// There is no space for the chunk that comes.
    NoSpace,
}

type Fates = Box<dyn Fn(usize, &Question) -> Fate + Send + Sync>;

/// A leader, and the way to it.
struct FaultyLeader {
    transfers: Transfers,
    ticket: u64,
    pairs: Pairs,
    /// By the number of the question.
    fates: Fates,
    asked: Mutex<Vec<Question>>,
    /// Of the broker that fetches.
    chunks: PathBuf,
}

impl FaultyLeader {
    fn new(
        to: &Follower,
        generation: u8,
        fates: impl Fn(usize, &Question) -> Fate + Send + Sync + 'static,
    ) -> Arc<FaultyLeader> {
        let pairs = pairs(KEYS, |key| if key < 4_000 { 1 } else { generation });
        let store = MemoryStore::default();
        write(&store, &pairs);
        let transfers = Transfers::new(Processors::half(), TransferMetrics::default());
        let ticket = u64::from(generation);
        let content = SnapshotContent::whole(store.snapshot().unwrap());
        lock(&transfers.outgoing).insert(ticket, Arc::new(Outgoing::new(content)));
        Arc::new(FaultyLeader {
            transfers,
            ticket,
            pairs,
            fates: Box::new(fates),
            asked: Mutex::default(),
            chunks: to.directory.path().join("1.chunks"),
        })
    }

    /// The hashes of the chunks that were asked for, each once.
    fn chunks_asked(&self) -> BTreeSet<Bytes> {
        let asked = lock(&self.asked);
        let hashes = asked.iter().filter_map(|question| match question {
            Question::Chunk(chunk) => Some(chunk.hash.clone()),
            Question::List(_) => None,
        });
        hashes.collect()
    }

    async fn answer(&self, question: Bytes) -> Result<Bytes, RequestError> {
        let (number, asked) = {
            let mut all = lock(&self.asked);
            all.push(Question::decode(question.clone()).unwrap());
            (all.len() - 1, all.last().unwrap().clone())
        };
        let fate = (self.fates)(number, &asked);
        match fate {
            Fate::NotSent => return Err(SendError::NotConnected(LEADER).into()),
            // As when the one that offered it has dropped it.
            Fate::Refused => drop(lock(&self.transfers.outgoing).remove(&self.ticket)),
            _ => {}
        }
        let answer = serve::answer(&self.transfers, question).await;
        let answer = answer.map_err(|reason| RequestError::Refused {
            node: LEADER,
            reason,
        })?;
        match fate {
            Fate::Lost => return Err(RequestError::Lost(LEADER)),
            Fate::Damaged => {
                let mut damaged = answer.to_vec();
                damaged[answer.len() / 2] ^= 1;
                return Ok(damaged.into());
            }
            Fate::Changed(change) => {
                let mut listed = Listed::decode(answer).unwrap();
                change(&mut listed);
                return Ok(listed.encode_to_vec().into());
            }
            Fate::NoSpace => {
                let Question::Chunk(chunk) = &asked else {
                    panic!("a list takes no space");
                };
                let hash = wire::hash(&chunk.hash).unwrap();
                let path = self.chunks.join(hash.to_string());
                std::os::unix::fs::symlink("/dev/full", path).unwrap();
            }
            Fate::Answered | Fate::NotSent | Fate::Refused => {}
        }
        Ok(answer)
    }
}

impl Leader for FaultyLeader {
    fn ask(&self, question: Bytes) -> BoxFuture<'_, Result<Bytes, RequestError>> {
        self.answer(question).boxed()
    }
}

fn all_well(_: usize, _: &Question) -> Fate {
    Fate::Answered
}

/// A chunk that begins there or behind has others before it that have to be sent.
fn is_late(question: &Question) -> bool {
    let late = 5_000u32.to_be_bytes();
    matches!(question, Question::Chunk(chunk) if chunk.first_key[..] >= late[..])
}

/// That fate for the first late chunk that is asked for.
fn one_late_chunk(fate: Fate) -> impl Fn(usize, &Question) -> Fate + Send + Sync {
    let met = AtomicBool::new(false);
    move |_, question| match is_late(question) && !met.swap(true, Ordering::SeqCst) {
        true => fate.clone(),
        false => Fate::Answered,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_outlives_a_connection_that_is_lost_at_any_message() {
    let follower = Follower::new();
    let leader = FaultyLeader::new(&follower, 2, all_well);
    follower.bring_up(&leader).await;
    let messages = lock(&leader.asked).len();
    let chunks = leader.chunks_asked().len();
    let lists = messages - chunks;
    assert!(chunks > 3 && lists > 1, "{chunks}, {lists}");

    let interrupted = (0..messages).flat_map(|at| [(at, Fate::NotSent), (at, Fate::Lost)]);
    let transfers = interrupted.map(|(at, fate)| async move {
        let follower = Follower::new();
        let leader = FaultyLeader::new(&follower, 2, move |number, _| match number == at {
            true => fate.clone(),
            false => Fate::Answered,
        });
        follower.bring_up(&leader).await;
        assert_eq!(lock(&leader.asked).len(), messages + 1);
        assert_eq!(leader.chunks_asked().len(), chunks);
    });
    join_all(transfers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_be_reached_any_more_ends_the_transfer() {
    let follower = Follower::new();
    let leader = FaultyLeader::new(&follower, 2, |number, _| match number {
        0..3 => Fate::Answered,
        _ => Fate::NotSent,
    });
    let reason = follower.fails(&leader).await;
    assert!(reason.contains("is not connected"), "{reason}");
    follower
        .bring_up(&FaultyLeader::new(&follower, 2, all_well))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_damaged_on_the_way_is_fetched_again_and_never_installed() {
    let follower = Follower::new();
    let leader = FaultyLeader::new(&follower, 2, |_, question| match is_late(question) {
        true => Fate::Damaged,
        false => Fate::Answered,
    });
    let reason = follower.fails(&leader).await;
    assert!(reason.contains("damaged again and again"), "{reason}");
    let leader = FaultyLeader::new(&follower, 2, one_late_chunk(Fate::Damaged));
    follower.bring_up(&leader).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_of_leader_what_has_come_is_not_sent_again() {
    // The next leader has the same content, or one of which only a part is the same.
    for generation in [2, 3] {
        let follower = Follower::new();
        let leader = FaultyLeader::new(&follower, 2, one_late_chunk(Fate::Refused));
        let reason = follower.fails(&leader).await;
        assert!(reason.contains("not offered any more"), "{reason}");
        let next = FaultyLeader::new(&follower, generation, all_well);
        follower.bring_up(&next).await;
        let asked = lock(&next.asked);
        let mut chunks = asked.iter().filter(|one| matches!(one, Question::Chunk(_)));
        assert_eq!(chunks.all(is_late), generation == 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_transfer_goes_on_where_it_was_when_there_is_space() {
    let follower = Follower::new();
    let leader = FaultyLeader::new(&follower, 2, one_late_chunk(Fate::NoSpace));
    let reason = follower.fails(&leader).await;
    assert!(reason.contains("No space left on device"), "{reason}");
    assert!(reason.contains("free space on the disk"), "{reason}");
    let leader = FaultyLeader::new(&follower, 2, all_well);
    follower.bring_up(&leader).await;
    let asked = lock(&leader.asked);
    let mut chunks = asked.iter().filter(|one| matches!(one, Question::Chunk(_)));
    assert!(chunks.all(is_late), "what had come is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_in_order_is_refused() {
    let changes: [fn(&mut Listed); 4] = [
        |listed| listed.chunks.swap(0, 1),
        |listed| listed.chunks[1] = listed.chunks[0].clone(),
        |listed| listed.next = Some(listed.chunks[0].first_key.clone()),
        |listed| {
            let more = listed.chunks.last().unwrap().clone();
            listed.chunks.resize(wire::LISTED_MAX + 1, more);
        },
    ];
    let follower = Follower::new();
    for change in changes {
        let leader = FaultyLeader::new(&follower, 2, move |_, _| Fate::Changed(change));
        let reason = follower.fails(&leader).await;
        assert!(reason.contains("out of order"), "{reason}");
    }
}

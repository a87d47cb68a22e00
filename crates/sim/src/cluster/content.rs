//! Content on its way from one replica to another: a leader freezes its own, another member asks for it piece by piece over links that
//! may be cut, and its store has it all at once. How content is cut into chunks, and which of them are sent, is the broker's, not this one's.
//!
//! **Invariants**
//! - A store has the former content or the new one, at any moment at which its node may crash.
//! - Nothing else is written to a store that is being given content ([`Changing`]).

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use prost::Message as _;
use skep_partition::{Event, FrozenContent, LocalPosition};
use skep_protocol::Index;
use skep_raft::{FetchedContent, Offer};
use skep_state::{KeyRange, MemoryStore, Read, StateError, Store, View, Visit};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::mail::Mail;
use super::network::{Cut, Network};
use crate::world::Place;

/// How long a replica may take to freeze its content; to have nothing on its way to its store; to answer.
const FREEZE_PATIENCE: Duration = Duration::from_secs(30);
const HOLD_PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Attempts to get an answer, and the pause between two of them.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Pieces in which content comes, at most.
const PIECES_MAX: u64 = 6;

/// Mean time that reading a piece of a large content takes, in milliseconds.
const LARGE_PIECE_MS: i64 = 1_000;

/// Mean time that a store takes before and after it has other content, in milliseconds.
const INSTALL_MS: i64 = 20;

/// Whether a store is being given other content. Clones are of the same store.
#[derive(Debug, Clone, Default)]
pub struct Changing(Arc<AtomicUsize>);

impl Changing {
    /// It is, as long as somebody has what this gives.
    fn begin(&self) -> Change {
        self.0.fetch_add(1, Ordering::Relaxed);
        Change(self.clone())
    }

    /// Whether nothing else may be written.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// A store is being given other content.
struct Change(Changing);

impl Drop for Change {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Content that a node keeps for others.
pub struct Outgoing {
    place: Place,
    life: u64,
    view: View,
}

impl Outgoing {
    /// Whether a node keeps it.
    pub const fn is_of(&self, node: usize) -> bool {
        self.place.node == node
    }
}

/// Lets go of what was kept.
struct Kept {
    network: Arc<Network>,
    ticket: u64,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.network.state().outgoing.remove(&self.ticket);
    }
}

/// Freezes the content of a node's replica.
pub async fn offer(network: Arc<Network>, place: Place, life: u64) -> Result<Offer, String> {
    let (told, frozen) = oneshot::channel();
    let freeze = Event::Freeze(Box::new(move |frozen| {
        // Whoever asked may have gone away.
        drop(told.send(frozen));
    }));
    network.ask(place, life, freeze);
    let frozen: Result<Result<Result<FrozenContent, StateError>, _>, _> =
        timeout(FREEZE_PATIENCE, frozen).await;
    let frozen = frozen
        .map_err(|_| "the replica does not answer".to_owned())?
        .map_err(|_| "the replica has stopped".to_owned())?;
    let FrozenContent { log_id, view } = frozen.map_err(|error| error.to_string())?;
    let outgoing = Outgoing { place, life, view };
    let ticket = network.keep(outgoing);
    let kept = Kept { network, ticket };
    Ok(Offer {
        index: Index(log_id.index),
        term: log_id.term,
        ticket: Bytes::copy_from_slice(&ticket.to_le_bytes()),
        kept: Box::new(kept),
    })
}

/// Lets the replica write back again when nothing has come of the attempt, or the replica has been told what has.
struct HeldBack {
    network: Arc<Network>,
    place: Place,
    life: u64,
    attempt: u64,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        let again = Event::WriteBackAgain {
            attempt: self.attempt,
        };
        self.network.ask(self.place, self.life, again);
    }
}

async fn hold_back(network: Arc<Network>, place: Place, life: u64) -> Result<HeldBack, String> {
    let attempt = network.number();
    let (told, held) = oneshot::channel();
    let guard = HeldBack {
        network: Arc::clone(&network),
        place,
        life,
        attempt,
    };
    let held_back = Box::new(move || {
        // Whoever asked may have gone away.
        let _ = told.send(());
    });
    let hold = Event::HoldBack {
        attempt,
        held: held_back,
    };
    network.ask(place, life, hold);
    match timeout(HOLD_PATIENCE, held).await {
        Ok(Ok(())) => Ok(guard),
        Ok(Err(_)) => Err("the replica has stopped, or leads".to_owned()),
        Err(_) => Err("the replica's store does not take what is on its way to it".to_owned()),
    }
}

/// Content that has come.
struct Fetched {
    view: View,
    store: MemoryStore,
    held: HeldBack,
    /// Until it is installed.
    changing: Option<Change>,
}

/// Fetches the content of the ticket from a node.
pub async fn fetch(
    network: Arc<Network>,
    place: Place,
    life: u64,
    from: usize,
    ticket: Bytes,
) -> Result<Box<dyn FetchedContent>, String> {
    let ticket = ticket[..].try_into().map(u64::from_le_bytes);
    let ticket = ticket.map_err(|_| "no ticket".to_owned())?;
    let held = hold_back(Arc::clone(&network), place, life).await?;
    let (store, changing) = network.store_of(place, life)?;
    let (pieces, mean) = network.size();
    let mut view = None;
    for _ in 0..pieces {
        view = Some(ask(&network, (place.node, life), from, ticket, mean).await?);
    }
    let view = view.ok_or("no piece has come")?;
    Ok(Box::new(Fetched {
        view,
        store,
        held,
        changing: Some(changing),
    }))
}

/// Asks for a piece until it comes; that it is a piece of the content stands for the piece.
async fn ask(
    network: &Arc<Network>,
    own: (usize, u64),
    from: usize,
    ticket: u64,
    mean: i64,
) -> Result<View, String> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let answer = timeout(ANSWER_PATIENCE, network.piece(own, from, ticket, mean)).await;
        match answer {
            Ok(Piece::Is(view)) => return Ok(view),
            Ok(Piece::Refused) => return Err("this content is not offered any more".to_owned()),
            Ok(Piece::NotSent) | Err(_) if attempt == ATTEMPTS => {
                return Err("the node does not answer".to_owned());
            }
            Ok(Piece::NotSent) | Err(_) => sleep(PAUSE).await,
        }
    }
}

enum Piece {
    Is(View),
    Refused,
    NotSent,
}

impl Network {
    /// A replica is asked for something, behind what consensus has told it.
    fn ask(&self, place: Place, life: u64, event: Event) {
        self.mailbox.put(Mail::Asked(place, life, event));
    }

    fn number(&self) -> u64 {
        let mut state = self.state();
        state.numbered += 1;
        state.numbered
    }

    fn keep(&self, outgoing: Outgoing) -> u64 {
        let ticket = self.number();
        let mut state = self.state();
        if state.is_current(outgoing.place.node, outgoing.life) {
            state.outgoing.insert(ticket, outgoing);
        }
        ticket
    }

    fn store_of(&self, place: Place, life: u64) -> Result<(MemoryStore, Change), String> {
        let state = self.state();
        let members = &state.endpoints[place.node].members;
        let member = members.get(&super::group_id(place.partition).0);
        match member.filter(|_| state.is_current(place.node, life)) {
            Some(member) => Ok((member.store.clone(), member.changing.begin())),
            None => Err("the replica has stopped".to_owned()),
        }
    }

    /// In how many pieces content comes, and the mean time that each takes.
    fn size(&self) -> (u64, i64) {
        let mut state = self.state();
        let rates = state.rates;
        let large = state.random.chance(rates.large_content);
        let pieces = state.random.below(PIECES_MAX) + 1;
        (pieces, if large { LARGE_PIECE_MS } else { 2 })
    }

    /// A question goes to a node, and its answer comes back.
    async fn piece(
        self: &Arc<Self>,
        own: (usize, u64),
        from: usize,
        ticket: u64,
        mean: i64,
    ) -> Piece {
        let (there, reading, back) = {
            let mut state = self.state();
            if !state.endpoints[from].up || state.cuts[own.0][from] == Cut::Known {
                return Piece::NotSent;
            }
            let reading = state.random.wait(mean) - 1;
            (
                state.lag(),
                Duration::from_millis(reading as u64),
                state.lag(),
            )
        };
        sleep(there).await;
        self.both_awake(own.0, from).await;
        if self.is_cut(own.0, from) {
            return pending().await;
        }
        sleep(reading).await;
        let found = {
            let state = self.state();
            let kept = state.outgoing.get(&ticket);
            kept.map(|kept| kept.view.clone())
        };
        sleep(back).await;
        self.both_awake(own.0, from).await;
        if self.is_cut(from, own.0) {
            return pending().await;
        }
        found.map_or(Piece::Refused, Piece::Is)
    }

    async fn both_awake(self: &Arc<Self>, one: usize, other: usize) {
        self.pauses(one).awake().await;
        self.pauses(other).awake().await;
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        let state = self.state();
        state.cuts[from][to] != Cut::No || !state.endpoints[from].up || !state.endpoints[to].up
    }

    /// How long a store takes until it has other content, and after that; whether its node crashes before it, or after it.
    fn install_fate(&self) -> (Duration, Duration, Option<bool>) {
        let mut state = self.state();
        let rates = state.rates;
        let mut takes = || {
            let slow = state.random.chance(rates.slow_sync);
            let mean = if slow { 10 * INSTALL_MS } else { INSTALL_MS };
            Duration::from_millis(state.random.wait(mean) as u64 - 1)
        };
        let (before, after) = (takes(), takes());
        let crashes = state.random.chance(rates.crash_at_install);
        let crash = crashes.then(|| state.random.chance(500));
        (before, after, crash)
    }

    /// A store is given other content, unless its node's life is over.
    fn install(&self, fetched: &Fetched, at: LocalPosition) -> Result<(), String> {
        let (place, life) = (fetched.held.place, fetched.held.life);
        let state = self.state();
        if !state.is_current(place.node, life) {
            return Err("the node has crashed".to_owned());
        }
        let before = state.installs_unsynced.then(|| fetched.store.copy());
        let replaced = replace(&fetched.store, &fetched.view, at);
        replaced.map_err(|error| error.to_string())?;
        self.mailbox.put(Mail::Installed(place, life, at, before));
        Ok(())
    }
}

/// What of both is not the same is written at once, together with where it ends.
fn replace(store: &MemoryStore, view: &View, at: LocalPosition) -> Result<(), StateError> {
    let (old, new) = (pairs(&*store.snapshot()?)?, pairs(view)?);
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut writes: BTreeMap<&Bytes, Option<&[u8]>> = gone.map(|key| (key, None)).collect();
    let kept = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value));
    writes.extend(kept.map(|(key, value)| (key, Some(value.as_ref()))));
    let mut writes = writes.into_iter().map(|(key, value)| (key.as_ref(), value));
    store.write(&mut writes, &at.encode_to_vec().into())
}

fn pairs<R: Read + ?Sized>(content: &R) -> Result<BTreeMap<Bytes, Bytes>, StateError> {
    let mut pairs = BTreeMap::new();
    content.scan(KeyRange::ALL, &mut |key, value| {
        pairs.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        Visit::Next
    })?;
    Ok(pairs)
}

impl FetchedContent for Fetched {
    fn install(&mut self, index: Index, term: u64) -> BoxFuture<'_, Result<(), String>> {
        let index = index.0;
        let network = Arc::clone(&self.held.network);
        async move {
            let (before, after, crash) = network.install_fate();
            let (node, life) = (self.held.place.node, self.held.life);
            sleep(before).await;
            network.pauses(node).awake().await;
            if crash == Some(false) {
                network.mailbox.put(Mail::Crash(node, life));
                // It does not live to see the end of this.
                sleep(before + Duration::from_millis(1)).await;
            }
            network.install(self, LocalPosition { index, term })?;
            if crash == Some(true) {
                network.mailbox.put(Mail::Crash(node, life));
            }
            sleep(after).await;
            self.changing = None;
            Ok(())
        }
        .boxed()
    }
}

//! The network between members: requests and answers are late, lost, cut off one way or both ways.
//!
//! **Invariants**
//! - Requests of one member to another arrive in the order in which they were sent; groups overtake each other.
//! - What goes to an earlier life of a node is lost; what it has sent before its end may arrive yet.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_log::{GroupId, GroupLog};
use skep_raft::{FetchedContent, Offer, PeerError, RaftHandle, RaftPeers};
use skep_state::MemoryStore;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::content::{self, Changing, Outgoing};
use super::mail::{Mail, Mailbox};
use crate::invariants::votes;
use crate::random::Random;
use crate::settings::ClusterRates;
use crate::world::Place;

/// Mean time that a slow message takes, in milliseconds.
const SLOW_MS: i64 = 300;

/// After this time whoever waits for the end of a pause looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The kind of a request for a vote, its second byte: see docs/formats/raft-rpc.md.
const ASKS_FOR_VOTE: u8 = 2;

/// Whether messages pass from a node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// They do.
    No,
    /// They are lost.
    Silent,
    /// They are lost, and whoever sends knows.
    Known,
}

/// A member that can be reached.
#[derive(Clone)]
pub struct Member {
    pub handle: RaftHandle,
    pub log: GroupLog,
    /// The replica's store, and what is held while it is given other content.
    pub store: MemoryStore,
    pub changing: Changing,
}

pub(super) struct Endpoint {
    life: u64,
    pub(super) up: bool,
    pub(super) members: BTreeMap<u32, Member>,
    paused_until: Instant,
}

/// Requests on their way from one member to another.
struct Link {
    packets: mpsc::UnboundedSender<Packet>,
    last_at: Instant,
}

struct Packet {
    from: usize,
    from_life: u64,
    to: usize,
    to_life: u64,
    group: u32,
    request: Bytes,
    at: Instant,
    answer: oneshot::Sender<Result<Bytes, PeerError>>,
}

pub(super) struct State {
    pub(super) random: Random,
    pub(super) rates: ClusterRates,
    pub(super) endpoints: Vec<Endpoint>,
    /// From, to.
    pub(super) cuts: Vec<Vec<Cut>>,
    links: BTreeMap<(usize, usize, u32), Link>,
    /// What nodes keep for others, by ticket.
    pub(super) outgoing: BTreeMap<u64, Outgoing>,
    /// Tickets and attempts so far.
    pub(super) numbered: u64,
    /// The planted bug: content that was given to a store may be gone after a crash.
    pub(super) installs_unsynced: bool,
}

/// The network.
pub struct Network {
    state: Mutex<State>,
    pub(super) mailbox: Arc<Mailbox>,
    this: Weak<Network>,
}

impl State {
    pub(super) fn lag(&mut self) -> Duration {
        let slow = self.random.chance(self.rates.slow_message);
        let mean = if slow { SLOW_MS } else { 1 };
        Duration::from_millis((self.random.wait(mean) - 1) as u64)
    }

    pub(super) fn is_current(&self, node: usize, life: u64) -> bool {
        let endpoint = &self.endpoints[node];
        endpoint.up && endpoint.life == life
    }
}

impl Network {
    /// Between so many nodes.
    pub fn new(
        nodes: usize,
        rates: ClusterRates,
        seed: u64,
        mailbox: Arc<Mailbox>,
        installs_unsynced: bool,
    ) -> Arc<Network> {
        let now = Instant::now();
        let endpoint = |_| Endpoint {
            life: 0,
            up: false,
            members: BTreeMap::new(),
            paused_until: now,
        };
        let state = State {
            random: Random::new(seed),
            rates,
            endpoints: (0..nodes).map(endpoint).collect(),
            cuts: vec![vec![Cut::No; nodes]; nodes],
            links: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            numbered: 0,
            installs_unsynced,
        };
        Arc::new_cyclic(|this| Network {
            state: Mutex::new(state),
            mailbox,
            this: this.clone(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> Arc<Network> {
        self.this.upgrade().expect("who calls it has it")
    }

    /// A node begins a life.
    pub fn up(&self, node: usize, life: u64) {
        let endpoint = &mut self.state().endpoints[node];
        endpoint.life = life;
        endpoint.up = true;
    }

    /// A node's life ends.
    pub fn down(&self, node: usize) {
        let mut state = self.state();
        state.endpoints[node].up = false;
        state.endpoints[node].members.clear();
        state.endpoints[node].paused_until = Instant::now();
        // What was sent to it is lost; what it has sent arrives yet.
        state.links.retain(|(_, to, _), _| *to != node);
        state.outgoing.retain(|_, kept| !kept.is_of(node));
    }

    /// A node's member takes requests from now on.
    pub fn register(&self, node: usize, life: u64, group: GroupId, member: Member) {
        let mut state = self.state();
        if state.is_current(node, life) {
            state.endpoints[node].members.insert(group.0, member);
        }
    }

    /// The way of a node's members to the others.
    pub fn peers(&self, node: usize, life: u64) -> Arc<dyn RaftPeers> {
        Arc::new(Peers {
            network: self.shared(),
            node,
            life,
        })
    }

    /// When a node stands still.
    pub fn pauses(&self, node: usize) -> Pauses {
        Pauses {
            network: self.shared(),
            node,
        }
    }

    /// See [`super::Cluster::cut`].
    pub fn cut(&self, from: usize, to: usize, cut: Cut) {
        self.state().cuts[from][to] = cut;
    }

    /// See [`super::Cluster::pause`].
    pub fn pause(&self, node: usize, until: Instant) {
        self.state().endpoints[node].paused_until = until;
    }

    /// From now on all goes well.
    pub fn lift_faults(&self) {
        let mut state = self.state();
        state.rates = ClusterRates::CALM;
        state
            .cuts
            .iter_mut()
            .flatten()
            .for_each(|cut| *cut = Cut::No);
        for endpoint in &mut state.endpoints {
            endpoint.paused_until = Instant::now();
        }
    }

    /// Queues a request; gives where its answer will come, if it ever does.
    fn send(
        &self,
        from: (usize, u64),
        to: usize,
        group: u32,
        request: Bytes,
    ) -> Result<oneshot::Receiver<Result<Bytes, PeerError>>, PeerError> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        let (from, from_life) = from;
        if !state.is_current(from, from_life) {
            return Ok(answered);
        }
        if !state.endpoints[to].up || state.cuts[from][to] == Cut::Known {
            return Err(PeerError::NotConnected);
        }
        let lost = state.rates.request_lost;
        if state.random.chance(lost) {
            return Ok(answered);
        }
        let at = Instant::now() + state.lag();
        let to_life = state.endpoints[to].life;
        let network = self.shared();
        let link = state.links.entry((from, to, group)).or_insert_with(|| {
            let (packets, arriving) = mpsc::unbounded_channel();
            tokio::spawn(carry(network, arriving));
            Link {
                packets,
                last_at: at,
            }
        });
        link.last_at = link.last_at.max(at);
        let packet = Packet {
            from,
            from_life,
            to,
            to_life,
            group,
            request,
            at: link.last_at,
            answer,
        };
        drop(link.packets.send(packet));
        Ok(answered)
    }

    /// A request arrives.
    fn arrive(&self, packet: Packet) {
        let state = self.state();
        let (from, to) = (packet.from, packet.to);
        if !state.is_current(to, packet.to_life) || state.cuts[from][to] != Cut::No {
            return;
        }
        let endpoint = &state.endpoints[to];
        match endpoint.members.get(&packet.group) {
            Some(member) => {
                tokio::spawn(serve(self.shared(), member.clone(), packet));
            }
            None => {
                let refused = PeerError::Refused("it is starting".to_owned());
                drop(packet.answer.send(Err(refused)));
            }
        }
    }

    /// What becomes of an answer: how long it takes, if it arrives at all.
    fn answer_lag(&self, node: usize, life: u64, asked_for_vote: bool) -> Option<Duration> {
        let mut state = self.state();
        if !state.is_current(node, life) {
            return None;
        }
        let rates = state.rates;
        if asked_for_vote && state.random.chance(rates.crash_after_vote) {
            self.mailbox.put(Mail::Crash(node, life));
        }
        let lost = state.random.chance(rates.answer_lost);
        (!lost).then(|| state.lag())
    }

    /// Whether what a node has sent reaches another in the life in which it has asked.
    fn answer_arrives(&self, from: usize, to: (usize, u64)) -> bool {
        let state = self.state();
        state.is_current(to.0, to.1) && state.cuts[from][to.0] == Cut::No
    }
}

/// Brings the requests of one link, one after the other.
async fn carry(network: Arc<Network>, mut arriving: mpsc::UnboundedReceiver<Packet>) {
    while let Some(packet) = arriving.recv().await {
        sleep_until(packet.at).await;
        network.pauses(packet.from).awake().await;
        network.pauses(packet.to).awake().await;
        network.arrive(packet);
    }
}

/// Has a member answer, and brings the answer back.
async fn serve(network: Arc<Network>, member: Member, packet: Packet) {
    let Packet {
        from,
        from_life,
        to,
        to_life,
        request,
        answer,
        ..
    } = packet;
    let asked_for_vote = request.get(1) == Some(&ASKS_FOR_VOTE);
    let answered = member.handle.answer(from as u64, request).await;
    if asked_for_vote
        && let Ok(answer) = &answered
        && let Err(violation) = votes::check(to, answer, &member.log)
    {
        network.mailbox.put(Mail::Found(violation));
    }
    let answered = answered.map_err(|error| PeerError::Refused(error.to_string()));
    let Some(lag) = network.answer_lag(to, to_life, asked_for_vote) else {
        return;
    };
    sleep(lag).await;
    network.pauses(to).awake().await;
    network.pauses(from).awake().await;
    if network.answer_arrives(to, (from, from_life)) {
        drop(answer.send(answered));
    }
}

/// When a node stands still.
pub struct Pauses {
    network: Arc<Network>,
    node: usize,
}

impl Pauses {
    /// Waits until the node goes on.
    pub async fn awake(&self) {
        loop {
            let until = self.network.state().endpoints[self.node].paused_until;
            if until <= Instant::now() {
                return;
            }
            // All pauses may end before their time.
            sleep_until(until.min(Instant::now() + LOOK_AGAIN)).await;
        }
    }
}

struct Peers {
    network: Arc<Network>,
    node: usize,
    life: u64,
}

impl RaftPeers for Peers {
    fn call(
        &self,
        group: u32,
        target: u64,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let from = (self.node, self.life);
        match self.network.send(from, target as usize, group, request) {
            Err(error) => futures::future::ready(Err(error)).boxed(),
            Ok(answered) => async move {
                let answer = async {
                    match answered.await {
                        Ok(answer) => answer,
                        // It is lost, which nobody knows.
                        Err(_) => pending().await,
                    }
                };
                let in_time = timeout(patience, answer).await;
                in_time.unwrap_or(Err(PeerError::NoAnswer))
            }
            .boxed(),
        }
    }

    fn offer(&self, group: u32) -> BoxFuture<'static, Result<Offer, String>> {
        content::offer(Arc::clone(&self.network), self.place(group), self.life).boxed()
    }

    fn fetch(
        &self,
        group: u32,
        from: u64,
        ticket: Bytes,
    ) -> BoxFuture<'static, Result<Box<dyn FetchedContent>, String>> {
        let (network, place) = (Arc::clone(&self.network), self.place(group));
        content::fetch(network, place, self.life, from as usize, ticket).boxed()
    }
}

impl Peers {
    const fn place(&self, group: u32) -> Place {
        Place {
            partition: group as usize - 1,
            node: self.node,
        }
    }
}

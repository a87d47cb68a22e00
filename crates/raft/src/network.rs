//! openraft's network on [`RaftPeers`]: encodes what this member asks the others, and decodes their answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use openraft::base::{BoxFuture as RaftFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    SnapshotResponse, StreamAppendResult, TransferLeaderRequest, TransferLeaderResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tokio::time::Instant;

use crate::compaction::Kept;
use crate::content::Fetched;
use crate::peers::{PeerError, RaftPeers};
use crate::pipeline::Pipeline;
use crate::rpc::{self, Append, Appended, AskVote, Offered, RpcError, Taken, Voted};
use crate::stats::RaftStats;
use crate::types::{Snapshot, TypeConfig, Vote, log_id};

/// How long a member that fetches content may not be heard of: a connection is made anew within it, a restart is not.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Before a member that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Before content is offered again that could not be fetched.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

pub(crate) type CallError = RPCError<TypeConfig>;

/// Makes the ways to the other members of one group.
#[derive(Clone)]
pub(crate) struct Network {
    pub group: u32,
    pub peers: Arc<dyn RaftPeers>,
    pub kept: Arc<Kept>,
    pub stats: Arc<RaftStats>,
    /// How long an answer to entries may take: their sync included.
    pub patience: Duration,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &()) -> Peer {
        Peer {
            network: self.clone(),
            target,
            told: None,
        }
    }
}

/// The way to one member.
#[derive(Clone)]
pub(crate) struct Peer {
    network: Network,
    target: u64,
    /// Why it was not brought up, as logged last.
    told: Option<String>,
}

impl Peer {
    fn call(
        &self,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let network = &self.network;
        let answer = network
            .peers
            .call(network.group, self.target, request, patience);
        answer
            .map(|answer| answer.map_err(|error| call_error(&error)))
            .boxed()
    }

    /// Sends entries; they are queued when this is called.
    pub fn append(&self, append: &Append) -> BoxFuture<'static, Result<Appended, CallError>> {
        let request = rpc::encode_append(append, self.network.kept.from());
        let (stats, target) = (Arc::clone(&self.network.stats), self.target);
        let entries = append.entries.len();
        if entries > 0 {
            stats.sends(target, entries, request.len());
        }
        let begun = Instant::now();
        let answer = self.call(request, self.network.patience);
        answer
            .map(move |answer| {
                let appended = rpc::decode_appended(answer?).map_err(|error| unreadable(&error))?;
                if entries > 0 && appended.is_success() {
                    stats.answered(target, begun.elapsed());
                }
                Ok(appended)
            })
            .boxed()
    }

    /// Has the member fetch this one's content. Gives the vote that it knows of at the end.
    async fn bring_up(&self, vote: Vote, from: u64) -> Result<Vote, NotBroughtUp> {
        let network = &self.network;
        // Nothing is frozen for a member that is not there.
        self.exchange(rpc::encode_history_question()).await?;
        let _hold = network.kept.hold(self.target, from);
        let offer = network.peers.offer(network.group).await;
        let offer = offer.map_err(NotBroughtUp::Offer)?;
        let offered = rpc::encode_offer(&Offered {
            vote,
            last: log_id(offer.index.0, offer.term),
            ticket: offer.ticket.clone(),
        });
        let mut heard = Instant::now();
        loop {
            network.kept.still_needed(self.target);
            match self.exchange(offered.clone()).await {
                Ok(answer) => {
                    heard = Instant::now();
                    match rpc::decode_taken(answer)? {
                        Taken::UnderWay => {}
                        Taken::Done => return Ok(vote),
                        Taken::HigherVote(higher) => return Ok(higher),
                        Taken::Failed(reason) => return Err(NotBroughtUp::Fetch(reason)),
                    }
                }
                Err(error) if heard.elapsed() > SILENCE_MAX => return Err(error.into()),
                Err(_) => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }

    async fn exchange(&self, request: Bytes) -> Result<Bytes, PeerError> {
        let network = &self.network;
        network
            .peers
            .call(network.group, self.target, request, network.patience)
            .await
    }

    async fn ask(&self, request: Bytes, option: RPCOption) -> Result<Voted, CallError> {
        let answer = self.call(request, option.soft_ttl()).await?;
        rpc::decode_voted(answer).map_err(|error| unreadable(&error))
    }
}

fn call_error(error: &PeerError) -> CallError {
    match error {
        // Trying again at once would help neither.
        PeerError::NotConnected | PeerError::Busy | PeerError::Refused(_) => {
            RPCError::Unreachable(Unreachable::new(error))
        }
        PeerError::NoAnswer => RPCError::Network(NetworkError::new(error)),
    }
}

fn unreadable(error: &RpcError) -> CallError {
    RPCError::Unreachable(Unreachable::new(error))
}

/// Why a member that lacks too much of the log is not brought up.
#[derive(Debug, thiserror::Error)]
enum NotBroughtUp {
    #[error("the content cannot be offered: {0}")]
    Offer(String),
    #[error("it cannot fetch the content: {0}")]
    Fetch(String),
    #[error("{0}")]
    Call(#[from] PeerError),
    #[error("{0}")]
    Answer(#[from] RpcError),
}

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = Fetched;

    async fn append_entries(
        &mut self,
        rpc: Append,
        _option: RPCOption,
    ) -> Result<Appended, CallError> {
        self.append(&rpc).await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> RaftFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, CallError>>, CallError>,
    >
    where
        S: Stream<Item = Append> + OptionalSend + Unpin + 'static,
    {
        let answers: BoxStream<'s, _> = Box::pin(Pipeline::new(self, input));
        Box::pin(futures::future::ready(Ok(answers)))
    }

    async fn vote(&mut self, rpc: AskVote, option: RPCOption) -> Result<Voted, CallError> {
        self.ask(rpc::encode_vote(&rpc), option).await
    }

    async fn pre_vote(&mut self, rpc: AskVote, option: RPCOption) -> Result<Voted, CallError> {
        self.network.stats.asks(self.target);
        self.ask(rpc::encode_pre_vote(&rpc), option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        // Entries after this one follow the content, whatever it ends with.
        let from = snapshot.meta.last_log_id.map_or(0, |id| id.index + 1);
        tokio::select! {
            biased;
            closed = cancel => Err(StreamingError::Closed(closed)),
            brought_up = self.bring_up(vote, from) => match brought_up {
                Ok(vote) => Ok(SnapshotResponse { vote }),
                Err(error) => {
                    let (group, member) = (self.network.group, self.target);
                    let reason = error.to_string();
                    if self.told.as_ref() != Some(&reason) {
                        tracing::warn!(group, member, reason, "the member is not brought up yet");
                        self.told = Some(reason);
                    }
                    // Whatever it is does not pass in a moment.
                    tokio::time::sleep(RETRY_PAUSE).await;
                    Err(StreamingError::Unreachable(Unreachable::new(&error)))
                }
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        transfer: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, CallError> {
        let request = rpc::encode_transfer(&transfer);
        let answer = self.call(request, option.soft_ttl()).await?;
        rpc::decode_transferred(answer).map_err(|error| unreadable(&error))?;
        Ok(Ok(()))
    }
}

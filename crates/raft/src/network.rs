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

use crate::compaction::Kept;
use crate::peers::{PeerError, RaftPeers};
use crate::pipeline::Pipeline;
use crate::rpc::{self, Append, Appended, AskVote, RpcError, Voted};
use crate::types::{Snapshot, TypeConfig, Vote};

pub(crate) type CallError = RPCError<TypeConfig>;

/// Makes the ways to the other members of one group.
#[derive(Clone)]
pub(crate) struct Network {
    pub group: u32,
    pub peers: Arc<dyn RaftPeers>,
    pub kept: Arc<Kept>,
    /// How long an answer to entries may take: their sync included.
    pub patience: Duration,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &()) -> Peer {
        Peer {
            network: self.clone(),
            target,
            told: false,
        }
    }
}

/// The way to one member.
#[derive(Clone)]
pub(crate) struct Peer {
    network: Network,
    target: u64,
    /// That the member has fallen behind has been logged.
    told: bool,
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
        let answer = self.call(request, self.network.patience);
        answer
            .map(|answer| rpc::decode_appended(answer?).map_err(|error| unreadable(&error)))
            .boxed()
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

#[derive(Debug, thiserror::Error)]
#[error(
    "the member needs entries that are not in the log any more; restore its partition from a backup"
)]
struct FellBehind;

impl RaftNetworkV2<TypeConfig> for Peer {
    type SnapshotData = ();

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
        self.ask(rpc::encode_pre_vote(&rpc), option).await
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        if !std::mem::replace(&mut self.told, true) {
            let (group, member) = (self.network.group, self.target);
            tracing::error!(group, member, "{FellBehind}");
        }
        Err(StreamingError::Unreachable(Unreachable::new(&FellBehind)))
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

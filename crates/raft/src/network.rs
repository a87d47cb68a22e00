//! The way to other members. There is none yet: a group has one voter, and whatever is sent to
//! another member finds it unreachable.

use std::future::Future;

use openraft::RaftNetworkFactory;
use openraft::RaftNetworkV2;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};

use crate::types::{Snapshot, TypeConfig, Vote};

pub(crate) struct Alone;

#[derive(Debug, thiserror::Error)]
#[error("there is no connection to other members")]
struct NoConnection;

fn unreachable() -> Unreachable<TypeConfig> {
    Unreachable::new(&NoConnection)
}

impl RaftNetworkFactory<TypeConfig> for Alone {
    type Network = Self;

    async fn new_client(&mut self, _target: u64, _node: &()) -> Self {
        Self
    }
}

impl RaftNetworkV2<TypeConfig> for Alone {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(unreachable()))
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(unreachable()))
    }
}

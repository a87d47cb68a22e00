//! What tests of several modules need.

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_protocol::NodeId;

use crate::frame::Channel;
use crate::hello::Identity;
use crate::node::Handler;

/// Does nothing with what comes.
pub(crate) struct Nothing;

impl Handler for Nothing {
    fn connected(&self, _peer: &Identity) {}

    fn disconnected(&self, _peer: NodeId) {}

    fn message(&self, _from: NodeId, _channel: Channel, _payload: Bytes) {}

    fn request(
        &self,
        _from: NodeId,
        _channel: Channel,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        async move { Ok(payload) }.boxed()
    }
}

//! TEMP
use bytes::Bytes;
use futures::future::BoxFuture;
use std::time::Duration;
pub trait RaftPeers: Send + Sync + 'static {
    fn call(&self, group: u32, target: u64, request: Bytes, patience: Duration)
        -> BoxFuture<'static, Result<Bytes, PeerError>>;
}
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("x")] NotConnected,
    #[error("x")] Busy,
    #[error("x")] NoAnswer,
    #[error("x")] Refused(String),
}
#[derive(Clone)]
pub struct RaftHandle;
impl RaftHandle {
    pub async fn answer(&self, _from: u64, request: Bytes) -> Result<Bytes, crate::RaftError> { Ok(request) }
}

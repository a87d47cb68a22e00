//! Requests that wait for an answer from a partition.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_partition::Refusal;
use skep_protocol::{RequestId, Response, ResponseResult};
use tokio::sync::oneshot;

use crate::clock::process_nonce;

/// What a request gets.
pub type Answer = Result<ResponseResult, Refusal>;

/// Shards of the table, so that partitions and clients seldom meet at one lock.
const SHARDS: usize = 16;

/// All waiting requests of this process.
pub struct Requests {
    gateway: u64,
    next: AtomicU64,
    shards: [Mutex<HashMap<u64, oneshot::Sender<Answer>>>; SHARDS],
}

/// A request that waits; forgotten when dropped.
pub struct Waiting<'a> {
    requests: &'a Requests,
    /// Its id.
    pub id: RequestId,
    /// Where the answer comes.
    pub answer: oneshot::Receiver<Answer>,
}

impl Requests {
    /// None yet.
    pub fn new() -> Requests {
        Requests {
            gateway: process_nonce(),
            next: AtomicU64::new(1),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    fn shard(&self, request: u64) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answer>>> {
        // No code that can panic runs under the lock.
        self.shards[request as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait.
    pub fn begin(&self) -> Waiting<'_> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.shard(request).insert(request, sender);
        Waiting {
            requests: self,
            id: RequestId {
                gateway: self.gateway,
                request,
            },
            answer,
        }
    }

    /// Answers, if somebody still waits.
    pub fn respond(&self, response: Response) {
        self.answer(response.request, Ok(response.result));
    }

    /// Refuses, if somebody still waits.
    pub fn refuse(&self, request: RequestId, refusal: Refusal) {
        self.answer(request, Err(refusal));
    }

    fn answer(&self, request: RequestId, answer: Answer) {
        if request.gateway == self.gateway
            && let Some(sender) = self.shard(request.request).remove(&request.request)
        {
            // Whoever waited may have gone away.
            let _ = sender.send(answer);
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.requests
            .shard(self.id.request)
            .remove(&self.id.request);
    }
}

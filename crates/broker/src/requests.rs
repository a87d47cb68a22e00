//! Requests that wait for an answer from a partition.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_partition::Refusal;
use skep_protocol::{PartitionId, RequestId, Response, ResponseResult};
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
    shards: [Mutex<HashMap<u64, Waiter>>; SHARDS],
}

/// Who waits for which partition.
struct Waiter {
    partition: PartitionId,
    sender: oneshot::Sender<Answer>,
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

    fn shard(&self, request: u64) -> MutexGuard<'_, HashMap<u64, Waiter>> {
        // No code that can panic runs under the lock.
        self.shards[request as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for a partition.
    pub fn begin(&self, partition: PartitionId) -> Waiting<'_> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let waiter = Waiter { partition, sender };
        self.shard(request).insert(request, waiter);
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

    /// The partition has stopped and will not answer: nobody waits for it any more.
    pub fn forget(&self, partition: PartitionId) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, waiter| waiter.partition != partition);
        }
    }

    /// How many wait for a partition.
    pub fn waiting(&self, partition: PartitionId) -> usize {
        let of_shard = |shard: &Mutex<HashMap<u64, Waiter>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let waiters = shard.values();
            waiters.filter(|one| one.partition == partition).count()
        };
        self.shards.iter().map(of_shard).sum()
    }

    fn answer(&self, request: RequestId, answer: Answer) {
        if request.gateway == self.gateway
            && let Some(waiter) = self.shard(request.request).remove(&request.request)
        {
            // Whoever waited may have gone away.
            let _ = waiter.sender.send(answer);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_partition_that_has_stopped_is_told_and_others_wait_on() {
        let requests = Requests::new();
        let [mut of_1, mut of_2] = [1, 2].map(|partition| requests.begin(PartitionId(partition)));
        assert_eq!(requests.waiting(PartitionId(1)), 1);
        requests.forget(PartitionId(1));
        let left = [1, 2].map(|partition| requests.waiting(PartitionId(partition)));
        assert_eq!(left, [0, 1]);
        assert_eq!(
            of_1.answer.try_recv().err(),
            Some(oneshot::error::TryRecvError::Closed)
        );
        assert_eq!(
            of_2.answer.try_recv().err(),
            Some(oneshot::error::TryRecvError::Empty)
        );
    }
}

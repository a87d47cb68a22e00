//! Content of partitions on its way between brokers: a replica that lacks more of the log than is kept, or has lost its data, is
//! given that of its leader.
//!
//! The leader freezes its content, as for a checkpoint, and reads it chunk by chunk as it is asked to (`serve.rs`); the other one takes what it has
//! from its own store or from what came before, and asks for the rest (`fetch.rs`). A chunk is checked by its hash wherever it comes
//! from. What both say to each other is in `docs/formats/transfer.md`.

mod cache;
mod fetch;
mod serve;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_backup::Processors;
use skep_partition::Inbox;
use skep_protocol::{NodeId, PartitionId};
use skep_raft::{FetchedContent, Offer};
use skep_store::PartitionStore;

use crate::metrics::TransferMetrics;
use crate::nodes::Nodes;
use fetch::Remote;
use serve::Outgoing;

/// One partition of this node.
#[derive(Clone)]
struct Here {
    inbox: Inbox,
    /// Its replica has it.
    store: Weak<PartitionStore>,
    /// Where chunks are kept that have come.
    chunks: PathBuf,
}

/// What is under way between this broker and others.
pub struct Transfers {
    here: Mutex<BTreeMap<PartitionId, Here>>,
    /// By the number that members ask with.
    outgoing: Mutex<BTreeMap<u64, Arc<Outgoing>>>,
    processors: Processors,
    metrics: TransferMetrics,
}

impl Transfers {
    /// None yet. Reading content takes those processors.
    pub fn new(processors: Processors, metrics: TransferMetrics) -> Transfers {
        Transfers {
            here: Mutex::default(),
            outgoing: Mutex::default(),
            processors,
            metrics,
        }
    }

    /// A replica has been opened.
    pub fn register(
        &self,
        partition: PartitionId,
        inbox: Inbox,
        store: &Arc<PartitionStore>,
        chunks: PathBuf,
    ) {
        let here = Here {
            inbox,
            store: Arc::downgrade(store),
            chunks,
        };
        lock(&self.here).insert(partition, here);
    }

    fn here(&self, partition: PartitionId) -> Result<Here, String> {
        let found = lock(&self.here).get(&partition).cloned();
        found.ok_or_else(|| format!("partition {partition} does not run here"))
    }

    /// Freezes a partition's content for another broker.
    pub fn offer(self: &Arc<Self>, group: u32) -> BoxFuture<'static, Result<Offer, String>> {
        let transfers = Arc::clone(self);
        async move { serve::offer(&transfers, PartitionId(group)).await }.boxed()
    }

    /// Answers a question about content that was offered.
    pub fn answer(self: &Arc<Self>, question: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        let transfers = Arc::clone(self);
        async move { serve::answer(&transfers, question).await }.boxed()
    }

    /// Fetches the content that another broker offers.
    pub fn fetch(
        self: &Arc<Self>,
        nodes: Arc<Nodes>,
        group: u32,
        from: NodeId,
        ticket: Bytes,
    ) -> BoxFuture<'static, Result<Box<dyn FetchedContent>, String>> {
        let transfers = Arc::clone(self);
        async move {
            let partition = PartitionId(group);
            let leader = Arc::new(Remote { nodes, node: from });
            let fetched = fetch::fetch(&transfers, leader, partition, from, &ticket).await?;
            Ok(Box::new(fetched) as Box<dyn FetchedContent>)
        }
        .boxed()
    }
}

/// What is behind these locks is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

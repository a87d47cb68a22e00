//! What is left in the state when everything is done, as a backup of that moment tells.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use skep_backup::chunk::PairRun;
use skep_backup::{
    BackupId, PartitionId, Progress, RestoreOptions, RestoreSink, RetryPolicy, SinkError,
    read_backup, restore_partition,
};
use skep_blob::{BlobRef, LocalBlobStore};
use skep_engine::tables::prefix;

/// Number of entries by table.
pub type Counts = BTreeMap<u8, u64>;

/// Tables of which nothing may be left: all that belongs to an instance or waits for one, on either side, and all that is owed
/// to another partition. Definitions, counters and buffered messages stay.
fn belongs_to_an_instance(table: u8) -> bool {
    (prefix::ELEMENT_INSTANCES..=prefix::CONTINUATIONS).contains(&table)
        || (prefix::MESSAGE_SUBSCRIPTIONS..=prefix::PROCESS_MESSAGE_SUBSCRIPTIONS).contains(&table)
        || (prefix::MESSAGE_STARTED_INSTANCES..=prefix::PENDING_DISTRIBUTIONS).contains(&table)
        || table == prefix::OUTBOX
}

/// Counts what the backup in that directory holds in the tables of which nothing may be left.
pub async fn remains(directory: &Path, backup: u64) -> Counts {
    let mut counts = content(directory, backup).await;
    counts.retain(|table, _| belongs_to_an_instance(*table));
    counts
}

/// Counts what the backup in that directory holds, by table.
pub async fn content(directory: &Path, backup: u64) -> Counts {
    let store: BlobRef = Arc::new(LocalBlobStore::open(directory).unwrap());
    let read = read_backup(&*store, BackupId(backup), &RetryPolicy::never()).await;
    let (_, partitions) = read.unwrap();
    let counts = Arc::<Mutex<Counts>>::default();
    for partition in &partitions {
        let sink = Box::new(Counter(Arc::clone(&counts)));
        let options = RestoreOptions::default();
        restore_partition(&store, partition, sink, &Unseen, &options)
            .await
            .unwrap();
    }
    let counts = counts.lock().unwrap();
    counts.clone()
}

struct Counter(Arc<Mutex<Counts>>);

impl RestoreSink for Counter {
    fn write(&mut self, pairs: &PairRun) -> Result<(), SinkError> {
        let mut counts = self.0.lock().unwrap();
        for (key, _) in pairs.iter() {
            *counts.entry(key[0]).or_default() += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

struct Unseen;

impl Progress for Unseen {
    fn begin(&self, _: PartitionId, _: u64, _: u64) {}

    fn advance(&self, _: PartitionId, _: u64, _: u64) {}
}

//! The base of the first backup after a restart: the newest backup of the partition that the store has.
//!
//! Nothing is known of what was written since, so that all content is read. But chunks that have not changed are known to be
//! stored, and those that have changed are compared with what they were, and stored as patches: what is sent is in proportion to
//! what has changed, at the price of reading the base's changed chunks back.
//!
//! A base is a hint: whatever is wrong with it, or with a chunk of it, the backup is taken without.

use std::cmp::Ordering;
use std::sync::Arc;

use skep_blob::BlobStore;

use crate::chunk::PairRun;
use crate::dirty::DirtyChunks;
use crate::error::BackupError;
use crate::ids::BackupId;
use crate::index::ChunkIndex;
use crate::keys::KeySet;
use crate::layout::BackupObject;
use crate::limits::CHUNK_CHANGED_KEYS_MAX;
use crate::manifest::{PartitionIdentity, PartitionManifest};
use crate::retry::RetryPolicy;
use crate::status::all_backups;

/// The backup that this one is likely to share chunks with.
#[derive(Clone, Debug)]
pub struct BaseBackup {
    /// Its id. If it has been deleted in the meantime, its chunks are looked for one by one.
    pub backup_id: BackupId,
    /// Its index, and what was written between its checkpoint and this one.
    pub dirty: Arc<DirtyChunks>,
}

/// Where to find it.
#[derive(Clone, Debug)]
pub enum Base {
    /// Nowhere: the backup shares what it happens to share.
    None,
    /// It is known, and with it what was written since.
    Given(BaseBackup),
    /// It is the newest in the store.
    Newest,
}

impl Base {
    /// A store that fails is an error; a backup in it that cannot be read is no base.
    pub(crate) async fn find(
        &self,
        store: &dyn BlobStore,
        identity: &PartitionIdentity,
        retry: &RetryPolicy,
    ) -> Result<Option<BaseBackup>, BackupError> {
        match self {
            Self::None => Ok(None),
            Self::Given(base) => Ok(Some(base.clone())),
            Self::Newest => match newest_base(store, identity, retry).await {
                Err(BackupError::Damaged { .. } | BackupError::TooNew { .. }) => Ok(None),
                found => found,
            },
        }
    }
}

/// The newest earlier backup of this partition that is complete, with nothing known of what was written since. Backups of another
/// cluster do not count.
pub async fn newest_base(
    store: &dyn BlobStore,
    identity: &PartitionIdentity,
    retry: &RetryPolicy,
) -> Result<Option<BaseBackup>, BackupError> {
    let complete = BackupObject::Manifest(identity.partition);
    let backups = all_backups(store, retry).await?;
    let mut earlier = backups.range(..identity.backup_id).rev();
    let newest = earlier.find(|(_, objects)| {
        objects.contains(&complete) && !objects.contains(&BackupObject::Deleted)
    });
    let Some((&backup_id, _)) = newest else {
        return Ok(None);
    };
    let read = PartitionManifest::read(store, backup_id, identity.partition, retry).await?;
    let ours = read.filter(|(manifest, _)| manifest.identity.cluster_id == identity.cluster_id);
    Ok(ours.map(|(manifest, _)| BaseBackup {
        backup_id,
        dirty: Arc::new(DirtyChunks::all(Arc::new(ChunkIndex::of_stored(
            &manifest.chunks,
        )))),
    }))
}

/// The keys in which two runs of pairs differ, unless they are more than are noted for one chunk.
pub(crate) fn differences(before: &PairRun, now: &PairRun) -> Option<KeySet> {
    let mut changed = KeySet::default();
    let (mut before, mut now) = (before.iter().peekable(), now.iter().peekable());
    loop {
        let order = match (before.peek(), now.peek()) {
            (None, None) => return Some(changed),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = before.next_if(|_| order != Ordering::Greater);
        let new = now.next_if(|_| order != Ordering::Less);
        if old != new
            && let Some((key, _)) = old.or(new)
        {
            changed.insert(key);
        }
        if changed.bytes() > CHUNK_CHANGED_KEYS_MAX {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::{ChunkBuilder, decode_pairs};

    type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

    fn run(pairs: &Pairs) -> PairRun {
        let mut builder = ChunkBuilder::default();
        pairs
            .iter()
            .for_each(|(key, value)| builder.push(key, value));
        builder
            .finish()
            .map_or_else(PairRun::end, |chunk| decode_pairs(chunk.encoding).unwrap())
    }

    proptest! {
        #[test]
        fn the_keys_of_a_comparison_are_those_whose_pairs_differ(
            before in btree_map(vec(0..3u8, 0..4), vec(0..2u8, 0..2), 0..30),
            now in btree_map(vec(0..3u8, 0..4), vec(0..2u8, 0..2), 0..30),
        ) {
            let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
            let differing = keys.into_iter().filter(|key| before.get(*key) != now.get(*key));
            let found = differences(&run(&before), &run(&now)).unwrap();
            prop_assert!(found.iter().eq(differing.map(Vec::as_slice)));
        }
    }

    #[test]
    fn more_differences_than_are_noted_for_a_chunk_are_not_told() {
        let pairs = |value: u8| -> Pairs {
            let keys = (0..10_000_u32).map(|n| n.to_be_bytes().to_vec());
            keys.map(|key| (key, vec![value])).collect()
        };
        assert!(differences(&run(&pairs(1)), &run(&pairs(2))).is_none());
        assert!(
            differences(&run(&pairs(1)), &run(&pairs(1)))
                .unwrap()
                .is_empty()
        );
    }
}

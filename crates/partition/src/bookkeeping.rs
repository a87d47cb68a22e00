//! The replica's own notes in the partition's state: epoch, sequence, position, time.
//!
//! They change with every batch and stand in a backup's manifest instead of its chunks, so that an unchanged partition has
//! unchanged chunks.

use bytes::Bytes;
use prost::Message;
use skep_engine::tables::prefix;
use skep_protocol::{Epoch, Index, Position, Sequence};
use skep_state::{Op, Overlay, Read, StateError};

/// Prefix byte of the notes.
const PREFIX: u8 = 1;

/// Prefixes that a backup's chunks leave out, in order: the manifest stands for them.
pub const BOOKKEEPING_PREFIXES: [u8; 3] = [PREFIX, prefix::CHECKPOINT, prefix::BACKUPS];

/// Version of the tables that this version knows.
pub const STATE_VERSION: u32 = 1;

/// What every replica knows of a partition's progress.
#[derive(Clone, PartialEq, Message)]
pub struct Bookkeeping {
    /// The current leadership.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The last batch of it.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// Position of the last record.
    #[prost(int64, tag = "3")]
    pub position: i64,
    /// The partition's clock, in epoch milliseconds.
    #[prost(int64, tag = "4")]
    pub time: i64,
    /// Version of the tables.
    #[prost(uint32, tag = "5")]
    pub state_version: u32,
}

impl Bookkeeping {
    /// Version of the tables that this version knows.
    pub const VERSION: u32 = STATE_VERSION;

    /// The notes in `state`; those of an empty partition if there are none.
    pub fn read(state: &dyn Read) -> Result<Bookkeeping, StateError> {
        let Some(bytes) = state.get(&[PREFIX])? else {
            return Ok(Bookkeeping {
                state_version: STATE_VERSION,
                ..Bookkeeping::default()
            });
        };
        Bookkeeping::decode(bytes).map_err(|error| StateError::Corrupt {
            place: "the partition's bookkeeping".to_owned(),
            reason: error.to_string(),
            mend: "Restore the partition from a backup".to_owned(),
        })
    }

    /// The key and value to be written into a restored store.
    pub fn to_pair(&self) -> (Vec<u8>, Vec<u8>) {
        (vec![PREFIX], self.encode_to_vec())
    }

    /// Writes the notes into the active layer.
    pub(crate) fn apply(&self, overlay: &mut Overlay) {
        overlay.apply([(
            Bytes::from_static(&[PREFIX]),
            Op::Put(self.encode_to_vec().into()),
        )]);
    }

    /// The current leadership.
    pub const fn epoch(&self) -> Epoch {
        Epoch(self.epoch)
    }

    /// The last batch of it.
    pub const fn sequence(&self) -> Sequence {
        Sequence(self.sequence)
    }

    /// Position of the last record.
    pub const fn position(&self) -> Position {
        Position(self.position)
    }
}

/// The raft log id that a store's content stands at: what only this replica knows.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct LocalPosition {
    /// Raft index.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Raft term.
    #[prost(uint64, tag = "2")]
    pub term: u64,
}

impl LocalPosition {
    /// Where the content that a restore has put there stands. The log begins after it, so that a replica without this content is not
    /// taken for one that only lacks entries.
    pub const RESTORED: LocalPosition = LocalPosition { index: 1, term: 0 };

    /// Reads it back from a store's meta.
    pub fn read(meta: &[u8]) -> Result<LocalPosition, StateError> {
        LocalPosition::decode(meta).map_err(|error| StateError::Corrupt {
            place: "the store's applied log id".to_owned(),
            reason: error.to_string(),
            mend: "Restore the partition from a backup".to_owned(),
        })
    }

    /// Raft index.
    pub const fn raft_index(&self) -> Index {
        Index(self.index)
    }
}

//! The latest checkpoint of the partition.
//!
//! **Invariant**: its id only ever grows; there is no history.

use prost::Message;
use skep_protocol::{CheckpointId, Position};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{prefix, put, read};

/// A consistent cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its id; [`CheckpointId::NONE`] before the first.
    pub id: CheckpointId,
    /// Position of its CREATED record; [`Position::NONE`] before the first.
    pub position: Position,
}

impl Checkpoint {
    /// The key and value to be written into a restored store.
    pub fn to_pair(&self) -> (Vec<u8>, Vec<u8>) {
        let stored = Stored {
            id: self.id.0,
            position: self.position.0,
        };
        (key().as_bytes().to_vec(), stored.encode_to_vec())
    }
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(sint64, tag = "1")]
    id: i64,
    #[prost(sint64, tag = "2")]
    position: i64,
}

fn key() -> TableKey {
    TableKey::new(prefix::CHECKPOINT)
}

/// The latest checkpoint; without one, id and position are none.
pub fn latest(state: &dyn Read) -> Result<Checkpoint, StateError> {
    let stored: Option<Stored> = read(state, &key())?;
    Ok(match stored {
        Some(stored) => Checkpoint {
            id: CheckpointId(stored.id),
            position: Position(stored.position),
        },
        None => Checkpoint {
            id: CheckpointId::NONE,
            position: Position::NONE,
        },
    })
}

/// Makes a checkpoint the latest.
pub(crate) fn set(txn: &mut dyn Txn, checkpoint: Checkpoint) {
    put(
        txn,
        &key(),
        &Stored {
            id: checkpoint.id.0,
            position: checkpoint.position.0,
        },
    );
}

//! Identities as newtypes, so that two numbers of different meaning cannot be swapped.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number itself.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

id! {
    /// Identity of an entity: 13 bits of partition, 51 bits of counter. [`Key::NONE`] where there is none.
    Key(i64)
}
id! {
    /// Number of a record in its partition, +1 each, the first is 1. [`Position::NONE`] where there is none.
    Position(i64)
}
id! {
    /// Number that a client gives to what it asks for, to find what came of it among the records; any number will do.
    /// [`OperationReference::NONE`] where it gave none.
    OperationReference(i64)
}
id! {
    /// Number of an entry in the raft log.
    Index(u64)
}
id! {
    /// Id of a checkpoint, which is the id of its backup. [`CheckpointId::NONE`] before the first.
    CheckpointId(i64)
}
id! {
    /// Number of a partition, from 1.
    PartitionId(u32)
}
id! {
    /// Number of a broker, from 0.
    NodeId(u32)
}
id! {
    /// Number of a leadership as written in the partition's own state, from 1.
    Epoch(u64)
}
id! {
    /// Number of a batch within its epoch, from 1.
    Sequence(u64)
}

/// Bits of a [`Key`] that count within a partition.
const KEY_COUNTER_BITS: u32 = 51;

impl Key {
    /// No key, `-1` on every wire.
    pub const NONE: Key = Key(-1);

    /// The `counter`th key of `partition`.
    pub fn new(partition: PartitionId, counter: u64) -> Key {
        assert!(
            counter < 1 << KEY_COUNTER_BITS,
            "key counter {counter} exceeds 51 bits"
        );
        assert!(
            partition.0 < 1 << 12,
            "partition {partition} exceeds the bits of a key"
        );
        Key((i64::from(partition.0) << KEY_COUNTER_BITS) + counter as i64)
    }

    /// The partition that made the key; nonsense keys give partitions that do not exist.
    pub const fn partition(self) -> i64 {
        self.0 >> KEY_COUNTER_BITS
    }

    /// The part of the key that counts within its partition.
    pub const fn counter(self) -> u64 {
        (self.0 & ((1 << KEY_COUNTER_BITS) - 1)) as u64
    }

    /// Whether there is a key at all.
    pub const fn is_some(self) -> bool {
        self.0 >= 0
    }
}

impl Position {
    /// No position, `-1` on every wire.
    pub const NONE: Position = Position(-1);

    /// The position after this one.
    pub const fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

impl OperationReference {
    /// No reference, `-1` on every wire.
    pub const NONE: OperationReference = OperationReference(-1);
}

impl CheckpointId {
    /// No checkpoint has been taken yet.
    pub const NONE: CheckpointId = CheckpointId(-1);
}

impl Epoch {
    /// The epoch after this one.
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl Sequence {
    /// The sequence after this one.
    pub const fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_of_partition_1_is_zeebes() {
        let key = Key::new(PartitionId(1), 1);
        assert_eq!(key.0, 2_251_799_813_685_249);
        assert_eq!((key.partition(), key.counter()), (1, 1));
    }

    #[test]
    fn a_negative_key_has_no_partition() {
        assert_eq!(Key::NONE.partition(), -1);
        assert!(!Key::NONE.is_some());
    }
}

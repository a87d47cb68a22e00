//! The counter of keys: every entity of the partition gets the next one.

use skep_protocol::{Key, PartitionId};
use skep_state::{StateError, TableKey, Txn};

use super::prefix;

/// A key that was never given before.
pub(crate) fn next(txn: &mut dyn Txn, partition: PartitionId) -> Result<Key, StateError> {
    let table_key = TableKey::new(prefix::KEYS);
    let last = match txn.get(table_key.as_bytes())? {
        Some(bytes) => u64::from_le_bytes(bytes.as_ref().try_into().expect("the key counter has 8 bytes")),
        None => 0,
    };
    txn.put(table_key.as_bytes(), (last + 1).to_le_bytes().to_vec());
    Ok(Key::new(partition, last + 1))
}

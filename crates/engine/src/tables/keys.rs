//! The counter of keys: every entity of the partition gets the next one.

use skep_state::{Read, StateError, TableKey, Txn};

use super::{corrupt, prefix};

/// How many keys were given.
pub(crate) fn given(state: &dyn Read) -> Result<u64, StateError> {
    let table_key = TableKey::new(prefix::KEYS);
    Ok(match state.get(table_key.as_bytes())? {
        Some(bytes) => u64::from_le_bytes(
            bytes
                .as_ref()
                .try_into()
                .map_err(|error| corrupt(table_key.as_bytes(), error))?,
        ),
        None => 0,
    })
}

/// Writes down how many keys were given.
pub(crate) fn set_given(txn: &mut dyn Txn, given: u64) {
    txn.put(
        TableKey::new(prefix::KEYS).as_bytes(),
        given.to_le_bytes().to_vec(),
    );
}

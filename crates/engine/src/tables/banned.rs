//! Process instances taken out of processing after an unexpected failure. Their state stays as it is.

use std::collections::BTreeSet;

use skep_protocol::Key;
use skep_state::{KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{prefix, scan};

fn key(process_instance: Key) -> TableKey {
    TableKey::new(prefix::BANNED_INSTANCES).i64(process_instance.0)
}

/// All banned process instances.
pub fn all(state: &dyn Read) -> Result<BTreeSet<Key>, StateError> {
    let mut banned = BTreeSet::new();
    scan(state, &TableKey::new(prefix::BANNED_INSTANCES), |key, _| {
        banned.insert(Key(KeyReader::new(key).i64()));
        Ok(Visit::Next)
    })?;
    Ok(banned)
}

/// Bans a process instance, if it is not banned already.
pub fn ban(txn: &mut dyn Txn, process_instance: Key) {
    txn.put(key(process_instance).as_bytes(), Vec::new());
}

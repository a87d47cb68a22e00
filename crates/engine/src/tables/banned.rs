//! Process instances taken out of processing after an unexpected failure. Their state stays as it is.

use skep_protocol::Key;
use skep_state::{Read, StateError, TableKey, Txn};

use super::prefix;

fn key(process_instance: Key) -> TableKey {
    TableKey::new(prefix::BANNED_INSTANCES).i64(process_instance.0)
}

/// Whether a process instance is banned.
pub fn is_banned(state: &dyn Read, process_instance: Key) -> Result<bool, StateError> {
    Ok(state.get(key(process_instance).as_bytes())?.is_some())
}

/// Bans a process instance, if it is not banned already.
pub fn ban(txn: &mut dyn Txn, process_instance: Key) {
    txn.put(key(process_instance).as_bytes(), Vec::new());
}

//! Variables by scope and name: raw JSON text.
//!
//! **Invariants**
//! - A variable keeps its key for the life of its scope.
//! - The text is valid JSON without white space between tokens, so that equal values mostly have equal texts.

use prost::Message;
use skep_protocol::Key;
use skep_state::{Read, StateError, TableKey, Txn};

use super::{insert, prefix, put, read};

/// A variable as stored.
#[derive(Clone, PartialEq, Message)]
pub struct StoredVariable {
    /// The variable's key.
    #[prost(sfixed64, tag = "1")]
    pub key: i64,
    /// JSON text.
    #[prost(string, tag = "2")]
    pub value: String,
}

fn key(scope: Key, name: &str) -> TableKey {
    TableKey::new(prefix::VARIABLES).i64(scope.0).text(name)
}

/// The variable of that name in exactly that scope.
pub fn get(state: &dyn Read, scope: Key, name: &str) -> Result<Option<StoredVariable>, StateError> {
    read(state, &key(scope, name))
}

/// Writes a new variable of a scope down.
pub(crate) fn create(txn: &mut dyn Txn, scope: Key, name: &str, variable: &StoredVariable) {
    insert(txn, &key(scope, name), variable);
}

/// Changes a variable of a scope.
pub(crate) fn update(txn: &mut dyn Txn, scope: Key, name: &str, variable: &StoredVariable) {
    put(txn, &key(scope, name), variable);
}

/// All variables of exactly that scope, by name.
pub fn of_scope(state: &dyn Read, scope: Key) -> Result<Vec<(String, StoredVariable)>, StateError> {
    super::entries_with_prefix(
        state,
        &TableKey::new(prefix::VARIABLES).i64(scope.0),
        |reader| {
            reader.i64();
            reader.text()
        },
    )
}

/// Forgets all variables of a scope.
pub(crate) fn delete_scope(txn: &mut dyn Txn, scope: Key) -> Result<(), StateError> {
    for key in super::keys_with_prefix(txn, &TableKey::new(prefix::VARIABLES).i64(scope.0))? {
        txn.delete(&key);
    }
    Ok(())
}

//! Deployed forms: by key, latest by form id, by form id and version. Their resources are in the table of all resources.
//!
//! **Invariant**: a form keeps the key that the deployment partition gave it, on every partition.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::versions::{Version, Versions};
use super::{delete as delete_value, insert as insert_value, prefix, read};

/// Versions of form ids.
const VERSIONS: Versions = Versions::new(prefix::LATEST_FORMS, prefix::FORM_VERSIONS);

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::FORMS).i64(key.0)
}

/// A form, without its resource.
pub(crate) fn get(state: &dyn Read, key: Key) -> Result<Option<values::Form>, StateError> {
    read(state, &by_key(key))
}

/// The latest version of a form id.
pub(crate) fn latest(state: &dyn Read, form_id: &str) -> Result<Option<Version>, StateError> {
    VERSIONS.latest(state, form_id)
}

/// The number that the next version of a form id gets.
pub(crate) fn next_version(state: &dyn Read, form_id: &str) -> Result<i32, StateError> {
    VERSIONS.next(state, form_id)
}

/// The latest of those versions of a form id that are wanted.
pub(crate) fn latest_where(
    state: &dyn Read,
    form_id: &str,
    wanted: impl Fn(&values::Form) -> bool,
) -> Result<Option<values::Form>, StateError> {
    let mut version = VERSIONS.latest(state, form_id)?;
    while let Some(candidate) = version {
        if let Some(form) = get(state, candidate.key())?
            && wanted(&form)
        {
            return Ok(Some(form));
        }
        version = VERSIONS.below(state, form_id, candidate.version)?;
    }
    Ok(None)
}

/// Adds a form.
pub(crate) fn insert(txn: &mut dyn Txn, form: &values::Form) -> Result<(), StateError> {
    assert!(
        form.resource.is_empty(),
        "resources have a table of their own"
    );
    insert_value(txn, &by_key(Key(form.form_key)), form);
    VERSIONS.insert(txn, &form.form_id, form.version, Key(form.form_key))
}

/// Forgets a form.
pub(crate) fn delete(txn: &mut dyn Txn, form: &values::Form) -> Result<(), StateError> {
    delete_value(txn, &by_key(Key(form.form_key)));
    VERSIONS.remove(txn, &form.form_id, form.version)?;
    Ok(())
}

//! Deployed forms: by key, latest by form id, by form id and version, deployment or tag. Their resources are in the table of all resources.
//!
//! **Invariant**: a form keeps the key that the deployment partition gave it, on every partition.

use skep_protocol::{Key, values};
use skep_state::{Read, StateError, TableKey, Txn};

use super::bindings::{Bindings, Origin};
use super::versions::{Version, Versions};
use super::{delete as delete_value, insert as insert_value, prefix, read};

/// Versions of form ids.
const VERSIONS: Versions = Versions::new(prefix::LATEST_FORMS, prefix::FORM_VERSIONS);

/// What form ids are bound by.
const BINDINGS: Bindings = Bindings {
    by_deployment: prefix::FORMS_BY_DEPLOYMENT,
    by_tag: prefix::FORMS_BY_TAG,
};

fn origin(form: &values::Form) -> Origin<'_> {
    Origin {
        id: &form.form_id,
        version: form.version,
        deployment: Key(form.deployment_key),
        tag: &form.version_tag,
    }
}

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

/// The version of a form id that came with a deployment.
pub(crate) fn in_deployment(
    state: &dyn Read,
    form_id: &str,
    deployment: Key,
) -> Result<Option<Key>, StateError> {
    BINDINGS.in_deployment(state, form_id, deployment)
}

/// The latest version of a form id with a tag.
pub(crate) fn tagged(
    state: &dyn Read,
    form_id: &str,
    tag: &str,
) -> Result<Option<Key>, StateError> {
    BINDINGS.tagged(state, form_id, tag)
}

/// Adds a form.
pub(crate) fn insert(txn: &mut dyn Txn, form: &values::Form) -> Result<(), StateError> {
    assert!(
        form.resource.is_empty(),
        "resources have a table of their own"
    );
    insert_value(txn, &by_key(Key(form.form_key)), form);
    BINDINGS.insert(txn, &origin(form), Key(form.form_key));
    VERSIONS.insert(txn, &form.form_id, form.version, Key(form.form_key))
}

/// Forgets a form.
pub(crate) fn delete(txn: &mut dyn Txn, form: &values::Form) -> Result<(), StateError> {
    delete_value(txn, &by_key(Key(form.form_key)));
    BINDINGS.remove(txn, &origin(form));
    VERSIONS.remove(txn, &form.form_id, form.version)?;
    Ok(())
}

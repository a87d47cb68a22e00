//! Incidents by key, and the incident of an element instance or job.
//!
//! **Invariant**: an owner (the job of a job's incident, else the element instance) has at most one open incident, and both
//! tables agree.

use prost::Message;
use skep_protocol::{Key, values};
use skep_state::{KeyRange, KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{delete as delete_value, insert, prefix, put, read};

#[derive(Clone, Copy, PartialEq, Message)]
struct Reference {
    #[prost(sfixed64, tag = "1")]
    incident: i64,
}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::INCIDENTS).i64(key.0)
}

fn by_owner(owner: Key) -> TableKey {
    TableKey::new(prefix::INCIDENT_BY_OWNER).i64(owner.0)
}

/// What an incident belongs to.
pub fn owner(incident: &values::Incident) -> Key {
    if incident.job_key > 0 {
        Key(incident.job_key)
    } else {
        Key(incident.element_instance_key)
    }
}

/// The incident of that key.
pub fn get(state: &dyn Read, key: Key) -> Result<Option<values::Incident>, StateError> {
    read(state, &by_key(key))
}

/// The open incident of an element instance or job.
pub fn of_owner(state: &dyn Read, owner: Key) -> Result<Option<Key>, StateError> {
    let reference: Option<Reference> = read(state, &by_owner(owner))?;
    Ok(reference.map(|reference| Key(reference.incident)))
}

/// Counts incidents after that key, up to a limit. Gives how many there are, and the key of the last if there may be more.
pub fn count_after(
    state: &dyn Read,
    after: Option<Key>,
    limit: usize,
) -> Result<(usize, Option<Key>), StateError> {
    let table = TableKey::new(prefix::INCIDENTS);
    let from = after.map_or_else(|| table.as_bytes().to_vec(), |after| by_key(after).end());
    let range = KeyRange {
        from: &from,
        to: Some(&table.end()),
    };
    let (mut count, mut last) = (0, None);
    state.scan(range, &mut |key, _| {
        count += 1;
        if count < limit {
            return Visit::Next;
        }
        last = Some(Key(KeyReader::new(key).i64()));
        Visit::Stop
    })?;
    Ok((count, last))
}

/// Writes a new incident down.
pub(crate) fn create(txn: &mut dyn Txn, key: Key, incident: &values::Incident) {
    insert(txn, &by_key(key), incident);
    insert(
        txn,
        &by_owner(owner(incident)),
        &Reference { incident: key.0 },
    );
}

/// Writes down how an incident has changed, other than what it belongs to.
pub(crate) fn update(txn: &mut dyn Txn, key: Key, incident: &values::Incident) {
    put(txn, &by_key(key), incident);
}

/// Forgets an incident.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, incident: &values::Incident) {
    delete_value(txn, &by_key(key));
    delete_value(txn, &by_owner(owner(incident)));
}

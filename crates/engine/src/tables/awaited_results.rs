//! Requests that wait for the result of a process instance, by process instance.

use prost::Message;
use skep_protocol::{Key, RequestId};
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete as delete_value, insert, prefix, read};

/// Who waits for a result, and for what of it.
#[derive(Clone, PartialEq, Message)]
pub struct AwaitedResult {
    /// The gateway's life.
    #[prost(fixed64, tag = "1")]
    pub gateway: u64,
    /// The request.
    #[prost(uint64, tag = "2")]
    pub request: u64,
    /// Names of the variables wanted; empty for all.
    #[prost(string, repeated, tag = "3")]
    pub fetch_variables: Vec<String>,
}

impl AwaitedResult {
    /// Who waits.
    pub fn request_id(&self) -> RequestId {
        RequestId {
            gateway: self.gateway,
            request: self.request,
        }
    }
}

fn key(process_instance: Key) -> TableKey {
    TableKey::new(prefix::AWAITED_RESULTS).i64(process_instance.0)
}

/// Who waits for the result of a process instance.
pub fn get(state: &dyn Read, process_instance: Key) -> Result<Option<AwaitedResult>, StateError> {
    read(state, &key(process_instance))
}

/// Somebody waits for the result of a new process instance.
pub(crate) fn create(txn: &mut dyn Txn, process_instance: Key, awaited: &AwaitedResult) {
    insert(txn, &key(process_instance), awaited);
}

/// Nobody waits any more.
pub(crate) fn delete(txn: &mut dyn Txn, process_instance: Key) {
    delete_value(txn, &key(process_instance));
}

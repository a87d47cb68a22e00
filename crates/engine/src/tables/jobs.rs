//! Jobs by key, and the queues in which they wait.
//!
//! **Invariants**
//! - A job in the state ACTIVATABLE, and only such a job, is in the queue of its type.
//! - A job in the state ACTIVATED is in the queue of deadlines under its deadline.
//! - A job that waits for its back-off is FAILED, and in the queue of back-offs under its recurring time.
//!
//! Entries of queues are deleted when a job leaves them, so that a scan meets dead entries only as tombstones of what was
//! written back. All scans of the activatable go through [`activatable`], which takes the key to begin at: a hint per type of
//! where the queue begins can be added there.

use prost::Message;
use skep_protocol::{Key, values};
use skep_state::{KeyRange, KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{delete as delete_value, insert, prefix, put, read};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum JobState {
    /// It waits for a worker.
    Activatable = 0,
    /// A worker has it.
    Activated = 1,
    /// It waits for its back-off, or for an incident to be resolved.
    Failed = 2,
    /// Its worker threw an error that nobody catches.
    ErrorThrown = 3,
}

impl JobState {
    /// The name in texts for users.
    pub const fn name(self) -> &'static str {
        match self {
            JobState::Activatable => "ACTIVATABLE",
            JobState::Activated => "ACTIVATED",
            JobState::Failed => "FAILED",
            JobState::ErrorThrown => "ERROR_THROWN",
        }
    }
}

/// A job as stored.
#[derive(Clone, PartialEq, Message)]
pub struct StoredJob {
    /// Where it stands.
    #[prost(enumeration = "JobState", tag = "1")]
    pub state: i32,
    /// The job; without variables, which are those of its element instance.
    #[prost(message, required, tag = "2")]
    pub job: values::Job,
}

fn by_key(key: Key) -> TableKey {
    TableKey::new(prefix::JOBS).i64(key.0)
}

fn activatable_key(job_type: &str, key: Key) -> TableKey {
    TableKey::new(prefix::ACTIVATABLE_JOBS)
        .text(job_type)
        .i64(key.0)
}

fn deadline_key(deadline: i64, key: Key) -> TableKey {
    TableKey::new(prefix::JOB_DEADLINES)
        .i64(deadline)
        .i64(key.0)
}

fn back_off_key(time: i64, key: Key) -> TableKey {
    TableKey::new(prefix::JOB_BACK_OFFS).i64(time).i64(key.0)
}

/// The job of that key.
pub fn get(state: &dyn Read, key: Key) -> Result<Option<StoredJob>, StateError> {
    read(state, &by_key(key))
}

/// The queue that a job is in.
fn queue_key(key: Key, stored: &StoredJob) -> Option<TableKey> {
    match stored.state() {
        JobState::Activatable => Some(activatable_key(&stored.job.job_type, key)),
        JobState::Activated => Some(deadline_key(stored.job.deadline, key)),
        JobState::Failed if stored.job.recurring_time >= 0 => {
            Some(back_off_key(stored.job.recurring_time, key))
        }
        JobState::Failed | JobState::ErrorThrown => None,
    }
}

/// Writes a new job down.
pub(crate) fn create(txn: &mut dyn Txn, key: Key, job: &StoredJob) {
    insert(txn, &by_key(key), job);
    if let Some(queue) = queue_key(key, job) {
        txn.insert(queue.as_bytes(), Vec::new());
    }
}

/// Writes down how a job has changed, and moves it to its queue.
pub(crate) fn update(txn: &mut dyn Txn, key: Key, before: &StoredJob, after: &StoredJob) {
    put(txn, &by_key(key), after);
    let (from, to) = (queue_key(key, before), queue_key(key, after));
    if from == to {
        return;
    }
    if let Some(from) = from {
        delete_value(txn, &from);
    }
    if let Some(to) = to {
        txn.insert(to.as_bytes(), Vec::new());
    }
}

/// Forgets a job.
pub(crate) fn delete(txn: &mut dyn Txn, key: Key, stored: &StoredJob) {
    delete_value(txn, &by_key(key));
    if let Some(queue) = queue_key(key, stored) {
        delete_value(txn, &queue);
    }
}

/// Takes a job out of the queues of times, though it stays as it is: nothing can be done about it when the time comes.
pub(crate) fn forget_time(txn: &mut dyn Txn, key: Key, job: &values::Job) {
    delete_value(txn, &deadline_key(job.deadline, key));
    delete_value(txn, &back_off_key(job.recurring_time, key));
}

/// Activatable jobs of a type with keys from `from` on, oldest first, at most `limit`.
pub fn activatable(
    state: &dyn Read,
    job_type: &str,
    from: Key,
    limit: usize,
) -> Result<Vec<Key>, StateError> {
    let to = TableKey::new(prefix::ACTIVATABLE_JOBS).text(job_type).end();
    let from = activatable_key(job_type, from);
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    state.scan(
        KeyRange {
            from: from.as_bytes(),
            to: Some(&to),
        },
        &mut |key, _| {
            let mut reader = KeyReader::new(&key[key.len() - 8 - 1..]);
            found.push(Key(reader.i64()));
            if found.len() < limit {
                Visit::Next
            } else {
                Visit::Stop
            }
        },
    )?;
    Ok(found)
}

/// Types that have activatable jobs, in order, at most `limit`. Costs one look per type, however many jobs there are.
pub fn activatable_types(state: &dyn Read, limit: usize) -> Result<Vec<String>, StateError> {
    let table = TableKey::new(prefix::ACTIVATABLE_JOBS);
    let to = table.end();
    let mut from = table.as_bytes().to_vec();
    let mut types = Vec::new();
    while types.len() < limit {
        let mut first = None;
        state.scan(
            KeyRange {
                from: &from,
                to: Some(&to),
            },
            &mut |key, _| {
                first = Some(KeyReader::new(key).text());
                Visit::Stop
            },
        )?;
        let Some(job_type) = first else { break };
        from = TableKey::new(prefix::ACTIVATABLE_JOBS)
            .text(&job_type)
            .end();
        types.push(job_type);
    }
    Ok(types)
}

/// Jobs whose deadline has passed, in order, and when the next one passes.
pub(crate) fn timed_out(
    state: &dyn Read,
    now: i64,
    limit: usize,
) -> Result<(Vec<Key>, Option<i64>), StateError> {
    super::due_entries(state, prefix::JOB_DEADLINES, now, limit, |reader| {
        Key(reader.i64())
    })
}

/// Jobs whose back-off has ended, in order, and when the next one ends.
pub(crate) fn backed_off(
    state: &dyn Read,
    now: i64,
    limit: usize,
) -> Result<(Vec<Key>, Option<i64>), StateError> {
    super::due_entries(state, prefix::JOB_BACK_OFFS, now, limit, |reader| {
        Key(reader.i64())
    })
}

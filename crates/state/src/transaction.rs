//! A command's writes on top of everything before it.

use std::any::Any;
use std::panic::resume_unwind;

use bytes::Bytes;
use thiserror::Error;

use crate::{KeyRange, Layer, Op, Overlay, Read, StateError, Visitor, merge};

/// State that a command reads and changes.
pub trait Txn: Read {
    /// Creates a key that exists nowhere. Keys of new entities are new, so that the state need not be asked.
    fn insert(&mut self, key: &[u8], value: Vec<u8>);

    /// Sets a key, whether it exists or not.
    fn put(&mut self, key: &[u8], value: Vec<u8>);

    /// Deletes a key, whether it exists or not.
    fn delete(&mut self, key: &[u8]);

    /// Takes back all writes.
    fn revert(&mut self);

    /// Memory that the writes take, roughly.
    fn written_bytes(&self) -> usize;
}

/// One command's transaction: nothing below it changes until it is taken over.
pub struct Transaction<'a> {
    below: &'a Overlay,
    writes: Layer,
}

impl<'a> Transaction<'a> {
    /// An empty transaction over the overlay, pending writes included.
    pub fn new(below: &'a Overlay) -> Transaction<'a> {
        Transaction {
            below,
            writes: Layer::default(),
        }
    }

    /// What the command has written.
    pub fn into_writes(self) -> Layer {
        self.writes
    }
}

impl Read for Transaction<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        match self.writes.get(key) {
            Some(op) => Ok(op.value().cloned()),
            None => self.below.get(key),
        }
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        if self.writes.is_empty() {
            return self.below.scan(range, visit);
        }
        merge::scan(&[&self.writes], self.below, range, visit)
    }
}

/// Longest key that every store takes ([the one on disk](https://docs.rs/lsm-tree) has 16 bits for its length). Texts of users are part of keys (variable names, correlation keys); where they come in,
/// they are refused with a better text. One that gets here ends the evaluation, and not the write-back of the whole partition.
pub const KEY_BYTES_MAX: usize = (64 << 10) - 1;

/// Bytes of writes and records that one evaluation may come to: with a batch that was nearly full before, and encoded, they fit
/// into one entry of the log, whose segments have 32 MiB.
pub const EVALUATION_BYTES_MAX: usize = 28 << 20;

/// Why an evaluation ended where it stood. Nothing of it counts; the partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitExceeded {
    /// A key that no store takes.
    #[error(
        "a name, id or key is too long: {bytes} bytes, at most {KEY_BYTES_MAX} are possible. Use a shorter one"
    )]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// More than [`EVALUATION_BYTES_MAX`].
    #[error(
        "the command and what follows from it would write more than {EVALUATION_BYTES_MAX} bytes at once. \
         Use fewer or smaller variables"
    )]
    Evaluation,
}

impl LimitExceeded {
    /// Ends the evaluation, up to where panics are caught. It is no panic: no hook is called for what a user can cause.
    pub fn end_evaluation(self) -> ! {
        resume_unwind(Box::new(self))
    }

    /// What ended an evaluation, if it was a limit.
    pub fn from_panic(panic: &(dyn Any + Send)) -> Option<LimitExceeded> {
        panic.downcast_ref::<LimitExceeded>().copied()
    }
}

impl Transaction<'_> {
    fn write(&mut self, key: &[u8], op: Op) {
        if key.len() > KEY_BYTES_MAX {
            LimitExceeded::Key { bytes: key.len() }.end_evaluation();
        }
        self.writes.write(Bytes::copy_from_slice(key), op);
        if self.writes.bytes() > EVALUATION_BYTES_MAX {
            LimitExceeded::Evaluation.end_evaluation();
        }
    }
}

impl Txn for Transaction<'_> {
    fn insert(&mut self, key: &[u8], value: Vec<u8>) {
        self.write(key, Op::Insert(value.into()));
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.write(key, Op::Put(value.into()));
    }

    fn delete(&mut self, key: &[u8]) {
        self.write(key, Op::Delete);
    }

    fn revert(&mut self) {
        self.writes = Layer::default();
    }

    fn written_bytes(&self) -> usize {
        self.writes.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use super::*;
    use crate::MemoryStore;

    fn limit_of(evaluation: impl FnOnce(&mut Transaction)) -> Option<LimitExceeded> {
        let overlay = Overlay::new(Arc::new(MemoryStore::default()));
        let mut txn = Transaction::new(&overlay);
        let caught = catch_unwind(AssertUnwindSafe(|| evaluation(&mut txn)));
        caught
            .err()
            .map(|panic| LimitExceeded::from_panic(&*panic).unwrap())
    }

    #[test]
    fn a_key_that_no_store_takes_ends_the_evaluation() {
        let longest = vec![1; KEY_BYTES_MAX];
        assert_eq!(limit_of(|txn| txn.put(&longest, Vec::new())), None);
        let too_long = vec![1; KEY_BYTES_MAX + 1];
        let limit = limit_of(|txn| txn.insert(&too_long, Vec::new())).unwrap();
        assert_eq!(limit, LimitExceeded::Key { bytes: 65_536 });
        assert!(limit.to_string().contains("too long: 65536 bytes"));
    }

    #[test]
    fn writes_that_no_log_entry_holds_end_the_evaluation() {
        let write = |txn: &mut Transaction, count: u8| {
            for key in 0..count {
                txn.put(&[key], vec![0; 1 << 20]);
            }
        };
        assert_eq!(limit_of(|txn| write(txn, 27)), None);
        assert_eq!(
            limit_of(|txn| write(txn, 28)),
            Some(LimitExceeded::Evaluation),
            "with the keys, and what a map costs"
        );
        let again = |txn: &mut Transaction| (0..100).for_each(|_| write(txn, 27));
        assert_eq!(limit_of(again), None, "what is overwritten does not count");
    }
}

//! A command's writes on top of everything before it.

use bytes::Bytes;

use crate::{KeyRange, Layer, Op, Overlay, Read, StateError, Visitor, merge};

/// State that a command reads and changes.
pub trait Txn: Read {
    /// Creates a key that exists nowhere. Keys of new entities are new, so that the state need not be asked.
    fn insert(&mut self, key: &[u8], value: Vec<u8>);

    /// Sets a key, whether it exists or not.
    fn put(&mut self, key: &[u8], value: Vec<u8>);

    /// Deletes a key, whether it exists or not.
    fn delete(&mut self, key: &[u8]);
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

    /// Memory that the command's writes take, roughly.
    pub const fn bytes(&self) -> usize {
        self.writes.bytes()
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

/// Longest key that every store takes. Texts of users are part of keys (variable names, correlation keys); one that is longer
/// ends the evaluation of its command here, where it is caught, and not the write-back of the whole partition.
pub const KEY_BYTES_MAX: usize = 32 << 10;

fn checked(key: &[u8]) -> Bytes {
    assert!(
        key.len() <= KEY_BYTES_MAX,
        "a name, id or key is too long: {} bytes, at most {KEY_BYTES_MAX} are possible",
        key.len()
    );
    Bytes::copy_from_slice(key)
}

impl Txn for Transaction<'_> {
    fn insert(&mut self, key: &[u8], value: Vec<u8>) {
        self.writes.write(checked(key), Op::Insert(value.into()));
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.writes.write(checked(key), Op::Put(value.into()));
    }

    fn delete(&mut self, key: &[u8]) {
        self.writes.write(checked(key), Op::Delete);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::MemoryStore;

    #[test]
    #[should_panic(expected = "too long: 32769 bytes")]
    fn a_key_that_no_store_takes_ends_the_evaluation() {
        let overlay = Overlay::new(Arc::new(MemoryStore::default()));
        let mut txn = Transaction::new(&overlay);
        txn.put(&vec![1; KEY_BYTES_MAX], Vec::new());
        txn.put(&vec![1; KEY_BYTES_MAX + 1], Vec::new());
    }
}

//! A partition's state that can be copied, compared and hashed: a map.

use std::collections::BTreeMap;

use bytes::Bytes;
use skep_state::{KeyRange, Read, StateError, Txn, Visit, Visitor};

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content(BTreeMap<Vec<u8>, Vec<u8>>);

impl Content {
    /// How many pairs there are in a table.
    pub fn count(&self, table: u8) -> usize {
        self.0.range(vec![table]..vec![table + 1]).count()
    }
}

impl Read for Content {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.0.get(key).map(|value| Bytes::copy_from_slice(value)))
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        for (key, value) in self.0.range(range.from.to_vec()..) {
            if !range.ends_after(key) || visit(key, value) == Visit::Stop {
                break;
            }
        }
        Ok(())
    }
}

impl Txn for Content {
    fn insert(&mut self, key: &[u8], value: Vec<u8>) {
        let before = self.0.insert(key.to_vec(), value);
        assert_eq!(before, None, "key {key:02x?} is inserted but exists");
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.0.insert(key.to_vec(), value);
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }

    fn revert(&mut self) {
        unreachable!("these tests have no command that is taken back");
    }

    fn written_bytes(&self) -> usize {
        0
    }
}

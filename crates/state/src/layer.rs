//! One ordered in-memory map of writes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;

/// What a layer says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It exists with this value, and exists nowhere below.
    Insert(Bytes),
    /// It exists with this value.
    Put(Bytes),
    /// It exists no more.
    Delete,
}

impl Op {
    /// The value, unless the key is deleted.
    pub const fn value(&self) -> Option<&Bytes> {
        match self {
            Op::Insert(value) | Op::Put(value) => Some(value),
            Op::Delete => None,
        }
    }
}

/// Bytes that a map entry costs beside key and value, roughly.
const ENTRY_OVERHEAD: usize = 96;

/// Writes by key, the last one of each key.
#[derive(Debug, Default, Clone)]
pub struct Layer {
    map: BTreeMap<Bytes, Op>,
    bytes: usize,
}

impl Layer {
    /// What the layer says of the key.
    pub fn get(&self, key: &[u8]) -> Option<&Op> {
        self.map.get(key)
    }

    /// Adds a write on top of what is there. A key inserted and deleted in the same layer leaves no trace.
    pub fn write(&mut self, key: Bytes, op: Op) {
        let added = cost(&key, &op);
        match self.map.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(op);
                self.bytes += added;
            }
            Entry::Occupied(mut entry) => {
                self.bytes -= cost(entry.key(), entry.get());
                match (entry.get(), op) {
                    (Op::Insert(_), Op::Delete) => {
                        entry.remove();
                        return;
                    }
                    (Op::Insert(_), Op::Put(value)) => entry.insert(Op::Insert(value)),
                    // The key existed below, was deleted here and is made anew: below it still exists.
                    (Op::Delete, Op::Insert(value)) => entry.insert(Op::Put(value)),
                    (Op::Insert(_) | Op::Put(_), Op::Insert(_)) => {
                        panic!("key {:02x?} is inserted but exists", entry.key())
                    }
                    (Op::Put(_) | Op::Delete, op) => entry.insert(op),
                };
                self.bytes += added;
            }
        }
    }

    /// Removes what the layer says of the key.
    pub fn forget(&mut self, key: &[u8]) {
        if let Some((key, op)) = self.map.remove_entry(key) {
            self.bytes -= cost(&key, &op);
        }
    }

    /// The writes of a range, in key order.
    pub fn range<'a>(
        &'a self,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a Bytes, &'a Op)> + use<'a> {
        use std::ops::Bound;
        let to = match to {
            Some(to) if to <= from => return EitherRange::Empty,
            Some(to) => Bound::Excluded(to),
            None => Bound::Unbounded,
        };
        EitherRange::Range(self.map.range::<[u8], _>((Bound::Included(from), to)))
    }

    /// All writes, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Op)> + Clone {
        self.map.iter()
    }

    /// How many keys it speaks of.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Memory that it takes, roughly.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Layer {
        std::mem::take(self)
    }
}

impl IntoIterator for Layer {
    type Item = (Bytes, Op);
    type IntoIter = std::collections::btree_map::IntoIter<Bytes, Op>;

    fn into_iter(self) -> Self::IntoIter {
        self.map.into_iter()
    }
}

fn cost(key: &[u8], op: &Op) -> usize {
    ENTRY_OVERHEAD + key.len() + op.value().map_or(0, Bytes::len)
}

enum EitherRange<'a> {
    Empty,
    Range(std::collections::btree_map::Range<'a, Bytes, Op>),
}

impl<'a> Iterator for EitherRange<'a> {
    type Item = (&'a Bytes, &'a Op);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            EitherRange::Empty => None,
            EitherRange::Range(range) => range.next(),
        }
    }
}

//! The last key that each table may hold, so that reading what lies beyond costs nothing.
//!
//! Keys of what was begun last are a table's greatest. Most of what is read is of that kind and is still in the overlay above, and
//! nothing of it in the store; but finding that out takes as long as reading, the longer the more there is: a scan opens every run
//! that holds a part of the table.
//!
//! **Invariant**: no key of a table is above its end, at any moment that can be read. Ends only grow, so that they hold for
//! snapshots too, and they grow before what they speak of can be seen. They are a pair of the run like the meta. A deleted key may remain the end.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use skep_state::KeyRange;

/// Key of the ends: after the meta's.
pub(crate) const ENDS_KEY: &[u8] = &[0xff, 0x01];

const LENGTH_BYTES: usize = 2;

/// The ends of a store's tables. Without them nothing is said to be beyond: stores of format 1 have none.
#[derive(Debug, Default)]
pub(crate) struct Ends(RwLock<Option<Tables>>);

type Tables = BTreeMap<u8, Vec<u8>>;

impl Ends {
    /// Those of a store without content.
    pub(crate) fn of_nothing() -> Ends {
        Ends(RwLock::new(Some(Tables::new())))
    }

    /// Those that were written last. What is not understood is an error that says so.
    pub(crate) fn decode(mut bytes: &[u8]) -> Result<Ends, String> {
        let mut tables = Tables::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes
                .split_first_chunk::<LENGTH_BYTES>()
                .ok_or("the ends of tables are cut off")?;
            let length = usize::from(u16::from_le_bytes(*length));
            let (key, rest) = rest
                .split_at_checked(length)
                .ok_or("the end of a table is cut off")?;
            let table = *key.first().ok_or("the end of a table is empty")?;
            if tables.insert(table, key.to_vec()).is_some() {
                return Err(format!("table {table} has two ends"));
            }
            bytes = rest;
        }
        Ok(Ends(RwLock::new(Some(tables))))
    }

    /// Takes in the last keys of a run, and gives what is to be written with it: `None` where there are no ends.
    pub(crate) fn raise(&self, run: Tables) -> Option<Vec<u8>> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = known.as_mut()?;
        for (table, key) in run {
            let end = known.entry(table).or_default();
            if *end < key {
                *end = key;
            }
        }
        let mut bytes = Vec::new();
        for key in known.values() {
            let length = u16::try_from(key.len()).expect("keys of a run have no more bytes");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(key);
        }
        Some(bytes)
    }

    /// Whether nothing is at the key, for sure.
    pub(crate) fn excludes(&self, key: &[u8]) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match (known.as_ref(), key.first()) {
            (Some(known), Some(table)) => known.get(table).is_none_or(|end| end.as_slice() < key),
            _ => false,
        }
    }

    /// Whether nothing is in the range, for sure.
    pub(crate) fn exclude(&self, range: KeyRange<'_>) -> bool {
        let (Some(table), Some(to)) = (range.from.first(), range.to) else {
            return false;
        };
        let of_one_table = match to {
            [] => false,
            // The first key that a table might have is of no more bytes than its number.
            [next] => *next <= table.saturating_add(1),
            [last, ..] => last == table,
        };
        of_one_table && self.excludes(range.from)
    }
}

/// The last keys of a run, by table, while it is being written.
#[derive(Debug, Default)]
pub(crate) struct RunEnds(Tables);

impl RunEnds {
    /// The run goes from one table to another: this was the last key of the former.
    pub(crate) fn add(&mut self, last_key: &[u8]) {
        if let Some(table) = last_key.first() {
            self.0.insert(*table, last_key.to_vec());
        }
    }

    pub(crate) fn into_tables(self) -> Tables {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(keys: &[&[u8]]) -> Ends {
        let mut run = RunEnds::default();
        keys.iter().for_each(|key| run.add(key));
        let ends = Ends::of_nothing();
        ends.raise(run.into_tables());
        ends
    }

    fn range<'a>(from: &'a [u8], to: Option<&'a [u8]>) -> KeyRange<'a> {
        KeyRange { from, to }
    }

    #[test]
    fn what_is_above_a_tables_end_is_excluded_and_nothing_else_is() {
        let ends = ends(&[b"a5", b"c5"]);
        for (key, excluded) in [
            (&b"a4"[..], false),
            (b"a5", false),
            (b"a50", true),
            (b"b", true),
            (b"c4", false),
            (b"c6", true),
            (b"", false),
        ] {
            assert_eq!(ends.excludes(key), excluded, "{key:?}");
        }
    }

    #[test]
    fn only_a_range_within_one_table_is_excluded() {
        let ends = ends(&[b"a5", b"c5"]);
        for (from, to, excluded) in [
            (&b"a6"[..], Some(&b"a9"[..]), true),
            (b"a6", Some(b"b"), true),
            (b"a5", Some(b"b"), false),
            (b"a6", Some(b"b0"), false),
            (b"a6", Some(b"c"), false),
            (b"a6", None, false),
            (b"b", Some(b"c"), true),
            (b"", Some(b"c"), false),
        ] {
            assert_eq!(ends.exclude(range(from, to)), excluded, "{from:?} {to:?}");
        }
    }

    #[test]
    fn ends_never_shrink_and_read_as_they_were_written() {
        let ends = ends(&[b"a5", b"c5"]);
        let mut run = RunEnds::default();
        run.add(b"a4");
        run.add(b"c7");
        let bytes = ends.raise(run.into_tables()).unwrap();
        let read = Ends::decode(&bytes).unwrap();
        assert!(!read.excludes(b"a5") && read.excludes(b"a6"));
        assert!(!read.excludes(b"c7") && read.excludes(b"c8"));
    }

    #[test]
    fn without_ends_nothing_is_excluded_and_none_are_written() {
        let ends = Ends::default();
        assert_eq!(ends.raise(RunEnds::default().into_tables()), None);
        assert!(!ends.excludes(b"a"));
        assert!(!ends.exclude(range(b"a", Some(b"b"))));
    }

    #[test]
    fn what_cannot_be_ends_is_refused() {
        for bytes in [
            &b"\x05"[..],
            b"\x05\x00a",
            b"\x00\x00",
            b"\x01\x00a\x01\x00a",
        ] {
            assert!(Ends::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}

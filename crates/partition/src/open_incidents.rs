//! How many incidents a partition has. Each leader counts them once, some between any two batches, so that it begins no later however many
//! there are; from then on it adds and subtracts what happens.
//!
//! **Invariant**: the number is that of the incidents up to the key where counting is, or of all when it has come to the end. It is
//! of what was evaluated, so that nothing of it holds when the leadership is lost.

use skep_engine::tables::incidents;
use skep_protocol::Key;
use skep_state::{Read, StateError};

/// Incidents counted at once: about a millisecond's worth.
const COUNTED_AT_ONCE: usize = 1_000;

/// The number, or how far it is known.
#[derive(Debug, Default)]
pub(crate) struct OpenIncidents {
    counted: u64,
    /// The last key that was counted.
    up_to: Option<Key>,
    complete: bool,
}

impl OpenIncidents {
    /// Counts some more of what was evaluated so far, if there may be more.
    pub fn count_on(&mut self, evaluated: &dyn Read) -> Result<(), StateError> {
        if !self.complete {
            let (found, last) = incidents::count_after(evaluated, self.up_to, COUNTED_AT_ONCE)?;
            self.counted += found as u64;
            self.complete = last.is_none();
            self.up_to = last;
        }
        Ok(())
    }

    /// There is one more. Its key is greater than those that there were, so that it will be come to if counting is not complete.
    pub fn created(&mut self) {
        self.counted += u64::from(self.complete);
    }

    /// There is one less.
    pub fn resolved(&mut self, key: Key) {
        if self.complete || self.up_to.is_some_and(|last| key <= last) {
            self.counted -= 1;
        }
    }

    /// How many there are, once it is known.
    pub fn known(&self) -> Option<u64> {
        self.complete.then_some(self.counted)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skep_engine::tables::prefix;
    use skep_state::{MemoryStore, Op, Overlay, TableKey};

    use super::*;

    struct Incidents(Overlay);

    impl Incidents {
        fn new(keys: std::ops::Range<i64>) -> Incidents {
            let mut incidents = Incidents(Overlay::new(Arc::new(MemoryStore::default())));
            keys.for_each(|key| incidents.write(key, Op::Put(b"incident".as_slice().into())));
            // What is in the tables before and after is not counted.
            for table in [prefix::INCIDENTS - 1, prefix::INCIDENTS + 1] {
                let key = TableKey::new(table).i64(1);
                let op = Op::Put(b"other".as_slice().into());
                incidents.0.apply([(key.as_bytes().to_vec().into(), op)]);
            }
            incidents
        }

        fn write(&mut self, key: i64, op: Op) {
            let key = TableKey::new(prefix::INCIDENTS).i64(key);
            self.0.apply([(key.as_bytes().to_vec().into(), op)]);
        }
    }

    #[test]
    fn they_are_counted_whatever_happens_meanwhile_and_kept_up_to_date() {
        let end = 2 * COUNTED_AT_ONCE as i64 + 500;
        let mut incidents = Incidents::new(0..end);
        let mut open = OpenIncidents::default();
        open.count_on(&incidents.0).expect("memory can be read");
        assert_eq!(open.known(), None);
        // One that was counted, one that was not, and a new one.
        for key in [7, end - 1] {
            incidents.write(key, Op::Delete);
            open.resolved(Key(key));
        }
        incidents.write(end, Op::Put(b"incident".as_slice().into()));
        open.created();
        for known in [None, Some(end as u64 - 1), Some(end as u64 - 1)] {
            open.count_on(&incidents.0).expect("memory can be read");
            assert_eq!(open.known(), known);
        }
        open.created();
        open.created();
        open.resolved(Key(8));
        assert_eq!(open.known(), Some(end as u64));
    }

    #[test]
    fn where_there_are_none_that_is_known_at_once() {
        let incidents = Incidents::new(0..0);
        let mut open = OpenIncidents::default();
        open.count_on(&incidents.0).expect("memory can be read");
        assert_eq!(open.known(), Some(0));
    }
}

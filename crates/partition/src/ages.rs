//! How old what a partition has created is, by its key alone: keys grow with time.
//!
//! Notes which key was given when, every millisecond at most; of what is longer ago fewer such notes are kept. So an age is exact to a
//! few thousandths of itself, however many things there are.
//!
//! **Invariants**
//! - Notes take a fixed amount of memory, and none after they were made.
//! - Keys and times of a level grow. Keys that are given again have to be forgotten before.

use std::collections::VecDeque;
use std::time::Duration;

use skep_protocol::Key;

/// Notes of one level.
const NOTES: usize = 4_096;

/// Least milliseconds between two notes of each level: they reach back for 4 seconds, a minute, 17 minutes, 4 hours and 3 days at least.
const STEPS: [i64; 5] = [1, 16, 256, 4_096, 65_536];

/// When keys were given.
#[derive(Debug)]
pub(crate) struct Ages([VecDeque<(Key, i64)>; STEPS.len()]);

impl Default for Ages {
    fn default() -> Ages {
        Ages(std::array::from_fn(|_| VecDeque::with_capacity(NOTES)))
    }
}

impl Ages {
    /// A key is given to something at that time of the partition.
    pub fn note(&mut self, key: Key, time: i64) {
        for (notes, step) in self.0.iter_mut().zip(STEPS) {
            // Where one level has a note already, the next ones have one of the same time or need none either.
            if notes
                .back()
                .is_some_and(|(last_key, last)| key <= *last_key || time < last + step)
            {
                return;
            }
            if notes.len() == NOTES {
                notes.pop_front();
            }
            notes.push_back((key, time));
        }
    }

    /// How old what has that key is, if it was given it not too long ago.
    pub fn of(&self, key: Key, now: i64) -> Option<Duration> {
        let reaches = |notes: &&VecDeque<(Key, i64)>| {
            let first = notes.front();
            first.is_some_and(|(first, _)| *first <= key)
        };
        let notes = self.0.iter().find(reaches)?;
        let after = notes.partition_point(|(noted, _)| *noted <= key);
        let (_, time) = notes.get(after - 1)?;
        Some(Duration::from_millis(now.abs_diff(*time)))
    }

    /// Keys may be given again, or were given by another leader.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(VecDeque::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(age: Option<Duration>) -> Option<i64> {
        age.map(|age| age.as_millis() as i64)
    }

    #[test]
    fn what_is_young_is_exactly_as_old_as_it_is() {
        let mut ages = Ages::default();
        for time in 0..1_000 {
            // Several keys in one millisecond.
            for number in 0..3 {
                ages.note(Key(time * 10 + number), time);
            }
        }
        for time in [0, 1, 500, 999] {
            for number in [0, 2, 9] {
                let age = ages.of(Key(time * 10 + number), 1_000);
                assert_eq!(millis(age), Some(1_000 - time));
            }
        }
        assert_eq!(ages.of(Key(-1), 1_000), None);
    }

    #[test]
    fn what_is_old_is_nearly_as_old_as_it_is_until_it_is_too_old() {
        let mut ages = Ages::default();
        let end = 12 * 3_600_000;
        for time in 0..end {
            ages.note(Key(time), time);
        }
        for age in [1, 4_000, 60_000, 1_000_000, 16_000_000, 43_000_000] {
            let found = millis(ages.of(Key(end - age), end)).expect("it is known");
            assert!((age..=age + age / 200).contains(&found), "{age}: {found}");
        }
        let capacity: usize = ages.0.iter().map(VecDeque::capacity).sum();
        assert_eq!(capacity, STEPS.len() * NOTES);
    }

    #[test]
    fn what_was_given_before_forgetting_is_not_known() {
        let mut ages = Ages::default();
        ages.note(Key(7), 100);
        assert_eq!(millis(ages.of(Key(8), 130)), Some(30));
        ages.forget();
        assert_eq!(ages.of(Key(8), 130), None);
        ages.note(Key(9), 140);
        assert_eq!(ages.of(Key(8), 150), None);
        assert_eq!(millis(ages.of(Key(9), 150)), Some(10));
    }
}

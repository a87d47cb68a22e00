//! Numbers for the types of jobs that metrics tell apart. There may be any number of types: the first have a number of their own, all
//! others share one.
//!
//! **Invariant**: a type that has a number keeps it; finding it allocates nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Types that are told apart: each costs a metric some samples.
const TYPES_MAX: usize = 32;

/// Numbers of types, that of all others included.
pub const JOB_TYPES: usize = TYPES_MAX + 1;

/// Longest name that is told apart, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// The names behind the numbers that have been given. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct JobTypeNames(Arc<Mutex<Vec<Arc<str>>>>);

impl JobTypeNames {
    /// All, in order of their numbers; that of all others is not among them.
    pub fn all(&self) -> Vec<Arc<str>> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.clone()
    }
}

/// The numbers, as the replica gives them.
#[derive(Debug, Default)]
pub(crate) struct JobTypes {
    numbers: HashMap<Arc<str>, usize>,
    names: JobTypeNames,
}

impl JobTypes {
    /// The number of a type.
    pub fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.numbers.len();
        if number == TYPES_MAX || name.len() > NAME_BYTES_MAX {
            return TYPES_MAX;
        }
        let name = Arc::<str>::from(name);
        let names = &self.names.0;
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    /// The names, for whoever shows them.
    pub fn names(&self) -> JobTypeNames {
        self.names.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_types_have_numbers_of_their_own_and_the_others_share_one() {
        let mut types = JobTypes::default();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(types.number(&long), TYPES_MAX);
        for number in 0..TYPES_MAX {
            assert_eq!(types.number(&format!("type {number}")), number);
        }
        assert_eq!(types.number("another"), TYPES_MAX);
        assert_eq!(types.number("type 7"), 7);
        let names = types.names().all();
        assert_eq!((names.len(), &*names[7]), (TYPES_MAX, "type 7"));
    }
}

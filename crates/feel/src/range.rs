//! Ranges as values. Ends are plain comparable values (numbers, strings, temporal values) or open.

use std::cmp::Ordering;

use crate::eval::order;
use crate::value::Value;

/// One end of a range.
#[derive(Clone, Debug)]
pub struct End {
    /// Null where the range is unbounded.
    pub value: Value,
    pub included: bool,
}

/// A range of values.
#[derive(Clone, Debug)]
pub struct Range {
    pub start: End,
    pub end: End,
}

impl Range {
    /// Whether the ends are of one ordered type, in order.
    pub(crate) fn is_valid(&self) -> bool {
        match (&self.start.value, &self.end.value) {
            (Value::Null, Value::Null) => false,
            (Value::Null, end) => order(end, end).is_some(),
            (start, Value::Null) => order(start, start).is_some(),
            (start, end) => order(start, end).is_some_and(|order| order != Ordering::Greater),
        }
    }
}

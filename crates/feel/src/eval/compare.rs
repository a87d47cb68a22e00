//! Equality and order of values.

use std::cmp::Ordering;

use super::{Evaluated, Evaluator};
use crate::ast::Comparison;
use crate::error::WarningKind;
use crate::range::Range;
use crate::temporal::{DateTime, Time};
use crate::value::Value;

/// Whether two values are equal; `None` if they are of types that can't be compared. Recurses as deep as values nest,
/// which is bounded.
pub(crate) fn equal(left: &Value, right: &Value) -> Option<bool> {
    Some(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Boolean(a), Value::Boolean(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            let (a, b) = (a.items(), b.items());
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b) == Some(true))
        }
        (Value::Context(a), Value::Context(b)) => {
            a.len() == b.len()
                && a.entries().iter().all(|(key, value)| {
                    b.get(key)
                        .is_some_and(|other| equal(value, other) == Some(true))
                })
        }
        (Value::Time(a), Value::Time(b)) => time_instant(a) == time_instant(b),
        (Value::DateTime(a), Value::DateTime(b)) => match order_date_times(a, b) {
            Some(order) => order == Ordering::Equal,
            None => false,
        },
        (Value::Range(a), Value::Range(b)) => ranges_equal(a, b),
        (Value::Function(a), Value::Function(b)) => std::sync::Arc::ptr_eq(a, b),
        // Of durations of different kinds only the empty ones are equal.
        (Value::DaysTimeDuration(a), Value::YearsMonthsDuration(b))
        | (Value::YearsMonthsDuration(b), Value::DaysTimeDuration(a)) => {
            return (a.total_nanos() == 0 && b.months() == 0).then_some(true);
        }
        _ => return order(left, right).map(|order| order == Ordering::Equal),
    })
}

/// Which value comes first; `None` if they have no order.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => {
            let (a, b) = (time_instant(a), time_instant(b));
            (a.1 == b.1).then(|| a.0.cmp(&b.0))
        }
        (Value::DateTime(a), Value::DateTime(b)) => order_date_times(a, b),
        (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => Some(a.cmp(b)),
        (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Nanoseconds since midnight in UTC, and whether the time has a zone at all.
fn time_instant(time: &Time) -> (i128, bool) {
    match time.offset_seconds() {
        Some(offset) => (
            time.nano_of_day() - i128::from(offset) * 1_000_000_000,
            true,
        ),
        None => (time.nano_of_day(), false),
    }
}

/// A local date-time has no place on the time line, so it can't be compared with one that has.
fn order_date_times(a: &DateTime, b: &DateTime) -> Option<Ordering> {
    match (a.epoch_nanos(), b.epoch_nanos()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (None, None) => Some(a.local_nanos().cmp(&b.local_nanos())),
        _ => None,
    }
}

fn ranges_equal(a: &Range, b: &Range) -> bool {
    let ends = [(&a.start, &b.start), (&a.end, &b.end)];
    ends.iter()
        .all(|(a, b)| a.included == b.included && equal(&a.value, &b.value) == Some(true))
}

impl Evaluator<'_> {
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        left: &Value,
        right: &Value,
    ) -> Evaluated {
        if matches!(
            left,
            Value::String(_) | Value::List(_) | Value::Context(_) | Value::Range(_)
        ) {
            self.charge(left.bytes() / 16)?;
        }
        let result = match comparison {
            Comparison::Equal | Comparison::NotEqual => {
                equal(left, right).map(|equal| equal == (comparison == Comparison::Equal))
            }
            _ => order(left, right).map(|order| match comparison {
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
                Comparison::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }),
        };
        Ok(match result {
            Some(result) => Value::Boolean(result),
            None => self.null(WarningKind::NotComparable, || {
                format!(
                    "can't compare a {} with a {}",
                    left.type_name(),
                    right.type_name()
                )
            }),
        })
    }
}

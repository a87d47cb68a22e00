//! `in` and unary tests.

use std::cmp::Ordering;

use super::{Evaluated, Evaluator, Frame, equal, order};
use crate::ast::{Node, NodeId, Test, Tests};
use crate::range::Range;
use crate::value::Value;

/// Whether a range contains a value; `None` if they can't be compared.
pub(crate) fn range_contains(range: &Range, value: &Value) -> Option<bool> {
    let after_start = match &range.start.value {
        Value::Null => true,
        start => match order(value, start)? {
            Ordering::Less => false,
            Ordering::Equal => range.start.included,
            Ordering::Greater => true,
        },
    };
    let before_end = match &range.end.value {
        Value::Null => true,
        end => match order(value, end)? {
            Ordering::Greater => false,
            Ordering::Equal => range.end.included,
            Ordering::Less => true,
        },
    };
    Some(after_start && before_end)
}

impl Evaluator<'_> {
    pub(super) fn membership(
        &mut self,
        frame: &Frame<'_>,
        value: NodeId,
        tests: &Tests,
    ) -> Evaluated {
        let value = self.eval(frame, value)?;
        self.locals.push(value.clone());
        let result = self.any_test(frame, &value, &tests.tests)?;
        self.locals.pop();
        Ok(match result {
            Some(result) => Value::Boolean(result != tests.negated),
            None => Value::Null,
        })
    }

    /// True if one test holds; otherwise unknown if one of them is.
    pub(super) fn any_test(
        &mut self,
        frame: &Frame<'_>,
        value: &Value,
        tests: &[Test],
    ) -> Evaluated<Option<bool>> {
        let mut result = Some(false);
        for test in tests {
            match self.test(frame, value, test)? {
                Some(true) => return Ok(Some(true)),
                Some(false) => {}
                None => result = None,
            }
        }
        Ok(result)
    }

    fn test(&mut self, frame: &Frame<'_>, value: &Value, test: &Test) -> Evaluated<Option<bool>> {
        match test {
            Test::Any => Ok(Some(true)),
            Test::Compare(comparison, node) => {
                let other = self.operand(frame, *node)?;
                Ok(self.compare(*comparison, value, &other)?.as_bool())
            }
            Test::Expression { node, reads_input } => {
                let candidate = self.operand(frame, *node)?;
                if *reads_input && matches!(*candidate, Value::Boolean(_) | Value::Null) {
                    return Ok(candidate.as_bool());
                }
                if candidate.is_null() && matches!(frame.program.node(*node), Node::Range { .. }) {
                    return Ok(None);
                }
                self.charge(candidate.bytes() / 8)?;
                Ok(matches_candidate(value, &candidate))
            }
        }
    }
}

/// Whether a tested value is, or is in, what a test evaluated to.
fn matches_candidate(value: &Value, candidate: &Value) -> Option<bool> {
    match candidate {
        Value::Range(range) => match value {
            Value::Range(_) => equal(value, candidate),
            Value::Null => None,
            _ => range_contains(range, value),
        },
        Value::List(list) => {
            if matches!(value, Value::List(_)) && equal(value, candidate) == Some(true) {
                return Some(true);
            }
            let found = list.items().iter().any(|item| match item {
                Value::Range(range) if !matches!(value, Value::Range(_)) => {
                    range_contains(range, value) == Some(true)
                }
                // A list in the list counts as a whole, or for what it holds.
                Value::List(inner) if !matches!(value, Value::List(_)) => inner
                    .items()
                    .iter()
                    .any(|item| equal(value, item) == Some(true)),
                item => equal(value, item) == Some(true),
            });
            Some(found)
        }
        Value::Boolean(true) if !matches!(value, Value::Boolean(_)) => Some(true),
        Value::Boolean(false) if !matches!(value, Value::Boolean(_)) => Some(false),
        candidate => equal(value, candidate),
    }
}

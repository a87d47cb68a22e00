//! `sort`, with a function that says what comes first.

use super::{Answer, Args, Builtin, Refusal, function, optional};
use crate::eval::{Evaluator, Stop, order};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[function(
    "sort",
    &[optional(&["list", "precedes"], 1, sort)],
)];

/// Stable. Without a function, by the natural order of the items.
fn sort(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let list = args.list(0)?;
    evaluator.charge_elements(list.len())?;
    if args.all().len() < 2 {
        return natural(evaluator, list.to_vec());
    }
    let precedes = args.function(1)?;
    // Merge sort by hand: the comparison may fail, and a contradictory one must not matter.
    let mut runs: Vec<Vec<Value>> = list.iter().map(|item| vec![item.clone()]).collect();
    while runs.len() > 1 {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
        let mut pairs = runs.into_iter();
        while let Some(first) = pairs.next() {
            merged.push(match pairs.next() {
                Some(second) => merge(first, second, |a, b| {
                    let arguments = vec![a.clone(), b.clone()];
                    Ok(evaluator.invoke(precedes, arguments)?.as_bool() == Some(true))
                })?,
                None => first,
            });
        }
        runs = merged;
    }
    Ok(Value::list(runs.pop().unwrap_or_default())?)
}

fn natural(evaluator: &mut Evaluator<'_>, mut items: Vec<Value>) -> Answer {
    let comparable = items
        .windows(2)
        .all(|pair| order(&pair[0], &pair[1]).is_some());
    if !comparable {
        return Err(Refusal::Null("the items have no order".to_owned()));
    }
    let depth = u64::from(items.len().checked_ilog2().unwrap_or(0));
    let walk = items.iter().map(|item| 1 + item.bytes() / 64).sum::<u64>();
    evaluator.charge(walk.saturating_mul(depth))?;
    items.sort_by(|a, b| order(a, b).unwrap_or(std::cmp::Ordering::Equal));
    Ok(Value::list(items)?)
}

/// Takes from `second` only what precedes the head of `first`.
fn merge(
    first: Vec<Value>,
    second: Vec<Value>,
    mut precedes: impl FnMut(&Value, &Value) -> Result<bool, Stop>,
) -> Result<Vec<Value>, Stop> {
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let mut first = first.into_iter().peekable();
    let mut second = second.into_iter().peekable();
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let next = if precedes(b, a)? {
            second.next()
        } else {
            first.next()
        };
        merged.extend(next);
    }
    merged.extend(first);
    merged.extend(second);
    Ok(merged)
}

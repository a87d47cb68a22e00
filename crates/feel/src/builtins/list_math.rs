//! Functions that make one value of a list: sums, averages, extremes, conjunctions.

use std::cmp::Ordering;

use super::numeric::out_of_range;
use super::{Answer, Args, Builtin, Refusal, Signature, function, variadic};
use crate::eval::{Evaluator, order};
use crate::number::Number;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function("min", &[over_list(min)]),
    function("max", &[over_list(max)]),
    function("sum", &[over_list(sum)]),
    function("product", &[over_list(product)]),
    function("mean", &[over_list(mean)]),
    function("median", &[over_list(median)]),
    function("stddev", &[over_list(stddev)]),
    function("mode", &[over_list(mode)]),
    function("all", &[over_list(all)]),
    function("any", &[over_list(any)]),
];

/// Takes a list, or its items as arguments.
const fn over_list(run: super::Run) -> Signature {
    variadic(&["list"], run)
}

fn items<'a>(evaluator: &mut Evaluator<'_>, args: &Args<'a>) -> Answer<&'a [Value]> {
    let items = args.items(0)?;
    evaluator.charge(items.len() as u64)?;
    Ok(items)
}

fn numbers(evaluator: &mut Evaluator<'_>, args: &Args<'_>) -> Answer<Vec<Number>> {
    let numbers: Option<Vec<Number>> = items(evaluator, args)?
        .iter()
        .map(Value::as_number)
        .collect();
    numbers.ok_or_else(|| Refusal::Null("expected a LIST of NUMBER".to_owned()))
}

/// Like [`numbers`], with null for an empty list.
fn some_numbers(evaluator: &mut Evaluator<'_>, args: &Args<'_>) -> Answer<Vec<Number>> {
    let numbers = numbers(evaluator, args)?;
    if numbers.is_empty() {
        Err(Refusal::Silent)
    } else {
        Ok(numbers)
    }
}

fn extreme(evaluator: &mut Evaluator<'_>, args: Args<'_>, wanted: Ordering) -> Answer {
    let items = items(evaluator, &args)?;
    evaluator.charge(items.iter().map(|item| item.bytes() / 64).sum())?;
    let (first, rest) = items.split_first().ok_or(Refusal::Silent)?;
    let mut best = first;
    // A list of one item is looked at too: only what has an order has a least one.
    for item in std::iter::once(first).chain(rest) {
        let order = order(item, best)
            .ok_or_else(|| Refusal::Null("the items can't be compared".to_owned()))?;
        if order == wanted {
            best = item;
        }
    }
    Ok(best.clone())
}

fn min(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    extreme(evaluator, args, Ordering::Less)
}

fn max(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    extreme(evaluator, args, Ordering::Greater)
}

fn fold(
    numbers: &[Number],
    start: Number,
    combine: fn(Number, Number) -> Option<Number>,
) -> Answer<Number> {
    let result = numbers
        .iter()
        .try_fold(start, |sum, number| combine(sum, *number));
    result.ok_or_else(out_of_range)
}

fn total(numbers: &[Number]) -> Answer<Number> {
    fold(numbers, Number::ZERO, Number::checked_add)
}

/// Durations can be summed too, which DMN does not ask for but Camunda does.
fn sum(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let items = items(evaluator, &args)?;
    match items.first() {
        None => Err(Refusal::Silent),
        Some(Value::DaysTimeDuration(_)) => {
            let sum =
                items
                    .iter()
                    .try_fold(crate::DaysTimeDuration::ZERO, |sum, item| match item {
                        Value::DaysTimeDuration(duration) => sum.checked_add(*duration),
                        _ => None,
                    });
            sum.map(Value::DaysTimeDuration).ok_or_else(out_of_range)
        }
        Some(Value::YearsMonthsDuration(_)) => {
            let zero = crate::YearsMonthsDuration::from_months(0);
            let sum = items.iter().try_fold(zero, |sum, item| match item {
                Value::YearsMonthsDuration(duration) => sum.checked_add(*duration),
                _ => None,
            });
            sum.map(Value::YearsMonthsDuration).ok_or_else(out_of_range)
        }
        Some(_) => Ok(Value::Number(total(&numbers(evaluator, &args)?)?)),
    }
}

fn product(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let numbers = some_numbers(evaluator, &args)?;
    fold(&numbers, Number::ONE, Number::checked_mul).map(Value::Number)
}

fn average(numbers: &[Number]) -> Answer<Number> {
    total(numbers)?
        .checked_div(Number::from(numbers.len()))
        .ok_or_else(out_of_range)
}

fn mean(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let numbers = some_numbers(evaluator, &args)?;
    average(&numbers).map(Value::Number)
}

fn median(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut numbers = some_numbers(evaluator, &args)?;
    numbers.sort_unstable();
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 {
        return Ok(Value::Number(numbers[middle]));
    }
    average(&numbers[middle - 1..=middle]).map(Value::Number)
}

/// Of a sample: the squares are divided by one less than their number.
fn stddev(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let numbers = numbers(evaluator, &args)?;
    if numbers.len() < 2 {
        return Err(Refusal::Null(
            "a deviation takes at least two numbers".to_owned(),
        ));
    }
    let mean = average(&numbers)?;
    let squares: Option<Vec<Number>> = numbers
        .iter()
        .map(|number| {
            let distance = number.checked_sub(mean)?;
            distance.checked_mul(distance)
        })
        .collect();
    let sum = total(&squares.ok_or_else(out_of_range)?)?;
    let variance = sum.checked_div(Number::from(numbers.len() - 1));
    let deviation = variance.and_then(Number::square_root);
    deviation.map(Value::Number).ok_or_else(out_of_range)
}

/// The most frequent numbers, in ascending order.
fn mode(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut numbers = numbers(evaluator, &args)?;
    numbers.sort_unstable();
    let most = numbers
        .chunk_by(|a, b| a == b)
        .map(<[Number]>::len)
        .max()
        .unwrap_or(0);
    let modes = numbers
        .chunk_by(|a, b| a == b)
        .filter(|run| run.len() == most)
        .filter_map(|run| run.first().copied().map(Value::Number))
        .collect();
    Ok(evaluator.list(modes)?)
}

fn decided(evaluator: &mut Evaluator<'_>, args: Args<'_>, deciding: bool) -> Answer {
    let mut unknown = false;
    for item in items(evaluator, &args)? {
        match item {
            Value::Boolean(value) if *value == deciding => return Ok(Value::Boolean(deciding)),
            Value::Boolean(_) => {}
            _ => unknown = true,
        }
    }
    if unknown {
        Err(Refusal::Silent)
    } else {
        Ok(Value::Boolean(!deciding))
    }
}

fn all(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    decided(evaluator, args, false)
}

fn any(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    decided(evaluator, args, true)
}

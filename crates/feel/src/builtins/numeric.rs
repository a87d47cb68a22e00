//! Functions of numbers.

use super::{Answer, Args, Builtin, Refusal, fixed, function, optional};
use crate::eval::Evaluator;
use crate::limits::{STEPS_OF_A_PRODUCT_SERIES, STEPS_OF_A_SERIES};
use crate::number::{Number, Rounding};
use crate::temporal::{DaysTimeDuration, YearsMonthsDuration};
use crate::value::Value;

/// The scales that decimal128 has.
const SCALE_MIN: i64 = -6111;
const SCALE_MAX: i64 = 6176;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function("decimal", &[fixed(&["n", "scale"], decimal)]),
    function("floor", &[optional(&["n", "scale"], 1, floor)]),
    function("ceiling", &[optional(&["n", "scale"], 1, ceiling)]),
    function("round up", &[fixed(&["n", "scale"], round_up)]),
    function("round down", &[fixed(&["n", "scale"], round_down)]),
    function("round half up", &[fixed(&["n", "scale"], round_half_up)]),
    function(
        "round half down",
        &[fixed(&["n", "scale"], round_half_down)],
    ),
    function("abs", &[fixed(&["n"], abs), fixed(&["number"], abs)]),
    function("modulo", &[fixed(&["dividend", "divisor"], modulo)]),
    function("sqrt", &[fixed(&["number"], sqrt)]),
    function("log", &[fixed(&["number"], log)]),
    function("exp", &[fixed(&["number"], exp)]),
    function("odd", &[fixed(&["number"], odd)]),
    function("even", &[fixed(&["number"], even)]),
    function("random number", &[fixed(&[], random_number)]),
];

pub(super) fn out_of_range() -> Refusal {
    Refusal::Null("the result is no number".to_owned())
}

fn round(args: Args<'_>, rounding: Rounding) -> Answer {
    let number = args.number(0)?;
    let scale = if args.all().len() < 2 {
        0
    } else {
        args.integer(1)?
    };
    if !(SCALE_MIN..=SCALE_MAX).contains(&scale) {
        return Err(Refusal::Null(format!(
            "scale {scale} is not in {SCALE_MIN}..{SCALE_MAX}"
        )));
    }
    let rounded = number
        .round(scale as i32, rounding)
        .ok_or_else(out_of_range)?;
    Ok(Value::Number(rounded.normalized()))
}

fn decimal(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::HalfEven)
}

fn floor(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::Floor)
}

fn ceiling(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::Ceiling)
}

fn round_up(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::Up)
}

fn round_down(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::Down)
}

fn round_half_up(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::HalfUp)
}

fn round_half_down(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    round(args, Rounding::HalfDown)
}

fn abs(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(match args.value(0) {
        Value::DaysTimeDuration(duration) if *duration < DaysTimeDuration::ZERO => duration
            .negate()
            .map_or(Value::Null, Value::DaysTimeDuration),
        Value::YearsMonthsDuration(duration) if duration.months() < 0 => duration
            .negate()
            .map_or(Value::Null, |negated: YearsMonthsDuration| {
                Value::YearsMonthsDuration(negated)
            }),
        duration @ (Value::DaysTimeDuration(_) | Value::YearsMonthsDuration(_)) => duration.clone(),
        _ => Value::Number(args.number(0)?.abs()),
    })
}

fn modulo(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let result = args.number(0)?.modulo(args.number(1)?);
    result.map(Value::Number).ok_or_else(out_of_range)
}

fn sqrt(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    evaluator.charge(STEPS_OF_A_PRODUCT_SERIES)?;
    args.number(0)?
        .square_root()
        .map(Value::Number)
        .ok_or_else(out_of_range)
}

fn log(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    evaluator.charge(STEPS_OF_A_SERIES)?;
    args.number(0)?
        .logarithm()
        .map(Value::Number)
        .ok_or_else(out_of_range)
}

fn exp(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    evaluator.charge(STEPS_OF_A_SERIES)?;
    args.number(0)?
        .exponential()
        .map(Value::Number)
        .ok_or_else(out_of_range)
}

fn is_odd(args: Args<'_>) -> Answer<Option<bool>> {
    let number = args.number(0)?;
    if !number.is_integer() {
        return Ok(None);
    }
    let rest = number.modulo(Number::from(2)).ok_or_else(out_of_range)?;
    Ok(Some(!rest.is_zero()))
}

fn odd(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Boolean(is_odd(args)? == Some(true)))
}

fn even(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Boolean(is_odd(args)? == Some(false)))
}

/// At least 0 and below 1, with 16 digits.
fn random_number(evaluator: &mut Evaluator<'_>, _: Args<'_>) -> Answer {
    const DIGITS: u64 = 10_000_000_000_000_000;
    let drawn = Number::from(evaluator.draw() % DIGITS);
    drawn
        .checked_div(Number::from(DIGITS))
        .map(Value::Number)
        .ok_or_else(out_of_range)
}

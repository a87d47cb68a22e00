//! `not`, `is defined`, `get or else`, `assert` and `is`.

use super::{Answer, Args, Builtin, Refusal, Signature, fixed, function, optional};
use crate::error::Failure;
use crate::eval::{Evaluator, Stop, equal};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function("not", &[fixed(&["negand"], not)]),
    function(
        "is defined",
        &[Signature {
            reads_names: true,
            ..fixed(&["value"], defined)
        }],
    ),
    function("get or else", &[fixed(&["value", "default"], get_or_else)]),
    function(
        "assert",
        &[optional(&["value", "condition", "cause"], 2, assert)],
    ),
    function("is", &[optional(&["value1", "value2"], 0, is)]),
];

fn not(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    if args.is_absent(0) {
        return Err(Refusal::Silent);
    }
    args.boolean(0).map(|value| Value::Boolean(!value))
}

/// Only reached through a function value; a call by name looks at the argument itself.
fn defined(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Boolean(!args.is_absent(0)))
}

fn get_or_else(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(args.value(if args.is_absent(0) { 1 } else { 0 }).clone())
}

fn assert(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    if args.value(1).as_bool() == Some(true) {
        return Ok(args.value(0).clone());
    }
    let message = match args.value(2).as_str() {
        Some(cause) => cause.to_owned(),
        None => "The condition is not fulfilled".to_owned(),
    };
    Err(Refusal::Stop(Stop::new(Failure::Assertion { message })))
}

/// Whether both are the same value of the same type, zone included.
fn is(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (a, b) = (args.value(0), args.value(1));
    evaluator.charge(a.bytes() / 8)?;
    Ok(Value::Boolean(match (a, b) {
        (Value::DateTime(a), Value::DateTime(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        _ => a.type_name() == b.type_name() && equal(a, b) == Some(true),
    }))
}

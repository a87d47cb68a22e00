//! Conversions between text, numbers and other values.

use std::fmt::Write;

use super::{Answer, Args, Builtin, Refusal, fixed, function, optional};
use crate::eval::Evaluator;
use crate::number::Number;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function("string", &[fixed(&["from"], string)]),
    function(
        "number",
        &[optional(
            &["from", "grouping separator", "decimal separator"],
            1,
            number,
        )],
    ),
    function("from json", &[fixed(&["value"], from_json)]),
    function("to json", &[fixed(&["value"], to_json)]),
];

fn string(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    match args.value(0) {
        Value::Null => Err(Refusal::Silent),
        text @ Value::String(_) => Ok(text.clone()),
        value => {
            evaluator.charge(value.bytes() / 4)?;
            let mut out = String::new();
            write_feel(value, &mut out, false);
            Ok(evaluator.text(out)?)
        }
    }
}

/// A value as FEEL shows it. Recurses as deep as values nest.
pub(crate) fn write_feel(value: &Value, out: &mut String, quoted: bool) {
    match value {
        Value::String(text) if !quoted => out.push_str(text),
        Value::String(text) => {
            out.push('"');
            out.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
            out.push('"');
        }
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.items().iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_feel(item, out, true);
            }
            out.push(']');
        }
        Value::Context(context) => {
            out.push('{');
            for (at, (key, item)) in context.entries().iter().enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                write_key(key, out);
                out.push_str(": ");
                write_feel(item, out, true);
            }
            out.push('}');
        }
        Value::Range(range) => {
            out.push(if range.start.included { '[' } else { '(' });
            write_end(&range.start.value, out);
            out.push_str("..");
            write_end(&range.end.value, out);
            out.push(if range.end.included { ']' } else { ')' });
        }
        plain => write_plain(plain, out),
    }
}

fn write_key(key: &str, out: &mut String) {
    let plain = key
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == ' ');
    if plain && !key.is_empty() {
        out.push_str(key);
    } else {
        write_feel(&Value::from(key), out, true);
    }
}

fn write_end(value: &Value, out: &mut String) {
    if !value.is_null() {
        write_feel(value, out, true);
    }
}

fn write_plain(value: &Value, out: &mut String) {
    let written = match value {
        Value::Boolean(value) => write!(out, "{value}"),
        Value::Number(value) => write!(out, "{value}"),
        Value::Date(value) => write!(out, "{value}"),
        Value::Time(value) => write!(out, "{value}"),
        Value::DateTime(value) => write!(out, "{value}"),
        Value::DaysTimeDuration(value) => write!(out, "{value}"),
        Value::YearsMonthsDuration(value) => write!(out, "{value}"),
        Value::Function(value) => write!(out, "{value:?}"),
        _ => write!(out, "null"),
    };
    written.expect("writing to a String can't fail");
}

fn number(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let grouping = args.text_or(1, "")?;
    let decimal = args.text_or(2, ".")?;
    if !matches!(&*grouping, "" | " " | "," | ".") || !matches!(&*decimal, "." | ",") {
        return Err(Refusal::Null(
            "a separator is neither space, comma nor point".to_owned(),
        ));
    }
    if grouping == decimal {
        return Err(Refusal::Null("the separators must differ".to_owned()));
    }
    if let Value::Number(number) = args.value(0) {
        return Ok(Value::Number(*number));
    }
    let text = args.text(0)?;
    evaluator.charge_bytes(text.len())?;
    let mut plain = text.to_owned();
    if !grouping.is_empty() {
        plain = plain.replace(&*grouping, "");
    }
    if decimal == "," {
        if plain.contains('.') {
            return Err(not_a_number(text));
        }
        plain = plain.replace(',', ".");
    }
    let number: Number = plain.parse().map_err(|_| not_a_number(text))?;
    Ok(Value::Number(number))
}

fn not_a_number(text: &str) -> Refusal {
    let shown: String = text.chars().take(40).collect();
    Refusal::Null(format!("can't read '{shown}' as a number"))
}

fn from_json(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge(text.len() as u64)?;
    Value::from_json(text).map_err(|error| Refusal::Null(error.to_string()))
}

fn to_json(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    evaluator.charge(args.value(0).bytes() / 4)?;
    Ok(evaluator.text(args.value(0).to_json())?)
}

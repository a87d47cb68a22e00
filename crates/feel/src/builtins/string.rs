//! Functions of strings. Positions count characters from 1, as FEEL has it.

use super::{Answer, Args, Builtin, Refusal, fixed, function, optional};
use crate::eval::Evaluator;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function(
        "substring",
        &[optional(
            &["string", "start position", "length"],
            2,
            substring,
        )],
    ),
    function("string length", &[fixed(&["string"], string_length)]),
    function("upper case", &[fixed(&["string"], upper_case)]),
    function("lower case", &[fixed(&["string"], lower_case)]),
    function(
        "substring before",
        &[fixed(&["string", "match"], substring_before)],
    ),
    function(
        "substring after",
        &[fixed(&["string", "match"], substring_after)],
    ),
    function("contains", &[fixed(&["string", "match"], contains)]),
    function("starts with", &[fixed(&["string", "match"], starts_with)]),
    function("ends with", &[fixed(&["string", "match"], ends_with)]),
    function("trim", &[fixed(&["string"], trim)]),
    function("is blank", &[fixed(&["string"], is_blank)]),
    function("is empty", &[fixed(&["list"], is_empty)]),
    function("uuid", &[fixed(&[], uuid)]),
    function("to base64", &[fixed(&["value"], to_base64)]),
    function(
        "string join",
        &[
            optional(&["list", "delimiter"], 1, string_join),
            fixed(&["list", "delimiter", "prefix", "suffix"], string_join),
        ],
    ),
];

fn substring(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    let start = args.integer(1)?;
    evaluator.charge_bytes(text.len())?;
    let count = text.chars().count() as i64;
    let skip = match start {
        0 => return Err(Refusal::Null("positions count from 1".to_owned())),
        1.. => start - 1,
        _ => (count + start).max(0),
    };
    let take = if args.all().len() < 3 {
        count
    } else {
        args.integer(2)?
    };
    if take < 0 {
        return Err(Refusal::Null("a length can't be negative".to_owned()));
    }
    let part = text
        .chars()
        .skip(to_size(skip))
        .take(to_size(take))
        .collect();
    Ok(evaluator.text(part)?)
}

fn to_size(count: i64) -> usize {
    usize::try_from(count).unwrap_or(0)
}

fn string_length(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge_bytes(text.len())?;
    Ok(Value::from(text.chars().count() as i64))
}

fn upper_case(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge_bytes(text.len())?;
    Ok(evaluator.text(text.to_uppercase())?)
}

fn lower_case(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge_bytes(text.len())?;
    Ok(evaluator.text(text.to_lowercase())?)
}

/// Both texts, paid for.
fn pair<'a>(evaluator: &mut Evaluator<'_>, args: &Args<'a>) -> Answer<(&'a str, &'a str)> {
    let (text, sought) = (args.text(0)?, args.text(1)?);
    evaluator.charge_bytes(text.len())?;
    Ok((text, sought))
}

fn substring_before(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (text, sought) = pair(evaluator, &args)?;
    let found = text.split_once(sought).map_or("", |(before, _)| before);
    Ok(Value::from(found))
}

fn substring_after(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (text, sought) = pair(evaluator, &args)?;
    let found = text.split_once(sought).map_or("", |(_, after)| after);
    Ok(Value::from(found))
}

fn contains(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    pair(evaluator, &args).map(|(text, sought)| Value::Boolean(text.contains(sought)))
}

fn starts_with(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    pair(evaluator, &args).map(|(text, sought)| Value::Boolean(text.starts_with(sought)))
}

fn ends_with(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    pair(evaluator, &args).map(|(text, sought)| Value::Boolean(text.ends_with(sought)))
}

fn trim(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge_bytes(text.len())?;
    Ok(Value::from(text.trim()))
}

fn is_blank(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let text = args.text(0)?;
    evaluator.charge_bytes(text.len())?;
    Ok(Value::Boolean(text.trim().is_empty()))
}

fn is_empty(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Boolean(match args.value(0) {
        Value::String(text) => text.is_empty(),
        Value::Context(context) => context.is_empty(),
        _ => args.list(0)?.is_empty(),
    }))
}

/// A version 4 UUID from the seeded generator.
fn uuid(evaluator: &mut Evaluator<'_>, _: Args<'_>) -> Answer {
    let bits = u128::from(evaluator.draw()) << 64 | u128::from(evaluator.draw());
    let version = 4_u128 << 76;
    let variant = 0b10_u128 << 62;
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | version | variant;
    let hex = format!("{bits:032x}");
    let groups = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(Value::from(groups.join("-")))
}

fn to_base64(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = args.text(0)?.as_bytes();
    evaluator.charge_bytes(bytes.len() * 2)?;
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            // n bytes make n + 1 characters; the rest is padding.
            let index = (bits >> (18 - 6 * at) & 63) as usize;
            let padding = at as usize > group.len();
            encoded.push(if padding {
                '='
            } else {
                char::from(ALPHABET[index])
            });
        }
    }
    Ok(Value::from(encoded))
}

/// Null items are left out.
fn string_join(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let items = args.list(0)?;
    let delimiter = args.text_or(1, "")?;
    let mut joined = String::from(args.text_or(2, "")?);
    let mut first = true;
    for item in items {
        let text = match item {
            Value::Null => continue,
            Value::String(text) => text,
            other => {
                let found = other.type_name();
                return Err(Refusal::Null(format!(
                    "can join only STRING items, found a {found}"
                )));
            }
        };
        if !first {
            joined.push_str(&delimiter);
        }
        first = false;
        evaluator.charge_bytes(text.len() + delimiter.len() + 8)?;
        joined.push_str(text);
    }
    joined.push_str(&args.text_or(3, "")?);
    Ok(evaluator.text(joined)?)
}

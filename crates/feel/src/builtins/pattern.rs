//! Functions with regular expressions, in the syntax of XPath as far as it is regular: matching takes time linear in
//! the text, so back-references and look-around are refused.

use regex::{Captures, Regex, RegexBuilder};

use super::{Answer, Args, Builtin, Refusal, fixed, function, optional};
use crate::eval::Evaluator;
use crate::limits::{PATTERNS_MAX, REGEX_BYTES_MAX, STEPS_OF_A_PATTERN};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function(
        "matches",
        &[optional(&["input", "pattern", "flags"], 2, matches)],
    ),
    function(
        "replace",
        &[optional(
            &["input", "pattern", "replacement", "flags"],
            3,
            replace,
        )],
    ),
    function("split", &[fixed(&["string", "delimiter"], split)]),
    function("extract", &[fixed(&["string", "pattern"], extract)]),
];

/// A compiled pattern with the text that it was made of.
pub(crate) struct Pattern {
    source: Box<str>,
    flags: Box<str>,
    regex: Regex,
}

/// The compiled pattern, which is kept during the evaluation: in a loop it is mostly the same one.
fn pattern(evaluator: &mut Evaluator<'_>, source: &str, flags: &str) -> Answer<Regex> {
    let known = evaluator
        .patterns
        .iter()
        .find(|p| *p.source == *source && *p.flags == *flags);
    if let Some(known) = known {
        return Ok(known.regex.clone());
    }
    evaluator.charge(STEPS_OF_A_PATTERN)?;
    evaluator.charge(source.len() as u64)?;
    let regex = compile(source, flags)?;
    if evaluator.patterns.len() == PATTERNS_MAX {
        evaluator.patterns.remove(0);
    }
    let pattern = Pattern {
        source: source.into(),
        flags: flags.into(),
        regex: regex.clone(),
    };
    evaluator.patterns.push(pattern);
    Ok(regex)
}

fn compile(pattern: &str, flags: &str) -> Answer<Regex> {
    let mut literal = false;
    let mut blank = false;
    let mut settings = (false, false, false);
    for flag in flags.chars() {
        match flag {
            'i' => settings.0 = true,
            's' => settings.1 = true,
            'm' => settings.2 = true,
            'x' => blank = true,
            'q' => literal = true,
            other => return Err(Refusal::Null(format!("'{other}' is no flag of a pattern"))),
        }
    }
    let translated = if literal {
        regex::escape(pattern)
    } else {
        translate(pattern, blank)
    };
    RegexBuilder::new(&translated)
        .case_insensitive(settings.0)
        .dot_matches_new_line(settings.1)
        // XPath's dot matches neither line feed nor carriage return.
        .crlf(!settings.1)
        .multi_line(settings.2)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .nest_limit(50)
        .build()
        .map_err(|_| {
            let shown: String = pattern.chars().take(60).collect();
            Refusal::Null(format!("'{shown}' is no pattern that can be used"))
        })
}

/// XPath's syntax to that of the `regex` crate: `[a-z-[aeiou]]` subtracts, `\i` and `\c` are name characters, and white
/// space is left out with the flag `x`.
fn translate(pattern: &str, blank: bool) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = 0_u32;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars
                .by_ref()
                .find(|c| !(blank && in_class == 0 && c.is_whitespace()))
            {
                Some('p') if chars.peek() == Some(&'{') => {
                    let inside: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    out.push_str(&property(&inside, blank, in_class > 0));
                }
                Some('i') if in_class > 0 => out.push_str("\\p{L}_:"),
                Some('c') if in_class > 0 => out.push_str("\\p{L}\\p{N}_:.\\-"),
                Some('i') => out.push_str("[\\p{L}_:]"),
                Some('c') => out.push_str("[\\p{L}\\p{N}_:.\\-]"),
                Some('I') => out.push_str("[^\\p{L}_:]"),
                Some('C') => out.push_str("[^\\p{L}\\p{N}_:.\\-]"),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '[' => {
                in_class += 1;
                out.push('[');
            }
            ']' => {
                in_class = in_class.saturating_sub(1);
                out.push(']');
            }
            '-' if in_class > 0 && chars.peek() == Some(&'[') => out.push_str("--"),
            '&' | '~' if in_class > 0 => out.extend(['\\', c]),
            c if blank && in_class == 0 && c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// `\p{…}`: categories are the same in both syntaxes, of the blocks the usual ones are known.
fn property(name: &str, blank: bool, in_class: bool) -> String {
    let name: String = name
        .chars()
        .filter(|c| !(blank && c.is_whitespace()))
        .collect();
    let block = match name.as_str() {
        "IsBasicLatin" => "\\x{0}-\\x{7f}",
        "IsLatin-1Supplement" => "\\x{80}-\\x{ff}",
        "IsLatinExtended-A" => "\\x{100}-\\x{17f}",
        "IsLatinExtended-B" => "\\x{180}-\\x{24f}",
        "IsGreek" => "\\x{370}-\\x{3ff}",
        "IsCyrillic" => "\\x{400}-\\x{4ff}",
        "IsHebrew" => "\\x{590}-\\x{5ff}",
        "IsArabic" => "\\x{600}-\\x{6ff}",
        _ => return format!("\\p{{{name}}}"),
    };
    if in_class {
        block.to_owned()
    } else {
        format!("[{block}]")
    }
}

fn matches(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (text, pattern) = (args.text(0)?, args.text(1)?);
    let regex = self::pattern(evaluator, pattern, &args.text_or(2, "")?)?;
    evaluator.charge(text.len() as u64)?;
    Ok(Value::Boolean(regex.is_match(text)))
}

fn replace(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (text, pattern, replacement) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let flags = args.text_or(3, "")?;
    let regex = self::pattern(evaluator, pattern, &flags)?;
    evaluator.charge(text.len() as u64)?;
    let template = if flags.contains('q') {
        vec![Part::Text(replacement)]
    } else {
        parts(replacement)?
    };
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        let before = out.len();
        out.push_str(&text[end..whole.start()]);
        expand(&template, &captures, &mut out);
        evaluator.charge_bytes(out.len() - before + 64)?;
        end = whole.end();
    }
    out.push_str(&text[end..]);
    Ok(evaluator.text(out)?)
}

/// A piece of a replacement.
enum Part<'a> {
    Text(&'a str),
    /// All digits that follow a `$`; fewer count if there is no such group.
    Group(&'a str),
}

fn parts(replacement: &str) -> Answer<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        parts.push(Part::Text(&rest[..at]));
        let escape = rest.as_bytes()[at] == b'\\';
        rest = &rest[at + 1..];
        if escape {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            parts.push(Part::Text(&rest[..length]));
            rest = &rest[length..];
            continue;
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(Refusal::Null(
                "a '$' in a replacement needs a group's number".to_owned(),
            ));
        }
        parts.push(Part::Group(&rest[..digits]));
        rest = &rest[digits..];
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

fn expand(template: &[Part<'_>], captures: &Captures<'_>, out: &mut String) {
    for part in template {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Group(digits) => {
                let mut length = digits.len();
                let group = |length: usize| digits[..length].parse::<usize>().ok();
                while length > 1 && group(length).is_none_or(|group| group >= captures.len()) {
                    length -= 1;
                }
                if let Some(found) = group(length).and_then(|group| captures.get(group)) {
                    out.push_str(found.as_str());
                }
                out.push_str(&digits[length..]);
            }
        }
    }
}

fn split(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (text, delimiter) = (args.text(0)?, args.text(1)?);
    let regex = self::pattern(evaluator, delimiter, "")?;
    evaluator.charge(text.len() as u64)?;
    let mut parts = Vec::new();
    for part in regex.split(text) {
        evaluator.charge(4)?;
        parts.push(Value::from(part));
    }
    Ok(evaluator.list(parts)?)
}

fn extract(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (text, pattern) = (args.text(0)?, args.text(1)?);
    let regex = self::pattern(evaluator, pattern, "")?;
    evaluator.charge(text.len() as u64)?;
    let mut found = Vec::new();
    for part in regex.find_iter(text) {
        evaluator.charge(4)?;
        found.push(Value::from(part.as_str()));
    }
    Ok(evaluator.list(found)?)
}

//! JSON to values and back.
//!
//! Reading uses an explicit stack, with limits on size and depth; numbers keep their decimal value. Writing recurses
//! no deeper than a value nests. Temporal values are written as ISO strings; functions and ranges as
//! null, as Zeebe does for what MessagePack can't hold.

use std::fmt::Write;
use std::sync::Arc;

use crate::limits::{JSON_BYTES_MAX, VALUE_DEPTH_MAX};
use crate::number::Number;
use crate::value::{Value, ValueLimit};

/// A text that is not JSON, or more than the limits allow.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum JsonError {
    #[error("expected {expected} at byte {at} of the JSON text")]
    Syntax { expected: &'static str, at: usize },
    #[error("the JSON text has {bytes} bytes, more than the {JSON_BYTES_MAX} allowed")]
    TooLong { bytes: usize },
    #[error("the JSON text is nested deeper than {VALUE_DEPTH_MAX} levels at byte {at}")]
    TooDeep { at: usize },
    #[error("{limit}, at byte {at} of the JSON text")]
    Value { limit: ValueLimit, at: usize },
    #[error("the number at byte {at} of the JSON text is out of range")]
    NumberRange { at: usize },
}

impl Value {
    /// Reads one JSON value, with nothing but white space around it.
    pub fn from_json(text: &str) -> Result<Value, JsonError> {
        if text.len() > JSON_BYTES_MAX {
            return Err(JsonError::TooLong { bytes: text.len() });
        }
        Reader { text, at: 0 }.document()
    }

    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// Appends the value as JSON without white space.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Value::Null | Value::Function(_) | Value::Range(_) => out.push_str("null"),
            Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(value) => write_display(out, value),
            Value::String(value) => write_string(out, value),
            Value::List(list) => write_list(out, list.items()),
            Value::Context(context) => write_context(out, context.entries()),
            Value::Date(value) => write_quoted(out, value),
            Value::Time(value) => write_quoted(out, value),
            Value::DateTime(value) => write_quoted(out, value),
            Value::DaysTimeDuration(value) => write_quoted(out, value),
            Value::YearsMonthsDuration(value) => write_quoted(out, value),
        }
    }
}

fn write_list(out: &mut String, items: &[Value]) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        item.write_json(out);
    }
    out.push(']');
}

fn write_context(out: &mut String, entries: &[(Arc<str>, Value)]) {
    out.push('{');
    for (at, (key, value)) in entries.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

fn write_display(out: &mut String, value: &dyn std::fmt::Display) {
    write!(out, "{value}").expect("writing to a String can't fail");
}

/// For text without characters that JSON escapes.
fn write_quoted(out: &mut String, value: &dyn std::fmt::Display) {
    out.push('"');
    write_display(out, value);
    out.push('"');
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            _ => write!(out, "\\u{byte:04x}").expect("writing to a String can't fail"),
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// A list or object that is still open.
enum Open {
    List(Vec<Value>),
    Object {
        entries: Vec<(Arc<str>, Value)>,
        key: Arc<str>,
    },
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        'value: loop {
            let Some(mut value) = self.open_or_scalar(&mut open)? else {
                continue;
            };
            // Put the value where it belongs; a closed list or object is itself such a value.
            loop {
                let Some(top) = open.last_mut() else {
                    self.skip_space();
                    return if self.at == self.text.len() {
                        Ok(value)
                    } else {
                        Err(self.expected("the end"))
                    };
                };
                if self.add(top, value)? {
                    continue 'value;
                }
                value = self.close(open.pop())?;
            }
        }
    }

    /// Reads a scalar or an empty list or object; `None` when one was opened that has content.
    fn open_or_scalar(&mut self, open: &mut Vec<Open>) -> Result<Option<Value>, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'[') => {
                self.enter(open.len())?;
                if self.eat(b']') {
                    return self.close(Some(Open::List(Vec::new()))).map(Some);
                }
                open.push(Open::List(Vec::new()));
                Ok(None)
            }
            Some(b'{') => {
                self.enter(open.len())?;
                let entries = Vec::new();
                if self.eat(b'}') {
                    return self
                        .close(Some(Open::Object {
                            entries,
                            key: "".into(),
                        }))
                        .map(Some);
                }
                let key = self.key()?;
                open.push(Open::Object { entries, key });
                Ok(None)
            }
            _ => self.scalar().map(Some),
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth >= usize::from(VALUE_DEPTH_MAX) {
            return Err(JsonError::TooDeep { at: self.at });
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Adds a value to the innermost open thing; false when that is complete.
    fn add(&mut self, open: &mut Open, value: Value) -> Result<bool, JsonError> {
        self.skip_space();
        match open {
            Open::List(items) => {
                items.push(value);
                if self.eat(b',') {
                    return Ok(true);
                }
                if self.eat(b']') {
                    Ok(false)
                } else {
                    Err(self.expected("',' or ']'"))
                }
            }
            Open::Object { entries, key } => {
                entries.push((std::mem::replace(key, "".into()), value));
                if self.eat(b',') {
                    self.skip_space();
                    *key = self.key()?;
                    return Ok(true);
                }
                if self.eat(b'}') {
                    Ok(false)
                } else {
                    Err(self.expected("',' or '}'"))
                }
            }
        }
    }

    fn close(&self, open: Option<Open>) -> Result<Value, JsonError> {
        let value = match open {
            Some(Open::List(items)) => Value::list(items),
            Some(Open::Object { entries, .. }) => Value::context(entries),
            None => Ok(Value::Null),
        };
        value.map_err(|limit| JsonError::Value { limit, at: self.at })
    }

    fn key(&mut self) -> Result<Arc<str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string as key"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.eat(b':') {
            Ok(key)
        } else {
            Err(self.expected("':'"))
        }
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [
                    ("true", Value::Boolean(true)),
                    ("false", Value::Boolean(false)),
                    ("null", Value::Null),
                ] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.expected("a value"))
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let _ = self.eat(b'-');
        let whole = self.digits();
        let leading_zero = whole > 1 && self.text.as_bytes()[self.at - whole] == b'0';
        if whole == 0 || leading_zero {
            return Err(self.expected("a number"));
        }
        if self.eat(b'.') && self.digits() == 0 {
            return Err(self.expected("a digit"));
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        let number: Result<Number, _> = self.text[start..self.at].parse();
        number
            .map(Value::Number)
            .map_err(|_| JsonError::NumberRange { at: start })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<Arc<str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut unescaped: Option<String> = None;
        let mut plain_from = start;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let rest = &self.text[plain_from..self.at];
                    self.at += 1;
                    return Ok(match unescaped {
                        Some(mut text) => {
                            text.push_str(rest);
                            text.into()
                        }
                        None => rest.into(),
                    });
                }
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(&self.text[plain_from..self.at]);
                    self.at += 1;
                    let escaped = self.escape()?;
                    text.push(escaped);
                    plain_from = self.at;
                }
                Some(byte) if byte >= 0x20 => self.at += 1,
                _ => return Err(self.expected("the end of the string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let byte = self.peek().ok_or_else(|| self.expected("an escape"))?;
        let escaped = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// A lone half of a surrogate pair becomes the replacement character, since strings are Unicode text.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at..self.at + 4);
        let valid = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let value = valid.and_then(|text| u32::from_str_radix(text, 16).ok());
        let value = value.ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax {
            expected,
            at: self.at,
        }
    }
}

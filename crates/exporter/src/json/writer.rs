//! Writing JSON objects field by field, on one line.
//!
//! **Invariant**: what is written holds no line break, whatever the values are, so that a record is one line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The tenant of everything: there are no others.
const TENANT: &str = "<default>";

/// An object under construction.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Appends a whole object to `out`.
    pub fn write(out: &'a mut String, fields: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        let mut object = Object {
            out,
            is_empty: true,
        };
        fields(&mut object);
        object.out.push('}');
    }

    fn name(&mut self, name: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        put_text(self.name(name), value);
        self
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: impl Into<i64>) -> &mut Self {
        put_number(self.name(name), value.into());
        self
    }

    /// A key, a version, a time: something that is never 0 when it is there, and -1 when it is not.
    pub fn optional(&mut self, name: &str, value: impl Into<i64>) -> &mut Self {
        let value = value.into();
        self.number(name, if value == 0 { -1 } else { value })
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str, value: bool) -> &mut Self {
        self.name(name)
            .push_str(if value { "true" } else { "false" });
        self
    }

    /// A document, which is JSON already; an empty text stands for the empty one.
    pub fn document(&mut self, name: &str, json: &str) -> &mut Self {
        let out = self.name(name);
        match json {
            "" => out.push_str("{}"),
            json if has_line_break(json) => out.extend(json.chars().filter(|c| !is_line_break(*c))),
            json => out.push_str(json),
        }
        self
    }

    /// Bytes, in base64.
    pub fn bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        let out = self.name(name);
        out.push('"');
        STANDARD.encode_string(value, out);
        out.push('"');
        self
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &str, values: &[String]) -> &mut Self {
        self.list(name, values, |out, value| put_text(out, value))
    }

    /// A list of numbers.
    pub fn numbers(&mut self, name: &str, values: impl IntoIterator<Item = i64>) -> &mut Self {
        self.list(name, values, put_number)
    }

    /// A list of objects.
    pub fn objects<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        fields: impl Fn(&mut Object<'_>, T),
    ) -> &mut Self {
        self.list(name, values, |out, value| {
            Object::write(out, |object| fields(object, value));
        })
    }

    /// An object.
    pub fn object(&mut self, name: &str, fields: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        Object::write(self.name(name), fields);
        self
    }

    /// Whose it is.
    pub fn tenant(&mut self) -> &mut Self {
        self.text("tenantId", TENANT)
    }

    /// Whose is asked for.
    pub fn tenants(&mut self) -> &mut Self {
        self.list("tenantIds", [TENANT], put_text)
    }

    fn list<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        put: impl Fn(&mut String, T),
    ) -> &mut Self {
        let out = self.name(name);
        out.push('[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            put(out, value);
        }
        out.push(']');
        self
    }
}

/// Digits of the largest number, and its sign.
const NUMBER_BYTES_MAX: usize = 20;

/// Most of what is written is numbers: the standard formatting takes several times as long.
fn put_number(out: &mut String, value: i64) {
    let mut digits = [0u8; NUMBER_BYTES_MAX];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

fn put_text(out: &mut String, value: &str) {
    out.push('"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(must_escape) {
        // What must be escaped is ASCII, so this is the beginning of a character.
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        put_escaped(out, special.as_bytes()[0]);
        rest = &special[1..];
    }
    out.push_str(rest);
    out.push('"');
}

fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn put_escaped(out: &mut String, byte: u8) {
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        other => {
            use std::fmt::Write as _;
            write!(out, "\\u{other:04x}").expect("a String takes any text");
        }
    }
}

/// Within a JSON document they stand between tokens only: in a text they are escaped.
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn has_line_break(json: &str) -> bool {
    json.bytes().any(|byte| matches!(byte, b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = String::new();
        Object::write(&mut out, fields);
        out
    }

    #[test]
    fn every_character_comes_back_from_a_text_and_none_breaks_the_line() {
        let all: String = (0..0x3000).filter_map(char::from_u32).collect();
        let json = written(|object| {
            object.text("t", &all);
        });
        assert!(!json.contains(['\n', '\r']));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["t"], all);
    }

    #[test]
    fn every_number_is_written_as_it_is() {
        for number in [0, 7, -1, 10, 2_251_799_813_685_249, i64::MAX, i64::MIN] {
            let mut out = String::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string());
        }
    }

    #[test]
    fn a_document_keeps_its_content_and_loses_its_line_breaks() {
        let json = written(|object| {
            object
                .document("d", "{\n  \"a b\": [1,\r\n 2.50],\t\"c\": \"x\\ny\"\n}")
                .document("e", "");
        });
        assert_eq!(
            json,
            "{\"d\":{  \"a b\": [1, 2.50],\t\"c\": \"x\\ny\"},\"e\":{}}"
        );
    }

    #[test]
    fn lists_objects_and_bytes_are_json() {
        let json = written(|object| {
            object
                .numbers("n", [1, -2])
                .texts("t", &["a".to_owned(), String::new()])
                .objects("o", [7, 8], |object, value: i64| {
                    object.number("v", value);
                })
                .objects("none", [], |object, value: i64| {
                    object.number("v", value);
                })
                .bytes("b", b"contents")
                .optional("absent", 0)
                .boolean("yes", true)
                .object("in", |_| {});
        });
        assert_eq!(
            json,
            concat!(
                r#"{"n":[1,-2],"t":["a",""],"o":[{"v":7},{"v":8}],"none":[],"b":"Y29udGVudHM=","#,
                r#""absent":-1,"yes":true,"in":{}}"#
            )
        );
    }
}

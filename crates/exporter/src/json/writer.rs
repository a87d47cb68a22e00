//! Writing JSON objects field by field, on one line.
//!
//! **Invariant**: what is written holds no line break, whatever the values are, so that a record is one line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The tenant of everything: there are no others.
const TENANT: &str = "<default>";

/// An object under construction.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    /// Appends a whole object to `out`.
    pub fn write(out: &'a mut Vec<u8>, fields: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        let mut object = Object {
            out,
            is_empty: true,
        };
        fields(&mut object);
        object.out.push(b'}');
    }

    // Inlined, so that names are copied as constants: there are 30 in a record.
    #[inline(always)]
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        self.out.reserve(name.len() + 4);
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A text.
    #[inline(always)]
    pub fn text(&mut self, name: &'static str, value: &str) -> &mut Self {
        put_text(self.name(name), value);
        self
    }

    /// A number.
    #[inline(always)]
    pub fn number(&mut self, name: &'static str, value: impl Into<i64>) -> &mut Self {
        put_number(self.name(name), value.into());
        self
    }

    /// A key, a version, a time: something that is never 0 when it is there, and -1 when it is not.
    #[inline(always)]
    pub fn optional(&mut self, name: &'static str, value: impl Into<i64>) -> &mut Self {
        let value = value.into();
        self.number(name, if value == 0 { -1 } else { value })
    }

    /// True or false.
    #[inline(always)]
    pub fn boolean(&mut self, name: &'static str, value: bool) -> &mut Self {
        let word = if value { "true" } else { "false" };
        self.name(name).extend_from_slice(word.as_bytes());
        self
    }

    /// A document, which is JSON already; an empty text stands for the empty one.
    #[inline(always)]
    pub fn document(&mut self, name: &'static str, json: &str) -> &mut Self {
        let out = self.name(name);
        match json {
            "" => out.extend_from_slice(b"{}"),
            json if has_line_break(json) => {
                out.extend(json.bytes().filter(|byte| !is_line_break(*byte)));
            }
            json => out.extend_from_slice(json.as_bytes()),
        }
        self
    }

    /// Bytes, in base64.
    #[inline(always)]
    pub fn bytes(&mut self, name: &'static str, value: &[u8]) -> &mut Self {
        let out = self.name(name);
        out.push(b'"');
        out.extend_from_slice(STANDARD.encode(value).as_bytes());
        out.push(b'"');
        self
    }

    /// A list of texts.
    pub fn texts(&mut self, name: &'static str, values: &[String]) -> &mut Self {
        self.list(name, values, |out, value| put_text(out, value))
    }

    /// A list of numbers.
    pub fn numbers(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = i64>,
    ) -> &mut Self {
        self.list(name, values, put_number)
    }

    /// A list of objects.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        values: impl IntoIterator<Item = T>,
        fields: impl Fn(&mut Object<'_>, T),
    ) -> &mut Self {
        self.list(name, values, |out, value| {
            Object::write(out, |object| fields(object, value));
        })
    }

    /// An object.
    pub fn object(
        &mut self,
        name: &'static str,
        fields: impl FnOnce(&mut Object<'_>),
    ) -> &mut Self {
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
        name: &'static str,
        values: impl IntoIterator<Item = T>,
        put: impl Fn(&mut Vec<u8>, T),
    ) -> &mut Self {
        let out = self.name(name);
        out.push(b'[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put(out, value);
        }
        out.push(b']');
        self
    }
}

fn put_number(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn put_text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|byte| must_escape(*byte)) {
        out.extend_from_slice(&rest[..at]);
        put_escaped(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// All of them are ASCII, so they are no part of another character.
fn must_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn put_escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
    }
}

/// Within a JSON document they stand between tokens only: in a text they are escaped.
fn is_line_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn has_line_break(json: &str) -> bool {
    // Each of the two is searched for by whole words.
    json.as_bytes().contains(&b'\n') || json.as_bytes().contains(&b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        Object::write(&mut out, fields);
        String::from_utf8(out).unwrap()
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
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
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

//! JSON documents that clients send: variables.
//!
//! A document is checked completely, so that nobody behind the gateway meets text that is not JSON, nests too deep, or is not
//! an object. It is kept as sent: numbers keep their text, objects their order. Only a name that occurs twice at the top is
//! resolved (the last one wins), since each name there becomes a variable. No tree is built.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use skep_protocol::names::{self, NameTooLong};
use thiserror::Error;

use crate::limits::DOCUMENT_DEPTH_MAX;

/// Why a text is not a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DocumentError {
    /// The text is not JSON, or nests too deep.
    #[error(
        "Expected variables to be a JSON object, but they could not be read ({reason}). Invalid JSON value: {input}"
    )]
    Invalid {
        /// What is wrong and where.
        reason: String,
        /// The text.
        input: String,
    },
    /// The text is JSON of another kind.
    #[error(
        "Property 'variables' is invalid: Expected document to be a root level object, but was '{kind}'"
    )]
    NotAnObject {
        /// The kind.
        kind: &'static str,
    },
    /// A variable has a name that no key holds.
    #[error("{0}")]
    Name(#[from] NameTooLong),
}

/// Checks a document. Blank text, `null` and `{}` become the empty text, which is the empty document.
pub fn document(text: String) -> Result<String, DocumentError> {
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Ok(String::new());
    }
    match inspect(&text)? {
        Content::Empty => Ok(String::new()),
        Content::Distinct => Ok(text),
        Content::Repeated => resolve(&text),
    }
}

/// The text of a document for clients, which do not expect empty text.
pub fn or_empty_object(text: String) -> String {
    if text.is_empty() {
        "{}".to_owned()
    } else {
        text
    }
}

enum Content {
    Empty,
    Distinct,
    Repeated,
}

fn inspect(text: &str) -> Result<Content, DocumentError> {
    let invalid = |error: serde_json::Error| DocumentError::Invalid {
        reason: error.to_string(),
        input: text.to_owned(),
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let root = deserializer.deserialize_any(Root).map_err(invalid)?;
    deserializer.end().map_err(invalid)?;
    match root {
        Found::Other(kind) => Err(DocumentError::NotAnObject { kind }),
        Found::Null => Ok(Content::Empty),
        Found::Object(names) if names.is_empty() => Ok(Content::Empty),
        Found::Object(mut names) => {
            for name in &names {
                names::check("name of a variable", name)?;
            }
            names.sort_unstable();
            let repeated = names.windows(2).any(|pair| pair[0] == pair[1]);
            Ok(if repeated {
                Content::Repeated
            } else {
                Content::Distinct
            })
        }
    }
}

/// Writes an object again with each name once.
fn resolve(text: &str) -> Result<String, DocumentError> {
    let invalid = |error: serde_json::Error| DocumentError::Invalid {
        reason: error.to_string(),
        input: text.to_owned(),
    };
    let members: Members<'_> = serde_json::from_str(text).map_err(invalid)?;
    let mut last = std::collections::HashMap::with_capacity(members.0.len());
    for (at, (name, _)) in members.0.iter().enumerate() {
        last.insert(name.as_ref(), at);
    }
    let mut out = String::with_capacity(text.len());
    for (at, (name, value)) in members.0.iter().enumerate() {
        if last.get(name.as_ref()) == Some(&at) {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push_str(&serde_json::to_string(name).map_err(invalid)?);
            out.push(':');
            out.push_str(value.get());
        }
    }
    out.push('}');
    Ok(out)
}

/// What the root of a document is.
enum Found<'a> {
    Object(Vec<Cow<'a, str>>),
    Null,
    Other(&'static str),
}

/// A string that borrows from the text unless it has escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for Name<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// Checks the root and collects its names.
struct Root;

impl<'de> Visitor<'de> for Root {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut names = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            names.push(name);
            map.next_value_seed(Nested { depth: 1 })?;
        }
        Ok(Found::Object(names))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found<'de>, A::Error> {
        while seq.next_element_seed(Nested { depth: 1 })?.is_some() {}
        Ok(Found::Other("ARRAY"))
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(Found::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'de>, E> {
        Ok(Found::Other("BOOLEAN"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'de>, E> {
        Ok(Found::Other("INTEGER"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'de>, E> {
        Ok(Found::Other("INTEGER"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'de>, E> {
        Ok(Found::Other("FLOAT"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found<'de>, E> {
        Ok(Found::Other("STRING"))
    }
}

/// Checks a value within a document. Recurses as deep as the document nests, which is bounded.
struct Nested {
    depth: u32,
}

impl Nested {
    fn inner<E: de::Error>(&self) -> Result<Nested, E> {
        if self.depth >= DOCUMENT_DEPTH_MAX {
            return Err(E::custom(format!(
                "it nests deeper than {DOCUMENT_DEPTH_MAX} levels"
            )));
        }
        Ok(Nested {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Text)?.is_some() {
            map.next_value_seed(self.inner()?)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.inner()?)?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// Checks a string without keeping it.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(Nested { depth: 0 })
    }
}

/// An object's members in order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> de::Deserialize<'de> for Members<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) =
                    map.next_entry::<Name<'de>, &'de RawValue>()?
                {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, DocumentError> {
        document(text.to_owned())
    }

    #[test]
    fn blank_text_null_and_an_empty_object_are_the_empty_document() {
        for text in ["", "  ", "\n\t", "null", "{}", " { } "] {
            assert_eq!(check(text), Ok(String::new()), "{text:?}");
        }
    }

    #[test]
    fn a_document_is_kept_as_sent() {
        for text in [
            r#"{"a":1.50,"b":12345678901234567890123,"c":1e3,"d":-0}"#,
            r#" {"z" : [1, {"y": null}], "a": "\u00fc\n"} "#,
            r#"{"a":{"b":1,"b":2}}"#,
        ] {
            assert_eq!(check(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn the_last_of_equal_names_wins_and_keeps_its_text() {
        assert_eq!(
            check(r#"{"a":1,"b":2.0,"\u0061":3.10}"#).as_deref(),
            Ok(r#"{"b":2.0,"a":3.10}"#)
        );
    }

    #[test]
    fn text_that_is_not_json_is_named_in_the_error() {
        for text in [
            "x",
            "{",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "{} {}",
            r#"{"a":01}"#,
            r#"{"a":"\ud800"}"#,
            "{'a':1}",
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(
                error.contains(&format!("Invalid JSON value: {text}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_root_of_another_kind_is_named_in_the_error() {
        for (text, kind) in [
            ("[]", "ARRAY"),
            ("[1,[2]]", "ARRAY"),
            ("\"a\"", "STRING"),
            ("1", "INTEGER"),
            ("-1", "INTEGER"),
            ("1.5", "FLOAT"),
            ("true", "BOOLEAN"),
        ] {
            assert_eq!(check(text), Err(DocumentError::NotAnObject { kind }));
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let named = |bytes: usize| format!(r#"{{"{}":1}}"#, "x".repeat(bytes));
        assert!(check(&named(names::NAME_BYTES_MAX)).is_ok());
        let error = check(&named(names::NAME_BYTES_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("name of a variable"), "{error}");
        let nested = format!(r#"{{"a":{}}}"#, named(names::NAME_BYTES_MAX + 1));
        assert!(check(&nested).is_ok(), "only those that become variables");
    }

    #[test]
    fn depth_is_limited_however_it_is_made() {
        let nested =
            |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        let depth_max = DOCUMENT_DEPTH_MAX as usize;
        assert!(check(&nested(depth_max - 1)).is_ok());
        assert!(matches!(
            check(&nested(depth_max)),
            Err(DocumentError::Invalid { .. })
        ));
        assert!(matches!(
            check(&"[".repeat(1 << 20)),
            Err(DocumentError::Invalid { .. })
        ));
        assert!(matches!(
            check(&"{\"a\":".repeat(1 << 18)),
            Err(DocumentError::Invalid { .. })
        ));
    }
}

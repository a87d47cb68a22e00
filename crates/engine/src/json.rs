//! Documents as raw JSON text: taken apart at the top level only, put together without a tree.

use std::fmt;

use rustc_hash::FxHashMap;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use skep_protocol::{Rejection, names};

use crate::limits;

/// The entries of a document, in order: name and JSON text without white space. Of two entries with one name the later wins.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// The entries.
    pub entries: Vec<(String, String)>,
}

impl Document {
    /// Takes a document apart. An empty text is the empty document.
    pub fn parse(text: &str) -> Result<Document, String> {
        if text.is_empty() || text == "{}" {
            return Ok(Document::default());
        }
        let raw: RawEntries<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut entries: Vec<(String, String)> = Vec::with_capacity(raw.0.len());
        // Only asked by name, never gone through, so that its order does not matter.
        let mut places: FxHashMap<String, usize> = FxHashMap::default();
        for (name, value) in raw.0 {
            let value = compact(value.get());
            match places.get(&name) {
                Some(place) => entries[*place].1 = value,
                None => {
                    places.insert(name.clone(), entries.len());
                    entries.push((name, value));
                }
            }
        }
        Ok(Document { entries })
    }

    /// Takes a client's document apart, or says why it is refused.
    pub fn from_client(text: &str) -> Result<Document, Rejection> {
        if text.len() > limits::DOCUMENT_BYTES_MAX {
            return Err(Rejection::invalid_argument(format!(
                "Expected variables of at most {} bytes, but found {}",
                limits::DOCUMENT_BYTES_MAX,
                text.len()
            )));
        }
        let document = Document::parse(text).map_err(|error| {
            Rejection::invalid_argument(format!(
                "Expected variables to be a JSON object, but found something else: {error}"
            ))
        })?;
        for (name, _) in &document.entries {
            names::check("name of a variable", name)
                .map_err(|error| Rejection::invalid_argument(error.to_string()))?;
        }
        Ok(document)
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

struct RawEntries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawEntriesVisitor)
    }
}

struct RawEntriesVisitor;

impl<'de> Visitor<'de> for RawEntriesVisitor {
    type Value = RawEntries<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object at the root of the document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawEntries(entries))
    }
}

/// The same JSON without white space between its tokens.
fn compact(text: &str) -> String {
    if !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        out.push(character);
    }
    out
}

/// Builds a JSON object from names and JSON texts.
#[derive(Debug)]
pub(crate) struct ObjectBuilder {
    text: String,
}

impl ObjectBuilder {
    /// An object without entries.
    pub fn new() -> ObjectBuilder {
        ObjectBuilder {
            text: String::from("{"),
        }
    }

    /// Adds an entry; the caller sees to it that no name comes twice.
    pub fn entry(&mut self, name: &str, json: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&string(name));
        self.text.push(':');
        self.text.push_str(json);
    }

    /// The object.
    pub fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A text as a JSON string.
pub(crate) fn string(text: &str) -> String {
    serde_json::to_string(text).expect("a text can always be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<(String, String)> {
        Document::parse(text).unwrap().entries
    }

    #[test]
    fn entries_keep_their_order_and_lose_white_space_outside_of_strings() {
        let entries = parse(r#" { "b" : [ 1 , "a \" b" ], "a":{ "x" : "\\" , "y": 1 } } "#);
        let expected = [("b", r#"[1,"a \" b"]"#), ("a", r#"{"x":"\\","y":1}"#)];
        assert_eq!(
            entries,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_later_of_two_entries_with_one_name_wins() {
        assert_eq!(
            parse(r#"{"a":1,"a":2}"#),
            [("a".to_owned(), "2".to_owned())]
        );
    }

    #[test]
    fn only_objects_are_documents() {
        for text in ["[]", "1", "null", "{", "{\"a\":}", "{} {}"] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
        assert!(parse("").is_empty());
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(parse(&deep)[0].1.len(), 400_000);
    }

    #[test]
    fn names_are_escaped() {
        let mut builder = ObjectBuilder::new();
        builder.entry("a\"b", "1");
        builder.entry("c", "\"d\"");
        assert_eq!(builder.finish(), r#"{"a\"b":1,"c":"d"}"#);
    }
}

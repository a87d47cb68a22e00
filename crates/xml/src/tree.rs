//! From bytes to an XML tree, within limits.
//!
//! Owns everything that hostile XML could try: size, depth, numbers of elements and attributes,
//! entities. A linear scan over the bytes enforces the limits before the tree is built, so that the
//! tree builder only sees documents for which its time and memory are bounded.
//!
//! Invariants: the scan neither allocates more than [`XML_DEPTH_MAX`] numbers nor recurses. It may
//! take what is no XML for XML (the tree builder refuses it then), but it never counts less than the
//! tree builder makes. Documents with a DTD are refused, so there are no entities to expand.

use std::borrow::Cow;
use std::fmt;

use roxmltree::{ParsingOptions, TextPos};

use crate::encoding;
use crate::limits::{
    XML_ATTRIBUTES_MAX, XML_ATTRIBUTES_PER_ELEMENT_MAX, XML_BYTES_MAX, XML_DEPTH_MAX,
    XML_ELEMENTS_MAX, XML_NAMESPACES_IN_SCOPE_MAX, XML_NAMESPACES_MAX, XML_NODES_MAX,
};

/// Why bytes are no XML that is accepted here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("the resource has {0} bytes, and {XML_BYTES_MAX} are allowed")]
    TooLarge(usize),
    #[error("the resource is not UTF-8 at byte {0}: save it as UTF-8, or declare its encoding")]
    NotUtf8(usize),
    #[error("the resource begins as UTF-16 and is none: save it as UTF-8")]
    NotUtf16,
    #[error("the encoding '{0}' is not known: save the resource as UTF-8")]
    Encoding(String),
    #[error("the XML cannot be parsed: {0}")]
    Malformed(String),
    #[error("the XML is refused at line {}, column {}: {limit}", at.row, at.col)]
    Refused { at: TextPos, limit: Limit },
}

/// What stands in a document beyond the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Dtd,
    Depth,
    Elements,
    AttributesOfElement,
    Attributes,
    NamespacesInScope,
    Namespaces,
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Dtd => formatter
                .write_str("a document type declaration (DOCTYPE) is not allowed; remove it"),
            Limit::Depth => write!(formatter, "more than {XML_DEPTH_MAX} levels of nesting"),
            Limit::Elements => write!(formatter, "more than {XML_ELEMENTS_MAX} XML elements"),
            Limit::AttributesOfElement => {
                write!(
                    formatter,
                    "more than {XML_ATTRIBUTES_PER_ELEMENT_MAX} attributes of one element"
                )
            }
            Limit::Attributes => write!(formatter, "more than {XML_ATTRIBUTES_MAX} attributes"),
            Limit::NamespacesInScope => write!(
                formatter,
                "more than {XML_NAMESPACES_IN_SCOPE_MAX} namespace declarations hold here"
            ),
            Limit::Namespaces => {
                write!(
                    formatter,
                    "more than {XML_NAMESPACES_MAX} namespace declarations"
                )
            }
        }
    }
}

/// Reads text within the size limit.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    if bytes.len() > XML_BYTES_MAX {
        return Err(XmlError::TooLarge(bytes.len()));
    }
    encoding::decode(bytes)
}

/// Builds the tree of a text that keeps the limits.
pub fn tree(text: &str) -> Result<roxmltree::Document<'_>, XmlError> {
    Scan::new(text.as_bytes())
        .run()
        .map_err(|(offset, limit)| XmlError::Refused {
            at: position(text, offset),
            limit,
        })?;
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: XML_NODES_MAX,
        ..Default::default()
    };
    roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| XmlError::Malformed(error.to_string()))
}

/// Line and column of a byte, both from 1.
fn position(text: &str, offset: usize) -> TextPos {
    let before = &text.as_bytes()[..offset];
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    let row = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    // Continuation bytes are not counted, so that a column is a character.
    let col = 1 + before[line_start..]
        .iter()
        .filter(|&&byte| byte & 0xC0 != 0x80)
        .count();
    let number = |count: usize| u32::try_from(count).expect("the text has less than 4 GiB");
    TextPos::new(number(row), number(col))
}

/// The scan over the bytes of a document.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// For each open element, the namespace declarations that hold inside of it.
    open: Vec<usize>,
    elements: usize,
    attributes: usize,
    namespaces: usize,
}

type Refusal = (usize, Limit);

impl<'a> Scan<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Scan {
            bytes,
            at: 0,
            open: Vec::new(),
            elements: 0,
            attributes: 0,
            namespaces: 0,
        }
    }

    fn run(mut self) -> Result<(), Refusal> {
        while let Some(offset) = self.bytes[self.at..].iter().position(|&byte| byte == b'<') {
            self.at += offset;
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"<!--") {
                self.skip_behind(4, b"-->");
            } else if rest.starts_with(b"<![CDATA[") {
                self.skip_behind(9, b"]]>");
            } else if rest.starts_with(b"<!") {
                return Err((self.at, Limit::Dtd));
            } else if rest.starts_with(b"<?") {
                self.skip_behind(2, b"?>");
            } else if rest.starts_with(b"</") {
                self.open.pop();
                self.skip_behind(2, b">");
            } else {
                self.start_tag()?;
            }
        }
        Ok(())
    }

    /// Goes on behind the end of what begins here; to the end of the document if it has no end.
    fn skip_behind(&mut self, begin: usize, end: &[u8]) {
        let from = self.at + begin;
        let found = self.bytes[from..]
            .windows(end.len())
            .position(|window| window == end);
        self.at = found.map_or(self.bytes.len(), |offset| from + offset + end.len());
    }

    fn start_tag(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        let tag = self.tag_end();
        self.elements += 1;
        self.attributes += tag.attributes;
        self.namespaces += tag.namespaces;
        let in_scope = self.open.last().copied().unwrap_or(0) + tag.namespaces;
        for (count, max, limit) in [
            (self.open.len() + 1, XML_DEPTH_MAX, Limit::Depth),
            (self.elements, XML_ELEMENTS_MAX, Limit::Elements),
            (
                tag.attributes,
                XML_ATTRIBUTES_PER_ELEMENT_MAX,
                Limit::AttributesOfElement,
            ),
            (self.attributes, XML_ATTRIBUTES_MAX, Limit::Attributes),
            (
                in_scope,
                XML_NAMESPACES_IN_SCOPE_MAX,
                Limit::NamespacesInScope,
            ),
            (self.namespaces, XML_NAMESPACES_MAX, Limit::Namespaces),
        ] {
            if count > max {
                return Err((start, limit));
            }
        }
        if !tag.closes_itself {
            self.open.push(in_scope);
        }
        Ok(())
    }

    /// Goes behind the `>` of a start tag and counts on the way. An attribute is one `=` outside of
    /// quotes.
    fn tag_end(&mut self) -> StartTag {
        let mut tag = StartTag {
            attributes: 0,
            namespaces: 0,
            closes_itself: false,
        };
        let mut quote = None;
        let mut name_start = None;
        for (offset, &byte) in self.bytes[self.at..].iter().enumerate().skip(1) {
            let at = self.at + offset;
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => {
                    quote = Some(byte);
                    name_start = None;
                }
                (None, b'>') => {
                    tag.closes_itself = self.bytes[at - 1] == b'/';
                    self.at = at + 1;
                    return tag;
                }
                (None, b'=') => {
                    tag.attributes += 1;
                    let name = &self.bytes[name_start.unwrap_or(at)..at];
                    tag.namespaces += usize::from(name.starts_with(b"xmlns"));
                    name_start = None;
                }
                (None, byte) if byte.is_ascii_whitespace() => {}
                (None, _) => {
                    let begins = self.bytes[at - 1].is_ascii_whitespace() || name_start.is_none();
                    name_start = if begins { Some(at) } else { name_start };
                }
            }
        }
        self.at = self.bytes.len();
        tag
    }
}

/// What a start tag holds.
struct StartTag {
    attributes: usize,
    namespaces: usize,
    closes_itself: bool,
}

#[cfg(test)]
mod tests;

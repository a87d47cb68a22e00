//! Names that are more than one word: known variables, keys, parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Parsed, Parser};
use crate::lexer::{Token, TokenKind, is_name_part, is_name_start, is_space};

/// A known name with spaces or operators, cut into words and single characters; spaces between them don't matter.
#[derive(Clone, Debug)]
struct SpacedName {
    name: Arc<str>,
    parts: Vec<Box<str>>,
}

impl SpacedName {
    fn new(name: &str) -> SpacedName {
        let mut parts: Vec<Box<str>> = Vec::new();
        let mut rest = name.trim_matches(is_space);
        while let Some(first) = rest.chars().next() {
            let length = if is_name_part(first) {
                rest.find(|c| !is_name_part(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            parts.push(rest[..length].into());
            rest = rest[length..].trim_start_matches(is_space);
        }
        SpacedName {
            name: name.into(),
            parts,
        }
    }

    /// Where the name ends if it stands at the beginning of `source[start..]`.
    fn match_at(&self, source: &str, start: usize) -> Option<usize> {
        let mut rest = &source[start..];
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                rest = rest.trim_start_matches(is_space);
            }
            rest = rest.strip_prefix(&**part)?;
            let word = part.starts_with(is_name_part);
            if word && rest.starts_with(is_name_part) {
                return None;
            }
        }
        Some(source.len() - rest.len())
    }
}

/// Whether a name is a single word that the lexer reads as one token.
fn is_plain(name: &str) -> bool {
    name.starts_with(is_name_start) && name.chars().all(is_name_part) || name == "?"
}

/// Names of several words, by their first word.
#[derive(Clone, Default, Debug)]
pub(super) struct SpacedNames {
    by_first_word: BTreeMap<Box<str>, Vec<SpacedName>>,
    count: usize,
}

impl SpacedNames {
    pub(super) const fn new() -> SpacedNames {
        SpacedNames {
            by_first_word: BTreeMap::new(),
            count: 0,
        }
    }

    /// Adds a name, unless it is here or is a single word; gives the number of names it was compared with.
    pub(super) fn add(&mut self, name: &str) -> usize {
        let spaced = SpacedName::new(name);
        let Some(first) = spaced.parts.first().filter(|_| !is_plain(name)) else {
            return 0;
        };
        let names = self.by_first_word.entry(first.clone()).or_default();
        if !names.iter().any(|other| other.name == spaced.name) {
            names.push(spaced);
            self.count += 1;
        }
        names.len()
    }

    /// The longest of the names that stands at a token, and where it ends; and how many were tried.
    pub(super) fn longest_at(
        &self,
        source: &str,
        token: Token,
    ) -> (Option<(Arc<str>, usize)>, usize) {
        let Some(names) = self.by_first_word.get(&source[token.start..token.end]) else {
            return (None, 0);
        };
        let matches = names.iter().filter_map(|spaced| {
            let end = spaced.match_at(source, token.start)?;
            Some((spaced.name.clone(), end))
        });
        let longest = matches
            .filter(|(_, end)| *end > token.end)
            .max_by_key(|(_, end)| *end);
        (longest, names.len())
    }
}

impl Parser<'_> {
    /// Remembers a name, so that it is recognised from here on.
    pub(super) fn know(&mut self, name: &str) {
        // What is beyond the bound can still be written in backticks.
        if self.spaced.count < SPACED_NAMES_MAX {
            self.names_tried += self.spaced.add(name);
        }
    }

    /// The longest known name of several words at the current token, and where it ends.
    pub(super) fn spaced_name(&mut self) -> Option<(Arc<str>, usize)> {
        let (found, tried) = self.spaced.longest_at(self.lexer.source, self.token);
        self.names_tried += tried;
        found
    }

    /// The longest name of a type at the current token, and where it ends.
    pub(super) fn spaced_type(&mut self) -> Option<(Arc<str>, usize)> {
        let (found, tried) = self.types?.spaced_at(self.lexer.source, self.token);
        self.names_tried += tried;
        found
    }

    /// A name that is being introduced: everything up to one of the given symbols, or the word `in`.
    pub(super) fn new_name(&mut self, stops: &[&str]) -> Parsed<Arc<str>> {
        let mut name = String::new();
        let mut end = self.token.start;
        loop {
            let token = self.token;
            let text = match token.kind {
                TokenKind::QuotedName => &self.text(token)[1..token.end - token.start - 1],
                TokenKind::Name if !name.is_empty() && stops.contains(&self.text(token)) => break,
                TokenKind::Name => self.text(token),
                TokenKind::Number if !name.is_empty() => self.text(token),
                TokenKind::Symbol(symbol) if stops.contains(&symbol) => break,
                TokenKind::Symbol("+" | "-" | "*" | "/" | "." | "'") if !name.is_empty() => {
                    self.text(token)
                }
                _ => return Err(self.unexpected("a name")),
            };
            if !name.is_empty() && token.start > end {
                name.push(' ');
            }
            name.push_str(text);
            end = token.end;
            self.advance()?;
        }
        if name.is_empty() {
            Err(self.unexpected("a name"))
        } else {
            Ok(name.into())
        }
    }
}

/// Known names of several words per expression.
const SPACED_NAMES_MAX: usize = 1000;

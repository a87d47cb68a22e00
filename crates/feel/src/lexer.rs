//! Source text to tokens, on demand.
//!
//! A name token is a word without spaces. What makes longer names (known names, built-in functions, keys) is the
//! parser's business; it may move the lexer to any position it has seen.

use crate::error::ParseErrorCause;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenKind {
    Name,
    /// A name in backticks.
    QuotedName,
    Number,
    String,
    Symbol(&'static str),
    End,
}

/// A token and the bytes it covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Symbols, longer ones first.
const SYMBOLS: [&str; 26] = [
    "**", "..", "<=", ">=", "!=", "->", "+", "-", "*", "/", "=", "<", ">", "(", ")", "[", "]", "{",
    "}", ",", ":", ".", "@", "'", "|", ";",
];

pub(crate) struct Lexer<'s> {
    pub(crate) source: &'s str,
    pub(crate) at: usize,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str) -> Lexer<'s> {
        Lexer { source, at: 0 }
    }

    pub(crate) fn next(&mut self) -> Result<Token, ParseErrorCause> {
        self.skip_blank()?;
        let start = self.at;
        let Some(c) = self.rest().chars().next() else {
            return Ok(Token {
                kind: TokenKind::End,
                start,
                end: start,
            });
        };
        let kind = if c == '?' {
            self.at += 1;
            TokenKind::Name
        } else if is_name_start(c) {
            self.skip_while(is_name_part);
            TokenKind::Name
        } else if c.is_ascii_digit() || self.starts_number_with_point(c) {
            self.number();
            TokenKind::Number
        } else if c == '"' {
            self.delimited('"', "a string that is not closed")?;
            TokenKind::String
        } else if c == '`' {
            self.delimited('`', "a name in backticks that is not closed")?;
            TokenKind::QuotedName
        } else {
            self.symbol(c)?
        };
        Ok(Token {
            kind,
            start,
            end: self.at,
        })
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn skip_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn skip_blank(&mut self) -> Result<(), ParseErrorCause> {
        loop {
            self.skip_while(is_space);
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    return Err(invalid(
                        self.source,
                        self.at,
                        "a comment that is not closed",
                    ));
                };
                self.at += length + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn starts_number_with_point(&self, c: char) -> bool {
        c == '.' && self.rest()[1..].starts_with(|next: char| next.is_ascii_digit())
    }

    fn number(&mut self) {
        self.skip_while(|c| c.is_ascii_digit());
        // In `1..5` the points are the range's.
        let fraction = self.rest().strip_prefix('.');
        if fraction.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.at += 1;
            self.skip_while(|c| c.is_ascii_digit());
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                self.at += self.rest().len() - digits.len();
                self.skip_while(|c| c.is_ascii_digit());
            }
        }
    }

    fn delimited(&mut self, quote: char, problem: &str) -> Result<(), ParseErrorCause> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' && quote == '"' {
                escaped = true;
            } else if c == quote {
                self.at += offset + 1;
                return Ok(());
            }
        }
        Err(invalid(self.source, start, problem))
    }

    fn symbol(&mut self, c: char) -> Result<TokenKind, ParseErrorCause> {
        let rest = self.rest();
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(TokenKind::Symbol(symbol))
            }
            None => Err(invalid(
                self.source,
                self.at,
                &format!("unexpected character '{c}'"),
            )),
        }
    }
}

pub(crate) fn invalid(source: &str, at: usize, problem: &str) -> ParseErrorCause {
    let (line, column) = position(source, at);
    ParseErrorCause::Invalid {
        problem: problem.to_owned(),
        line,
        column,
    }
}

/// Line and column of a byte, both from 1.
pub(crate) fn position(source: &str, at: usize) -> (usize, usize) {
    let before = &source[..at];
    let line = before.matches('\n').count() + 1;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[line_start..].chars().count() + 1)
}

/// White space as FEEL defines it.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{180e}' | '\u{200b}' | '\u{feff}')
}

/// Characters that begin a name: FEEL's, and `$` as in Camunda's dialect.
pub(crate) fn is_name_start(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic() || c == '_' || c == '$';
    }
    matches!(c,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}'
        | '\u{fdf0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
        && !is_space(c)
}

pub(crate) fn is_name_part(c: char) -> bool {
    is_name_start(c)
        || c.is_ascii_digit()
        || matches!(c, '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// The text of a string token (with its quotes), escapes resolved. An unknown escape stays as it is written.
pub(crate) fn unescape(token: &str) -> String {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or("");
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (text, length) = escape(rest);
        match text {
            Some(c) => out.push(c),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// What an escape at the start of `rest` stands for, and its length.
fn escape(rest: &str) -> (Option<char>, usize) {
    let Some(kind) = rest[1..].chars().next() else {
        return (None, 1);
    };
    let plain = match kind {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '"' | '\\' | '\'' => kind,
        'u' => return code_unit(rest),
        'U' => {
            let c = hexadecimal(rest, 2, 6).and_then(char::from_u32);
            return if c.is_some() { (c, 8) } else { (None, 2) };
        }
        other => return (None, 1 + other.len_utf8()),
    };
    (Some(plain), 2)
}

/// `\uXXXX`, or two of them that form a surrogate pair.
fn code_unit(rest: &str) -> (Option<char>, usize) {
    let Some(first) = hexadecimal(rest, 2, 4) else {
        return (None, 2);
    };
    if let Some(c) = char::from_u32(first) {
        return (Some(c), 6);
    }
    let second = if rest.get(6..8) == Some("\\u") {
        hexadecimal(rest, 8, 4)
    } else {
        None
    };
    match second {
        Some(low) if (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&low) => (
            char::from_u32(0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00)),
            12,
        ),
        _ => (Some(char::REPLACEMENT_CHARACTER), 6),
    }
}

fn hexadecimal(text: &str, from: usize, length: usize) -> Option<u32> {
    let digits = text.get(from..from + length)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

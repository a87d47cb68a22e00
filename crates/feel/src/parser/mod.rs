//! Source to program, by precedence climbing.
//!
//! Recursion is bounded by `EXPRESSION_DEPTH_MAX` (counted in [`Parser::nested`]); the tree's own depth is bounded by
//! the arena. Names are resolved while parsing, see [`scopes`].

mod boxed;
mod call;
mod expression;
mod kind;
mod names;
mod primary;
mod range;
mod scopes;
mod types;
mod unary_tests;

use std::collections::BTreeMap;

use crate::ast::{Arena, Node, NodeId, Program};
use crate::boxed::Boxed;
use crate::error::{ParseError, ParseErrorCause};
use crate::lexer::{Lexer, Token, TokenKind, invalid, position};
use crate::limits::{EXPRESSION_DEPTH_MAX, NAMES_TRIED_MAX, NODES_MAX, SOURCE_BYTES_MAX};
use names::SpacedNames;
use scopes::Frame;
pub use types::Types;

type Parsed<T> = Result<T, Box<ParseErrorCause>>;

pub(crate) struct Parser<'s> {
    lexer: Lexer<'s>,
    token: Token,
    arena: Arena,
    frames: Vec<Frame>,
    globals: Vec<Box<str>>,
    global_slots: BTreeMap<Box<str>, u16>,
    /// Names that are more than one word.
    spaced: SpacedNames,
    /// How often a text was compared with such a name.
    names_tried: usize,
    nesting: usize,
    /// How many loops and filters are open.
    repeating: u32,
    /// Whether a variable is read more than once, by slot.
    repeated: Vec<bool>,
    /// How often `?` and `partial` were read so far.
    input_reads: u32,
    partial_reads: u32,
    /// Whether the end of a range is being parsed, where `[` may close it.
    in_range_end: bool,
    /// Types that have names.
    types: Option<&'s Types>,
}

pub(crate) fn parse_expression(source: &str, names: &[&str]) -> Result<Program, ParseError> {
    run(source, names, |parser| parser.expression())
}

pub(crate) fn parse_unary_tests(source: &str, names: &[&str]) -> Result<Program, ParseError> {
    run(source, names, |parser| parser.unary_tests_root())
}

/// Compiles a boxed expression that is called `label`.
pub(crate) fn parse_boxed<'s>(
    label: &str,
    boxed: &Boxed<'s>,
    names: &[&str],
    types: &'s Types,
) -> Result<Program, ParseError> {
    let mut parser = Parser::new("", names);
    parser.types = Some(types);
    match parser.boxed(boxed) {
        Ok(root) => Ok(parser.finish(label, root)),
        Err(cause) => Err(ParseError::new(parser.lexer.source, *cause)),
    }
}

fn run(
    source: &str,
    names: &[&str],
    root: impl FnOnce(&mut Parser<'_>) -> Parsed<NodeId>,
) -> Result<Program, ParseError> {
    let fail = |cause: ParseErrorCause| ParseError::new(source, cause);
    if source.len() > SOURCE_BYTES_MAX {
        return Err(fail(ParseErrorCause::TooLong {
            bytes: source.len(),
        }));
    }
    let mut parser = Parser::new(source, names);
    let parsed = parser
        .advance()
        .and_then(|()| root(&mut parser))
        .and_then(|root| {
            parser.expect_end()?;
            Ok(root)
        });
    match parsed {
        Ok(root) => Ok(parser.finish(source, root)),
        Err(cause) => Err(fail(*cause)),
    }
}

impl<'s> Parser<'s> {
    fn new(source: &'s str, names: &[&str]) -> Parser<'s> {
        let token = Token {
            kind: TokenKind::End,
            start: 0,
            end: 0,
        };
        let mut parser = Parser {
            lexer: Lexer::new(source),
            token,
            arena: Arena::default(),
            frames: vec![Frame::default()],
            globals: Vec::new(),
            global_slots: BTreeMap::new(),
            spaced: SpacedNames::new(),
            names_tried: 0,
            nesting: 0,
            repeating: 0,
            repeated: Vec::new(),
            input_reads: 0,
            partial_reads: 0,
            in_range_end: false,
            types: None,
        };
        names.iter().for_each(|name| parser.know(name));
        parser
    }

    fn finish(self, source: &str, root: NodeId) -> Program {
        let variables = self.global_slots.into_keys().collect();
        Program {
            source: source.into(),
            nodes: self.arena.nodes,
            root,
            globals: self.globals.into_boxed_slice(),
            repeated: self.repeated.into_boxed_slice(),
            variables,
            names_tried: self.names_tried,
        }
    }

    fn add(&mut self, node: Node) -> Parsed<NodeId> {
        if self.arena.nodes.len() >= NODES_MAX {
            return Err(self.invalid_at(self.token.start, "the expression has too many parts"));
        }
        if self.names_tried > NAMES_TRIED_MAX {
            return Err(
                self.invalid_at(self.token.start, "too many names begin with the same words")
            );
        }
        Ok(self.arena.add(node)?)
    }

    /// Runs `parse` one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= EXPRESSION_DEPTH_MAX {
            return Err(Box::new(ParseErrorCause::TooDeep));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn advance(&mut self) -> Parsed<()> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    /// Goes back (or forward) to where `token` begins.
    fn move_to(&mut self, token: Token) {
        self.token = token;
        self.lexer.at = token.end;
    }

    /// Goes on after byte `end`.
    fn continue_at(&mut self, end: usize) -> Parsed<()> {
        self.lexer.at = end;
        self.advance()
    }

    /// The token after the current one.
    fn peek(&mut self) -> Parsed<Token> {
        let at = self.lexer.at;
        let next = self.lexer.next();
        self.lexer.at = at;
        Ok(next?)
    }

    fn text(&self, token: Token) -> &'s str {
        &self.lexer.source[token.start..token.end]
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token.kind, TokenKind::Symbol(found) if found == symbol)
    }

    fn is_word(&self, word: &str) -> bool {
        self.token.kind == TokenKind::Name && self.text(self.token) == word
    }

    fn eat_symbol(&mut self, symbol: &str) -> Parsed<bool> {
        let found = self.is_symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn eat_word(&mut self, word: &str) -> Parsed<bool> {
        let found = self.is_word(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_symbol(&mut self, symbol: &'static str) -> Parsed<()> {
        if self.eat_symbol(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(symbol))
        }
    }

    fn expect_word(&mut self, word: &'static str) -> Parsed<()> {
        if self.eat_word(word)? {
            Ok(())
        } else {
            Err(self.unexpected(word))
        }
    }

    fn expect_end(&mut self) -> Parsed<()> {
        if self.token.kind == TokenKind::End {
            Ok(())
        } else {
            Err(self.unexpected("an operator or the end of the expression"))
        }
    }

    fn unexpected(&self, expected: &'static str) -> Box<ParseErrorCause> {
        let (line, column) = position(self.lexer.source, self.token.start);
        let found = match self.token.kind {
            TokenKind::End => "the end".to_owned(),
            _ => format!(
                "'{}'",
                self.text(self.token).chars().take(40).collect::<String>()
            ),
        };
        Box::new(ParseErrorCause::Unexpected {
            expected,
            found,
            line,
            column,
        })
    }

    fn invalid_at(&self, at: usize, problem: &str) -> Box<ParseErrorCause> {
        Box::new(invalid(self.lexer.source, at, problem))
    }
}

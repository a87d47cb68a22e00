//! `in` and the input entries of decision tables: lists of tests of one value, named `?`.

use std::sync::Arc;

use super::expression::{Level, comparison};
use super::{Parsed, Parser};
use crate::ast::{Node, NodeId, Test, Tests};
use crate::lexer::TokenKind;

impl Parser<'_> {
    /// A whole input entry.
    pub(super) fn unary_tests_root(&mut self) -> Parsed<NodeId> {
        let value = self.variable("?")?;
        let input: Arc<str> = "?".into();
        self.bind(&input)?;
        let tests = self.whole_tests()?;
        self.unbind(&input);
        self.add(Node::In { value, tests })
    }

    /// The tests up to the end of the text.
    pub(super) fn whole_tests(&mut self) -> Parsed<Tests> {
        Ok(match self.negated_tests()? {
            Some(tests) => tests,
            None => Tests {
                tests: self.test_list()?,
                negated: false,
            },
        })
    }

    /// `not(test, …)` if that is the whole entry.
    fn negated_tests(&mut self) -> Parsed<Option<Tests>> {
        if !self.is_word("not") || self.peek()?.kind != TokenKind::Symbol("(") {
            return Ok(None);
        }
        let start = self.token;
        self.advance()?;
        self.advance()?;
        let parsed = self.test_list();
        if let Ok(tests) = parsed
            && self.is_symbol(")")
        {
            self.advance()?;
            if self.token.kind == TokenKind::End {
                return Ok(Some(Tests {
                    tests,
                    negated: true,
                }));
            }
        }
        // `not(a) and b` is an expression after all.
        self.move_to(start);
        Ok(None)
    }

    fn test_list(&mut self) -> Parsed<Box<[Test]>> {
        let mut tests = Vec::new();
        loop {
            tests.push(self.test(Level::Or)?);
            if !self.eat_symbol(",")? {
                return Ok(tests.into_boxed_slice());
            }
        }
    }

    fn test(&mut self, level: Level) -> Parsed<Test> {
        if let TokenKind::Symbol(symbol) = self.token.kind {
            if let Some(comparison) = comparison(symbol) {
                self.advance()?;
                return Ok(Test::Compare(comparison, self.binary(Level::Sum)?));
            }
            if symbol == "-" && self.ends_test()? {
                self.advance()?;
                return Ok(Test::Any);
            }
        }
        let reads_before = self.input_reads;
        let node = self.binary(level)?;
        Ok(Test::Expression {
            node,
            reads_input: self.input_reads > reads_before,
        })
    }

    /// Whether nothing that belongs to this test follows the current token.
    fn ends_test(&mut self) -> Parsed<bool> {
        Ok(matches!(
            self.peek()?.kind,
            TokenKind::End | TokenKind::Symbol("," | ")")
        ))
    }

    /// What follows `in`: one test, or a list of tests in parentheses.
    pub(super) fn membership(&mut self, value: NodeId) -> Parsed<NodeId> {
        let input: Arc<str> = "?".into();
        self.bind(&input)?;
        let tests = if self.is_symbol("(") {
            self.nested(Parser::tests_in_parentheses)?
        } else {
            Box::new([self.test(Level::Sum)?])
        };
        self.unbind(&input);
        self.add(Node::In {
            value,
            tests: Tests {
                tests,
                negated: false,
            },
        })
    }

    /// `(test, …)`, or a range or an expression that begins with a parenthesis. Never reads anything twice: nested
    /// lists would take exponential time.
    fn tests_in_parentheses(&mut self) -> Parsed<Box<[Test]>> {
        self.advance()?;
        let before = std::mem::replace(&mut self.in_range_end, false);
        let mut tests = Vec::new();
        if !self.is_symbol("..") {
            tests.push(self.test(Level::Or)?);
        }
        while !tests.is_empty() && self.eat_symbol(",")? {
            tests.push(self.test(Level::Or)?);
        }
        self.in_range_end = before;
        let single = match tests.as_slice() {
            [] => Some((None, false)),
            [Test::Expression { node, reads_input }] => Some((Some(*node), *reads_input)),
            _ => None,
        };
        let Some((inner, reads_input)) = single else {
            self.expect_symbol(")")?;
            return Ok(tests.into_boxed_slice());
        };
        // One expression: the parenthesis may be a range's or only the beginning of a longer expression.
        let inner = match inner {
            Some(inner) if !self.is_symbol("..") => {
                self.expect_symbol(")")?;
                inner
            }
            start => self.range_end(start, false)?,
        };
        let inner = self.postfix_of(inner)?;
        let node = self.operators(inner, Level::Sum)?;
        Ok(Box::new([Test::Expression { node, reads_input }]))
    }
}

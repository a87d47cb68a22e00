//! Everything that begins with a bracket: parentheses, lists, ranges.

use super::expression::{Level, comparison};
use super::{Parsed, Parser};
use crate::ast::{Comparison, Node, NodeId};
use crate::lexer::TokenKind;
use crate::value::Value;

impl Parser<'_> {
    /// `(expression)`, `(start..end]` or `(< end)`.
    pub(super) fn parenthesis(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        if let TokenKind::Symbol(symbol) = self.token.kind
            && let Some(comparison) = comparison(symbol)
        {
            return self.comparison_range(comparison);
        }
        if self.is_symbol("..") {
            return self.range_end(None, false);
        }
        let inner = self.outside_range_end(Parser::expression)?;
        if self.is_symbol("..") {
            return self.range_end(Some(inner), false);
        }
        self.expect_symbol(")")?;
        Ok(inner)
    }

    /// `[a, b]` or `[start..end]`.
    pub(super) fn bracket(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        let mut items = Vec::new();
        while !self.is_symbol("]") {
            let item = self.outside_range_end(Parser::expression)?;
            if items.is_empty() && self.is_symbol("..") {
                return self.range_end(Some(item), true);
            }
            items.push(item);
            if !self.is_symbol("]") {
                self.expect_symbol(",")?;
            }
        }
        self.advance()?;
        self.add(Node::List(items.into_boxed_slice()))
    }

    /// `]start..end[`
    pub(super) fn open_range(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        let start = self.outside_range_end(Parser::expression)?;
        self.range_end(Some(start), false)
    }

    fn outside_range_end<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let before = std::mem::replace(&mut self.in_range_end, false);
        let parsed = parse(self);
        self.in_range_end = before;
        parsed
    }

    /// From the `..` on.
    pub(super) fn range_end(
        &mut self,
        start: Option<NodeId>,
        start_included: bool,
    ) -> Parsed<NodeId> {
        self.expect_symbol("..")?;
        let end = if self.is_symbol(")") {
            None
        } else {
            let before = std::mem::replace(&mut self.in_range_end, true);
            let end = self.binary(Level::Sum)?;
            self.in_range_end = before;
            Some(end)
        };
        let end_included = self.is_symbol("]");
        if !end_included && !self.is_symbol(")") && !self.is_symbol("[") {
            return Err(self.unexpected("')', ']' or '[' after the end of a range"));
        }
        self.advance()?;
        self.add(Node::Range {
            start,
            end,
            start_included,
            end_included,
        })
    }

    /// `(< end)` and its kin, as a range.
    fn comparison_range(&mut self, comparison: Comparison) -> Parsed<NodeId> {
        self.advance()?;
        let value = self.outside_range_end(|parser| parser.binary(Level::Sum))?;
        self.expect_symbol(")")?;
        let null = self.add(Node::Literal(Value::Null))?;
        let (start, end, included) = match comparison {
            Comparison::Less => (None, Some(value), false),
            Comparison::LessOrEqual => (None, Some(value), true),
            Comparison::Greater => (Some(value), None, false),
            Comparison::GreaterOrEqual => (Some(value), None, true),
            Comparison::Equal => (Some(value), Some(value), true),
            // No range holds everything but one value.
            Comparison::NotEqual => return Ok(null),
        };
        self.add(Node::Range {
            start_included: included && start.is_some(),
            end_included: included && end.is_some(),
            start,
            end,
        })
    }

    /// Whether the `[` at hand closes the range that is being read, rather than opening a filter.
    pub(super) fn closes_range(&mut self) -> Parsed<bool> {
        if !self.in_range_end {
            return Ok(false);
        }
        let next = self.peek()?;
        Ok(match next.kind {
            TokenKind::End => true,
            TokenKind::Symbol(symbol) => !matches!(symbol, "(" | "[" | "{" | "-" | "@"),
            TokenKind::Name => {
                matches!(
                    self.text(next),
                    "and" | "or" | "then" | "else" | "return" | "satisfies"
                )
            }
            _ => false,
        })
    }
}

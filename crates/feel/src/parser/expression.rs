//! Operators, by precedence: or, and, comparisons, sums, products, powers, negation, postfix.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{Arithmetic, Comparison, Judgement, Node, NodeId};
use crate::lexer::TokenKind;
use crate::value::Value;

/// How tightly an operator binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Power,
    Unary,
}

/// The operator at the current token.
enum Operator {
    Or,
    And,
    Compare(Comparison),
    Between,
    In,
    InstanceOf,
    Sum,
    Product,
    Power,
}

impl Operator {
    fn level(&self) -> Level {
        match self {
            Operator::Or => Level::Or,
            Operator::And => Level::And,
            Operator::Compare(_) | Operator::Between | Operator::In | Operator::InstanceOf => {
                Level::Comparison
            }
            Operator::Sum => Level::Sum,
            Operator::Product => Level::Product,
            Operator::Power => Level::Power,
        }
    }
}

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parsed<NodeId> {
        self.binary(Level::Or)
    }

    /// An expression of operators that bind at least as tightly as `lowest`.
    pub(super) fn binary(&mut self, lowest: Level) -> Parsed<NodeId> {
        self.nested(|parser| {
            let left = parser.unary()?;
            parser.operators(left, lowest)
        })
    }

    /// The operators that follow a first operand.
    pub(super) fn operators(&mut self, mut left: NodeId, lowest: Level) -> Parsed<NodeId> {
        while let Some(operator) = self.operator() {
            if operator.level() < lowest {
                break;
            }
            left = self.apply(operator, left)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.token.kind {
            TokenKind::Symbol(symbol) => match symbol {
                "+" | "-" => Operator::Sum,
                "*" | "/" => Operator::Product,
                "**" => Operator::Power,
                _ => Operator::Compare(comparison(symbol)?),
            },
            TokenKind::Name => match self.text(self.token) {
                "or" => Operator::Or,
                "and" => Operator::And,
                "between" => Operator::Between,
                "in" => Operator::In,
                "instance" => Operator::InstanceOf,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn apply(&mut self, operator: Operator, left: NodeId) -> Parsed<NodeId> {
        match operator {
            Operator::Or => {
                let operands = self.operands("or", Level::And, left)?;
                self.add(Node::Or(operands))
            }
            Operator::And => {
                let operands = self.operands("and", Level::Comparison, left)?;
                self.add(Node::And(operands))
            }
            Operator::Compare(comparison) => {
                self.advance()?;
                let right = self.binary(Level::Sum)?;
                self.add(Node::Compare(comparison, left, right))
            }
            Operator::Between => {
                self.advance()?;
                let low = self.binary(Level::Sum)?;
                self.expect_word("and")?;
                let high = self.binary(Level::Sum)?;
                self.add(Node::Between {
                    value: left,
                    low,
                    high,
                })
            }
            Operator::In => {
                self.advance()?;
                self.membership(left)
            }
            Operator::InstanceOf => {
                self.advance()?;
                self.expect_word("of")?;
                let kind = self.kind()?;
                self.add(Node::InstanceOf(left, Box::new(kind)))
            }
            Operator::Sum => self.chain(left, Level::Product),
            Operator::Product => self.chain(left, Level::Power),
            Operator::Power => {
                self.advance()?;
                let right = self.binary(Level::Unary)?;
                self.add(Node::Power(left, right))
            }
        }
    }

    fn operands(&mut self, word: &str, level: Level, first: NodeId) -> Parsed<Box<[NodeId]>> {
        let mut operands = vec![first];
        while self.eat_word(word)? {
            operands.push(self.binary(level)?);
        }
        Ok(operands.into_boxed_slice())
    }

    /// A run of additions and subtractions, or of multiplications and divisions: one node, however long.
    fn chain(&mut self, first: NodeId, operand_level: Level) -> Parsed<NodeId> {
        let mut rest = Vec::new();
        while let TokenKind::Symbol(symbol) = self.token.kind {
            let operator = match (symbol, operand_level) {
                ("+", Level::Product) => Arithmetic::Add,
                ("-", Level::Product) => Arithmetic::Subtract,
                ("*", Level::Power) => Arithmetic::Multiply,
                ("/", Level::Power) => Arithmetic::Divide,
                _ => break,
            };
            self.advance()?;
            rest.push((operator, self.binary(operand_level)?));
        }
        self.add(Node::Chain {
            first,
            rest: rest.into_boxed_slice(),
        })
    }

    fn unary(&mut self) -> Parsed<NodeId> {
        if !self.is_symbol("-") {
            return self.postfix();
        }
        self.advance()?;
        let operand = self.nested(Parser::unary)?;
        let negated = match self.arena.node(operand) {
            Node::Literal(Value::Number(number)) => Node::Literal(Value::Number(number.negate())),
            _ => Node::Negate(operand),
        };
        self.add(negated)
    }

    fn postfix(&mut self) -> Parsed<NodeId> {
        let node = self.primary()?;
        self.postfix_of(node)
    }

    /// The paths, filters and calls that follow an operand.
    pub(super) fn postfix_of(&mut self, mut node: NodeId) -> Parsed<NodeId> {
        loop {
            if self.is_symbol(".") {
                node = self.path(node)?;
            } else if self.is_symbol("[") && !self.closes_range()? {
                node = self.filter(node)?;
            } else if self.is_symbol("(") && self.may_be_called(node) {
                node = self.call(node, &Arc::from("a value"))?;
            } else {
                return Ok(node);
            }
        }
    }

    /// Only what can be a function is called: a number before a parenthesis is a mistake.
    fn may_be_called(&self, node: NodeId) -> bool {
        !matches!(
            self.arena.node(node),
            Node::Literal(_) | Node::List(_) | Node::Context(_)
        )
    }

    fn path(&mut self, base: NodeId) -> Parsed<NodeId> {
        let mut names: Vec<Arc<str>> = Vec::new();
        while self.eat_symbol(".")? {
            let name: Arc<str> = match self.token.kind {
                TokenKind::Name => match self.property_name() {
                    Some((name, end)) => {
                        names.push(name);
                        self.continue_at(end)?;
                        continue;
                    }
                    None => self.text(self.token).into(),
                },
                TokenKind::QuotedName => self.quoted_name(),
                _ => return Err(self.unexpected("a property name")),
            };
            self.advance()?;
            names.push(name);
        }
        self.add(Node::Path {
            base,
            names: names.into_boxed_slice(),
        })
    }

    /// Names of several words: those that are known, and the properties of ranges.
    fn property_name(&mut self) -> Option<(Arc<str>, usize)> {
        if let Some(found) = self.spaced_name() {
            return Some(found);
        }
        let source = &self.lexer.source[self.token.start..];
        let property = ["start included", "end included", "time offset"]
            .into_iter()
            .find(|property| source.starts_with(property))?;
        Some((property.into(), self.token.start + property.len()))
    }

    fn filter(&mut self, list: NodeId) -> Parsed<NodeId> {
        self.expect_symbol("[")?;
        self.bind_item()?;
        self.repeating += 1;
        let in_range_end = std::mem::replace(&mut self.in_range_end, false);
        let predicate = self.expression()?;
        self.in_range_end = in_range_end;
        self.unbind_item();
        self.repeating -= 1;
        self.expect_symbol("]")?;
        self.add(Node::Filter {
            list,
            predicate,
            judgement: Judgement::Lenient,
        })
    }
}

pub(super) fn comparison(symbol: &str) -> Option<Comparison> {
    Some(match symbol {
        "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

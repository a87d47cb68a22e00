//! Literals, names, and the expressions that begin with a word: if, for, some, every, function.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{FunctionDefinition, Iteration, Judgement, Node, NodeId, Parameter};
use crate::builtins;
use crate::lexer::{TokenKind, unescape};
use crate::temporal::parse_literal;
use crate::value::Value;

/// Words that can't be names.
const RESERVED: [&str; 9] = [
    "and",
    "or",
    "then",
    "else",
    "return",
    "satisfies",
    "in",
    "between",
    "of",
];

/// Iterators, and the names that they bound.
type Iterations = (Box<[Iteration]>, Vec<Arc<str>>);

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed<NodeId> {
        match self.token.kind {
            TokenKind::Number => self.number(),
            TokenKind::String => {
                let text = unescape(self.text(self.token));
                self.advance()?;
                self.add(Node::Literal(Value::from(text)))
            }
            TokenKind::Name => self.word(),
            TokenKind::QuotedName => {
                let name = self.quoted_name();
                self.advance()?;
                self.named(&name)
            }
            TokenKind::Symbol("(") => self.parenthesis(),
            TokenKind::Symbol("[") => self.bracket(),
            TokenKind::Symbol("]") => self.open_range(),
            TokenKind::Symbol("{") => self.context(),
            TokenKind::Symbol("@") => self.at_literal(),
            TokenKind::Symbol(_) | TokenKind::End => Err(self.unexpected("an expression")),
        }
    }

    pub(super) fn quoted_name(&self) -> Arc<str> {
        let text = self.text(self.token);
        text[1..text.len() - 1].into()
    }

    fn number(&mut self) -> Parsed<NodeId> {
        let number = self.text(self.token).parse();
        let number =
            number.map_err(|error| self.invalid_at(self.token.start, &format!("{error}")))?;
        self.advance()?;
        self.add(Node::Literal(Value::Number(number)))
    }

    fn at_literal(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        if self.token.kind != TokenKind::String {
            return Err(self.unexpected("a string after '@'"));
        }
        let value = parse_literal(&unescape(self.text(self.token)));
        self.advance()?;
        self.add(Node::Literal(value.unwrap_or(Value::Null)))
    }

    fn word(&mut self) -> Parsed<NodeId> {
        if let Some((name, end)) = self.spaced_name() {
            self.continue_at(end)?;
            return self.named(&name);
        }
        let word = self.text(self.token);
        let value = match word {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            "null" => Value::Null,
            "if" => return self.conditional(),
            "for" => return self.iteration(),
            "some" | "every" => return self.quantified(),
            "function" => return self.function(),
            // Older names of `all` and `any` in Camunda.
            "and" | "or" if self.peek()?.kind == TokenKind::Symbol("(") => {
                let name = if word == "and" { "all" } else { "any" };
                let builtin = builtins::find(name).expect("all and any are built-in functions");
                self.advance()?;
                return self.builtin_call(builtin);
            }
            _ if RESERVED.contains(&word) => return Err(self.unexpected("an expression")),
            _ => return self.name(),
        };
        self.advance()?;
        self.add(Node::Literal(value))
    }

    fn name(&mut self) -> Parsed<NodeId> {
        let builtin = builtins::find_spaced(self.lexer.source, self.token.start);
        if let Some((builtin, end)) = builtin {
            self.continue_at(end)?;
            return self.builtin_call(builtin);
        }
        let name: Arc<str> = self.text(self.token).into();
        self.advance()?;
        if self.is_symbol("(")
            && !self.is_bound(&name)
            && let Some(builtin) = builtins::find(&name)
        {
            return self.builtin_call(builtin);
        }
        self.named(&name)
    }

    /// A name that is no built-in function called by name: a variable, or a call of one.
    fn named(&mut self, name: &Arc<str>) -> Parsed<NodeId> {
        let node = self.variable(name)?;
        if self.is_symbol("(") {
            self.call(node, name)
        } else {
            Ok(node)
        }
    }

    fn conditional(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        let condition = self.expression()?;
        self.expect_word("then")?;
        let then = self.expression()?;
        self.expect_word("else")?;
        let otherwise = self.expression()?;
        self.add(Node::If {
            condition,
            then,
            otherwise,
            judgement: Judgement::Lenient,
        })
    }

    fn iteration(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        let partial: Arc<str> = "partial".into();
        self.repeating += 1;
        self.bind(&partial)?;
        let (iterations, names) = self.iterations()?;
        self.expect_word("return")?;
        let reads_before = self.partial_reads;
        let body = self.expression()?;
        names.iter().rev().for_each(|name| self.unbind(name));
        self.unbind(&partial);
        self.repeating -= 1;
        let reads_partial = self.partial_reads > reads_before;
        self.add(Node::For {
            iterations,
            body,
            reads_partial,
        })
    }

    fn quantified(&mut self) -> Parsed<NodeId> {
        let every = self.is_word("every");
        self.advance()?;
        self.repeating += 1;
        let (iterations, names) = self.iterations()?;
        self.expect_word("satisfies")?;
        let body = self.expression()?;
        names.iter().rev().for_each(|name| self.unbind(name));
        self.repeating -= 1;
        self.add(Node::Quantified {
            every,
            iterations,
            body,
            judgement: Judgement::Lenient,
        })
    }

    /// `name in list, …`; each name is bound when the next list is read.
    fn iterations(&mut self) -> Parsed<Iterations> {
        let mut iterations = Vec::new();
        let mut names = Vec::new();
        loop {
            let name = self.new_name(&["in"])?;
            self.expect_word("in")?;
            let list = self.expression()?;
            let end = if self.eat_symbol("..")? {
                Some(self.expression()?)
            } else {
                None
            };
            iterations.push(Iteration { list, end });
            self.bind(&name)?;
            names.push(name);
            if !self.eat_symbol(",")? {
                return Ok((iterations.into_boxed_slice(), names));
            }
        }
    }

    fn function(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        self.expect_symbol("(")?;
        let mut parameters = Vec::new();
        while !self.eat_symbol(")")? {
            let name = self.new_name(&[",", ")", ":"])?;
            let kind = if self.eat_symbol(":")? {
                Some(self.kind()?)
            } else {
                None
            };
            parameters.push(Parameter { name, kind });
            if !self.is_symbol(")") {
                self.expect_symbol(",")?;
            }
        }
        let external = self.eat_word("external")?;
        self.open_frame();
        for parameter in &parameters {
            self.bind(&parameter.name)?;
        }
        let body = self.expression()?;
        let captures = self.close_frame().into_boxed_slice();
        if external {
            // External functions are never run: whoever calls one gets null.
            return self.add(Node::Literal(Value::Null));
        }
        let parameters = parameters.into_boxed_slice();
        self.add(Node::Function(Box::new(FunctionDefinition {
            parameters,
            captures,
            body,
        })))
    }

    fn context(&mut self) -> Parsed<NodeId> {
        self.advance()?;
        let mut entries: Vec<(Arc<str>, NodeId)> = Vec::new();
        while !self.is_symbol("}") {
            let key = self.key()?;
            self.expect_symbol(":")?;
            let value = self.expression()?;
            self.bind(&key)?;
            entries.push((key, value));
            if !self.is_symbol("}") {
                self.expect_symbol(",")?;
            }
        }
        self.advance()?;
        entries.iter().rev().for_each(|(key, _)| self.unbind(key));
        self.add(Node::Context(entries.into_boxed_slice()))
    }

    fn key(&mut self) -> Parsed<Arc<str>> {
        if self.token.kind == TokenKind::String {
            let key = unescape(self.text(self.token));
            self.advance()?;
            return Ok(key.into());
        }
        self.new_name(&[":"])
    }
}

//! Arguments of calls, by position or by name.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{Node, NodeId};
use crate::builtins::{Builtin, Signature};
use crate::lexer::{Token, TokenKind};

/// Arguments as written.
struct Arguments {
    values: Vec<NodeId>,
    /// Present when they were given by name.
    names: Option<Vec<Arc<str>>>,
}

impl Parser<'_> {
    /// A call of whatever `callee` evaluates to.
    pub(super) fn call(&mut self, callee: NodeId, name: &Arc<str>) -> Parsed<NodeId> {
        let arguments = self.arguments()?;
        self.add(Node::Call {
            callee,
            name: name.clone(),
            arguments: arguments.values.into_boxed_slice(),
            names: arguments.names.map(Vec::into_boxed_slice),
        })
    }

    /// A call of a built-in function; which of its signatures is meant is decided here.
    pub(super) fn builtin_call(&mut self, builtin: &'static Builtin) -> Parsed<NodeId> {
        let arguments = self.arguments()?;
        let count = arguments.values.len();
        let found = match &arguments.names {
            None => by_position(builtin, arguments.values),
            Some(names) => by_name(builtin, names, &arguments.values),
        };
        self.add_builtin_call(builtin, found, count)
    }

    /// A call of a built-in function with arguments that are compiled already.
    pub(super) fn builtin_call_by_name(
        &mut self,
        builtin: &'static Builtin,
        names: &[Arc<str>],
        values: &[NodeId],
    ) -> Parsed<NodeId> {
        self.add_builtin_call(builtin, by_name(builtin, names, values), values.len())
    }

    fn add_builtin_call(
        &mut self,
        builtin: &'static Builtin,
        found: Option<Resolved>,
        count: usize,
    ) -> Parsed<NodeId> {
        match found {
            Some((signature, arguments)) => self.add(Node::Builtin {
                signature,
                arguments,
            }),
            None => self.add(Node::NoFunction {
                name: builtin.name.into(),
                arguments: count,
            }),
        }
    }

    fn arguments(&mut self) -> Parsed<Arguments> {
        self.expect_symbol("(")?;
        let before = std::mem::replace(&mut self.in_range_end, false);
        let mut values = Vec::new();
        let mut names: Vec<Arc<str>> = Vec::new();
        while !self.is_symbol(")") {
            if let Some(name) = self.argument_name()? {
                names.push(name);
            }
            values.push(self.expression()?);
            if !self.is_symbol(")") {
                self.expect_symbol(",")?;
            }
        }
        self.in_range_end = before;
        self.advance()?;
        if names.is_empty() {
            return Ok(Arguments {
                values,
                names: None,
            });
        }
        if names.len() != values.len() {
            return Err(self.invalid_at(
                self.token.start,
                "arguments are given either all by name or all by position",
            ));
        }
        Ok(Arguments {
            values,
            names: Some(names),
        })
    }

    /// Reads `name:` if that is what comes next.
    fn argument_name(&mut self) -> Parsed<Option<Arc<str>>> {
        let start = self.token;
        if start.kind == TokenKind::QuotedName && self.peek()?.kind == TokenKind::Symbol(":") {
            let name = self.quoted_name();
            self.advance()?;
            self.advance()?;
            return Ok(Some(name));
        }
        if !self.words_before_colon()? {
            self.move_to(start);
            return Ok(None);
        }
        self.move_to(start);
        let name = self.new_name(&[":"])?;
        self.expect_symbol(":")?;
        Ok(Some(name))
    }

    fn words_before_colon(&mut self) -> Parsed<bool> {
        // A parameter's name has few words: the bound keeps looking ahead cheap.
        for _ in 0..ARGUMENT_NAME_TOKENS_MAX {
            match self.token {
                Token {
                    kind: TokenKind::Name | TokenKind::Number,
                    ..
                } => {}
                Token {
                    kind: TokenKind::Symbol("-" | "'" | "+"),
                    ..
                } => {}
                Token {
                    kind: TokenKind::Symbol(":"),
                    ..
                } => return Ok(true),
                _ => return Ok(false),
            }
            self.token = self.lexer.next()?;
        }
        Ok(false)
    }
}

const ARGUMENT_NAME_TOKENS_MAX: usize = 12;

type Resolved = (&'static Signature, Box<[Option<NodeId>]>);

fn by_position(builtin: &'static Builtin, values: Vec<NodeId>) -> Option<Resolved> {
    let signature = builtin
        .signatures
        .iter()
        .find(|signature| signature.takes(values.len()))?;
    Some((signature, values.into_iter().map(Some).collect()))
}

fn by_name(builtin: &'static Builtin, names: &[Arc<str>], values: &[NodeId]) -> Option<Resolved> {
    builtin.signatures.iter().find_map(|signature| {
        let mut arguments: Vec<Option<NodeId>> = vec![None; signature.parameters.len()];
        for (name, value) in names.iter().zip(values) {
            let at = signature
                .parameters
                .iter()
                .position(|parameter| *parameter == &**name)?;
            if arguments[at].replace(*value).is_some() {
                return None;
            }
        }
        if arguments
            .iter()
            .take(signature.required)
            .any(Option::is_none)
        {
            return None;
        }
        while arguments.last().is_some_and(Option::is_none) {
            arguments.pop();
        }
        Some((signature, arguments.into_boxed_slice()))
    })
}

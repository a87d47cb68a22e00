//! Boxed expressions into the same arena as texts, so that names, slots, nesting and fuel are one thing.
//!
//! Each text has a lexer of its own; when compiling fails, the parser's lexer holds the text that is to blame.

use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{
    FunctionDefinition, Iteration, Judgement, Kind, Node, NodeId, OutputNode, Parameter, RuleNode,
    TableNode, Tests,
};
use crate::boxed::{Boxed, Table, TableInput, TableOutput};
use crate::builtins;
use crate::error::ParseErrorCause;
use crate::lexer::{Lexer, TokenKind};
use crate::limits::SOURCE_BYTES_MAX;
use crate::value::Value;

type Entries<'s> = [(Arc<str>, Boxed<'s>)];

impl<'s> Parser<'s> {
    pub(super) fn boxed(&mut self, boxed: &Boxed<'s>) -> Parsed<NodeId> {
        self.nested(|parser| parser.boxed_inner(boxed))
    }

    fn boxed_inner(&mut self, boxed: &Boxed<'s>) -> Parsed<NodeId> {
        match boxed {
            Boxed::Nothing => self.add(Node::Literal(Value::Null)),
            Boxed::Text(text) => self.whole_text(text),
            Boxed::Name(name) => self.variable(name),
            Boxed::Context(entries) => self.boxed_context(entries),
            Boxed::With { entries, result } => self.boxed_with(entries, result),
            Boxed::Record(entries) => self.boxed_record(entries),
            Boxed::List(items) => {
                let items: Parsed<Vec<NodeId>> =
                    items.iter().map(|item| self.boxed(item)).collect();
                self.add(Node::List(items?.into_boxed_slice()))
            }
            Boxed::Function { parameters, body } => self.boxed_function(parameters, body),
            Boxed::Invocation {
                function,
                arguments,
            } => self.boxed_invocation(function, arguments),
            Boxed::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let (condition, then) = (self.boxed(condition)?, self.boxed(then)?);
                let otherwise = self.boxed(otherwise)?;
                self.add(Node::If {
                    condition,
                    then,
                    otherwise,
                    judgement: Judgement::Strict,
                })
            }
            Boxed::Filter { list, condition } => self.boxed_filter(list, condition),
            Boxed::For {
                variable,
                list,
                body,
            } => self.boxed_for(variable, list, body),
            Boxed::Quantified {
                every,
                variable,
                list,
                condition,
            } => self.boxed_quantified(*every, variable, list, condition),
            Boxed::Table(table) => self.table(table),
            Boxed::Typed(value, kind) => {
                let value = self.boxed(value)?;
                let kind = Box::new(kind.clone());
                self.add(Node::Typed { value, kind })
            }
            Boxed::Checked(value, kind) => {
                let value = self.boxed(value)?;
                let kind = Box::new(kind.clone());
                self.add(Node::Checked { value, kind })
            }
        }
    }

    /// Goes on with another text.
    fn begin_text(&mut self, text: &'s str) -> Parsed<()> {
        self.lexer = Lexer::new(text);
        if text.len() > SOURCE_BYTES_MAX {
            return Err(Box::new(ParseErrorCause::TooLong { bytes: text.len() }));
        }
        self.advance()
    }

    /// A text that is an expression from its beginning to its end; an empty one is null.
    fn whole_text(&mut self, text: &'s str) -> Parsed<NodeId> {
        self.begin_text(text)?;
        if self.token.kind == TokenKind::End {
            return self.add(Node::Literal(Value::Null));
        }
        let node = self.expression()?;
        self.expect_end()?;
        Ok(node)
    }

    fn boxed_entries(&mut self, entries: &Entries<'s>) -> Parsed<Vec<(Arc<str>, NodeId)>> {
        let mut nodes = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            let node = self.boxed(value)?;
            self.bind(name)?;
            nodes.push((name.clone(), node));
        }
        Ok(nodes)
    }

    fn unbind_all(&mut self, entries: &Entries<'s>) {
        entries.iter().rev().for_each(|(name, _)| self.unbind(name));
    }

    fn boxed_context(&mut self, entries: &Entries<'s>) -> Parsed<NodeId> {
        let nodes = self.boxed_entries(entries)?;
        self.unbind_all(entries);
        self.add(Node::Context(nodes.into_boxed_slice()))
    }

    fn boxed_with(&mut self, entries: &Entries<'s>, result: &Boxed<'s>) -> Parsed<NodeId> {
        let nodes = self.boxed_entries(entries)?;
        let result = self.boxed(result)?;
        self.unbind_all(entries);
        let entries = nodes.into_iter().map(|(_, node)| node).collect();
        self.add(Node::With { entries, result })
    }

    fn boxed_record(&mut self, entries: &Entries<'s>) -> Parsed<NodeId> {
        // A name that no text can hold: the entries take their slots and stay unseen.
        let unseen: Arc<str> = "\0".into();
        let mut nodes = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            nodes.push((name.clone(), self.boxed(value)?));
            self.bind_unseen(&unseen)?;
        }
        entries.iter().for_each(|_| self.unbind(&unseen));
        self.add(Node::Context(nodes.into_boxed_slice()))
    }

    fn boxed_function(
        &mut self,
        parameters: &[(Arc<str>, Option<Kind>)],
        body: &Boxed<'s>,
    ) -> Parsed<NodeId> {
        self.open_frame();
        for (name, _) in parameters {
            self.bind(name)?;
        }
        let body = self.boxed(body)?;
        let captures = self.close_frame().into_boxed_slice();
        let parameters = parameters.iter().map(|(name, kind)| Parameter {
            name: name.clone(),
            kind: kind.clone(),
        });
        self.add(Node::Function(Box::new(FunctionDefinition {
            parameters: parameters.collect(),
            captures,
            body,
        })))
    }

    fn boxed_invocation(
        &mut self,
        function: &Boxed<'s>,
        arguments: &Entries<'s>,
    ) -> Parsed<NodeId> {
        let name: Arc<str> = match function {
            Boxed::Text(text) => text.trim().into(),
            _ => "function".into(),
        };
        let builtin = builtins::find(&name).filter(|_| !self.is_bound(&name));
        let callee = match builtin {
            Some(_) => None,
            None => Some(self.boxed(function)?),
        };
        let mut names = Vec::with_capacity(arguments.len());
        let mut values = Vec::with_capacity(arguments.len());
        for (name, value) in arguments {
            names.push(name.clone());
            values.push(self.boxed(value)?);
        }
        match (callee, builtin) {
            (Some(callee), _) => self.add(Node::Call {
                callee,
                name,
                arguments: values.into_boxed_slice(),
                names: (!names.is_empty()).then(|| names.into_boxed_slice()),
            }),
            (None, Some(builtin)) => self.builtin_call_by_name(builtin, &names, &values),
            (None, None) => unreachable!("what is no built-in function is compiled"),
        }
    }

    fn boxed_filter(&mut self, list: &Boxed<'s>, condition: &Boxed<'s>) -> Parsed<NodeId> {
        let list = self.boxed(list)?;
        self.bind_item()?;
        self.repeating += 1;
        let predicate = self.boxed(condition)?;
        self.repeating -= 1;
        self.unbind_item();
        self.add(Node::Filter {
            list,
            predicate,
            judgement: Judgement::Strict,
        })
    }

    fn boxed_for(
        &mut self,
        variable: &Arc<str>,
        list: &Boxed<'s>,
        body: &Boxed<'s>,
    ) -> Parsed<NodeId> {
        let partial: Arc<str> = "partial".into();
        self.repeating += 1;
        self.bind(&partial)?;
        let list = self.boxed(list)?;
        self.bind(variable)?;
        let reads_before = self.partial_reads;
        let body = self.boxed(body)?;
        self.unbind(variable);
        self.unbind(&partial);
        self.repeating -= 1;
        self.add(Node::For {
            iterations: Box::new([Iteration { list, end: None }]),
            body,
            reads_partial: self.partial_reads > reads_before,
        })
    }

    fn boxed_quantified(
        &mut self,
        every: bool,
        variable: &Arc<str>,
        list: &Boxed<'s>,
        condition: &Boxed<'s>,
    ) -> Parsed<NodeId> {
        self.repeating += 1;
        let list = self.boxed(list)?;
        self.bind(variable)?;
        let body = self.boxed(condition)?;
        self.unbind(variable);
        self.repeating -= 1;
        self.add(Node::Quantified {
            every,
            iterations: Box::new([Iteration { list, end: None }]),
            body,
            judgement: Judgement::Strict,
        })
    }

    fn table(&mut self, table: &Table<'s>) -> Parsed<NodeId> {
        let mut inputs = Vec::with_capacity(table.inputs.len());
        for TableInput { value, allowed } in &table.inputs {
            inputs.push((self.boxed(value)?, self.optional_tests(*allowed)?));
        }
        let mut outputs = Vec::with_capacity(table.outputs.len());
        for output in &table.outputs {
            outputs.push(self.table_output(output)?);
        }
        let mut rules = Vec::with_capacity(table.rules.len());
        // What one rule reads may be read by the next again.
        self.repeating += 1;
        for rule in &table.rules {
            let tests: Parsed<Vec<_>> = rule.tests.iter().map(|text| self.cell(text)).collect();
            let outputs: Parsed<Vec<_>> = rule
                .outputs
                .iter()
                .map(|text| self.whole_text(text))
                .collect();
            rules.push(RuleNode {
                tests: tests?.into_boxed_slice(),
                outputs: outputs?.into_boxed_slice(),
            });
        }
        self.repeating -= 1;
        self.add(Node::Table(Box::new(TableNode {
            inputs: inputs.into_boxed_slice(),
            outputs: outputs.into_boxed_slice(),
            rules: rules.into_boxed_slice(),
            hit_policy: table.hit_policy,
            on_violation: table.on_violation,
        })))
    }

    fn table_output(&mut self, output: &TableOutput<'s>) -> Parsed<OutputNode> {
        Ok(OutputNode {
            name: output.name.clone(),
            allowed: self.optional_tests(output.allowed)?,
            default: match output.default {
                Some(text) => Some(self.whole_text(text)?),
                None => None,
            },
            kind: output.kind.clone(),
        })
    }

    fn optional_tests(&mut self, text: Option<&'s str>) -> Parsed<Option<Tests>> {
        match text {
            Some(text) => self.cell(text),
            None => Ok(None),
        }
    }

    /// Unary tests of a value whose slot is the next one; `None` where everything passes.
    fn cell(&mut self, text: &'s str) -> Parsed<Option<Tests>> {
        if matches!(text.trim(), "" | "-") {
            return Ok(None);
        }
        let input: Arc<str> = "?".into();
        self.begin_text(text)?;
        self.bind(&input)?;
        let tests = self.whole_tests()?;
        self.expect_end()?;
        self.unbind(&input);
        Ok(Some(tests))
    }
}

//! Calls of functions, built-in and defined.

use std::sync::Arc;

use super::{Evaluated, Evaluator, Frame};
use crate::ast::{FunctionDefinition, Node, NodeId};
use crate::builtins::{Args, Refusal, Signature};
use crate::error::WarningKind;
use crate::function::{Body, Closure, Function};
use crate::value::Value;

/// Arguments that are passed without an allocation.
const INLINE_ARGUMENTS: usize = 4;

impl Evaluator<'_> {
    pub(super) fn builtin(
        &mut self,
        frame: &Frame<'_>,
        signature: &'static Signature,
        arguments: &[Option<NodeId>],
    ) -> Evaluated {
        if signature.reads_names {
            return self.is_defined(frame, arguments);
        }
        if arguments.len() <= INLINE_ARGUMENTS {
            let mut values = [const { Value::Null }; INLINE_ARGUMENTS];
            for (value, argument) in values.iter_mut().zip(arguments) {
                if let Some(argument) = argument {
                    *value = self.eval(frame, *argument)?;
                }
            }
            return self.run_builtin(signature, &values[..arguments.len()]);
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(match argument {
                Some(argument) => self.eval(frame, *argument)?,
                None => Value::Null,
            });
        }
        self.run_builtin(signature, &values)
    }

    pub(crate) fn run_builtin(
        &mut self,
        signature: &'static Signature,
        values: &[Value],
    ) -> Evaluated {
        match (signature.run)(self, Args::new(values, signature)) {
            Ok(value) => Ok(value),
            Err(Refusal::Stop(stop)) => Err(stop),
            Err(Refusal::Null(reason)) => {
                Ok(self.null(WarningKind::FunctionInvocationFailure, || reason))
            }
            Err(Refusal::Silent) => Ok(Value::Null),
        }
    }

    /// `is defined(value)`: whether a variable or an entry of a context exists, be it null.
    fn is_defined(&mut self, frame: &Frame<'_>, arguments: &[Option<NodeId>]) -> Evaluated {
        let Some(Some(argument)) = arguments.first() else {
            return Ok(Value::Boolean(false));
        };
        let warnings = self.warnings.len();
        let defined = match frame.program.node(*argument) {
            Node::Global(slot) => self.global_if_found(frame, *slot).is_some(),
            Node::Path { base, names } => self.path_exists(frame, *base, names)?,
            Node::Literal(Value::Null) => true,
            _ => {
                self.eval(frame, *argument)?;
                // A name in a filter that is found nowhere warns.
                !self.warnings[warnings.min(self.warnings.len())..]
                    .iter()
                    .any(|warning| warning.kind == WarningKind::NoVariableFound)
            }
        };
        self.warnings.truncate(warnings);
        Ok(Value::Boolean(defined))
    }

    fn path_exists(
        &mut self,
        frame: &Frame<'_>,
        base: NodeId,
        names: &[Arc<str>],
    ) -> Evaluated<bool> {
        let mut value = self.eval(frame, base)?;
        for name in names {
            let Value::Context(context) = &value else {
                return Ok(!self.member(&value, name)?.is_null());
            };
            let Some(found) = context.get(name).cloned() else {
                return Ok(false);
            };
            value = found;
        }
        Ok(true)
    }

    pub(super) fn no_function(&mut self, name: &str, arguments: usize) -> Value {
        self.null(WarningKind::NoFunctionFound, || {
            format!("No function found with name '{name}' and {arguments} such parameters")
        })
    }

    pub(super) fn call(
        &mut self,
        frame: &Frame<'_>,
        callee: NodeId,
        name: &str,
        arguments: &[NodeId],
        names: Option<&[Arc<str>]>,
    ) -> Evaluated {
        let callee = match frame.program.node(callee) {
            Node::Global(slot) => self.global_if_found(frame, *slot).unwrap_or(Value::Null),
            _ => self.eval(frame, callee)?,
        };
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.eval(frame, *argument)?);
        }
        let Value::Function(function) = callee else {
            return Ok(self.no_function(name, arguments.len()));
        };
        if let Some(names) = names {
            values = match in_order(&function, names, values) {
                Some(values) => values,
                None => return Ok(self.no_function(name, arguments.len())),
            };
        }
        self.invoke(&function, values)
    }

    /// Calls a function with arguments by position; null, with a warning, if they don't fit.
    pub(crate) fn invoke(&mut self, function: &Function, values: Vec<Value>) -> Evaluated {
        match &function.body {
            Body::Defined(closure) => self.invoke_closure(closure, values),
            Body::Builtin(builtin) => {
                let found = builtin.signatures.iter().find(|s| s.takes(values.len()));
                match found {
                    Some(signature) => self.run_builtin(signature, &values),
                    None => Ok(self.no_function(builtin.name, values.len())),
                }
            }
        }
    }

    fn invoke_closure(&mut self, closure: &Closure, values: Vec<Value>) -> Evaluated {
        let definition = closure.definition();
        if values.len() != definition.parameters.len() {
            return Ok(self.no_function("function", values.len()));
        }
        let base = self.locals.len();
        for (parameter, value) in definition.parameters.iter().zip(values) {
            let value = match &parameter.kind {
                Some(kind) => match kind.convert(value) {
                    Some(value) => value,
                    None => {
                        self.locals.truncate(base);
                        return Ok(self.null(WarningKind::FunctionInvocationFailure, || {
                            format!("parameter '{}' has another type", parameter.name)
                        }));
                    }
                },
                None => value,
            };
            self.locals.push(value);
        }
        let frame = Frame {
            program: &closure.program,
            captured: &closure.captured,
            base,
        };
        let result = self.eval(&frame, definition.body)?;
        self.locals.truncate(base);
        Ok(result)
    }

    pub(super) fn function_value(
        &mut self,
        frame: &Frame<'_>,
        node: NodeId,
        definition: &FunctionDefinition,
    ) -> Evaluated {
        let mut captured = Vec::with_capacity(definition.captures.len());
        for capture in &definition.captures {
            captured.push(match frame.program.node(*capture) {
                Node::Global(slot) => self.global_if_found(frame, *slot),
                Node::Captured {
                    index,
                    global: Some(_),
                } => frame.captured[usize::from(*index)].clone(),
                _ => Some(self.eval(frame, *capture)?),
            });
        }
        self.charge_elements(captured.len())?;
        let function = Function::closure(frame.program.clone(), node, captured.into())?;
        Ok(Value::Function(Arc::new(function)))
    }
}

/// Arguments given by name, in the order of the parameters.
fn in_order(function: &Function, names: &[Arc<str>], values: Vec<Value>) -> Option<Vec<Value>> {
    let parameters = function.parameters();
    if parameters.len() != names.len() {
        return None;
    }
    parameters
        .iter()
        .map(|parameter| {
            let at = names.iter().position(|name| **name == **parameter)?;
            values.get(at).cloned()
        })
        .collect()
}

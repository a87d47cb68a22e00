//! Functions as values: a definition of some program together with what it took along.

use std::fmt;
use std::sync::Arc;

use crate::ast::{FunctionDefinition, Node, NodeId, Program};
use crate::builtins::Builtin;
use crate::value::{Extent, Value, ValueLimit};

/// A function value.
pub struct Function {
    extent: Extent,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Defined(Closure),
    /// A built-in function passed by name, as in `sort(list, before)`.
    Builtin(&'static Builtin),
}

pub(crate) struct Closure {
    pub(crate) program: Arc<Program>,
    node: NodeId,
    /// `None` where a variable had no value.
    pub(crate) captured: Box<[Option<Value>]>,
}

impl Function {
    pub(crate) fn closure(
        program: Arc<Program>,
        node: NodeId,
        captured: Box<[Option<Value>]>,
    ) -> Result<Function, ValueLimit> {
        let extent = Extent::over(captured.iter().flatten())?;
        Ok(Function {
            extent,
            body: Body::Defined(Closure {
                program,
                node,
                captured,
            }),
        })
    }

    pub(crate) fn builtin(builtin: &'static Builtin) -> Function {
        Function {
            extent: Extent::EMPTY,
            body: Body::Builtin(builtin),
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// Names of the parameters; empty for a built-in function, which may have several signatures.
    pub fn parameters(&self) -> Vec<&str> {
        match &self.body {
            Body::Defined(closure) => closure
                .definition()
                .parameters
                .iter()
                .map(|parameter| &*parameter.name)
                .collect(),
            Body::Builtin(_) => Vec::new(),
        }
    }
}

impl Closure {
    pub(crate) fn definition(&self) -> &FunctionDefinition {
        match self.program.node(self.node) {
            Node::Function(definition) => definition,
            other => panic!("a closure's node must be a function definition, found {other:?}"),
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Defined(_) => write!(f, "function({})", self.parameters().join(", ")),
            Body::Builtin(builtin) => write!(f, "function {}", builtin.name),
        }
    }
}

//! The compiled form: nodes in one arena, names resolved to slots.
//!
//! Invariants: a node's children come before it in the arena, so the tree can't be cyclic; its depth is at most
//! `EXPRESSION_DEPTH_MAX`, checked as each node is added, so the evaluator may recurse; dropping is a loop.

use std::sync::Arc;

use crate::boxed::{HitPolicy, Violation};
use crate::builtins::Signature;
use crate::error::ParseErrorCause;
use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::value::Value;

/// Index of a node in its program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeId(pub(crate) u32);

/// Arithmetic that associates to the left and is kept as a chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What becomes of a condition that is neither a boolean nor null.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    /// In texts it counts as not true, with a warning.
    Lenient,
    /// In boxes the whole is null.
    Strict,
}

/// One iterator of `for`, `some` or `every`; its value gets the next free slot.
#[derive(Clone, Debug)]
pub(crate) struct Iteration {
    pub(crate) list: NodeId,
    /// The end of `for x in a..b`, where `list` is then the start.
    pub(crate) end: Option<NodeId>,
}

impl Iteration {
    fn children(&self) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.list).chain(self.end)
    }
}

/// One test of `in` or of a unary test list.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// `-`: everything passes.
    Any,
    /// `< 5`
    Compare(Comparison, NodeId),
    /// A value, list, range or boolean condition; whether it reads `?` decides how a boolean counts.
    Expression { node: NodeId, reads_input: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct Tests {
    pub(crate) tests: Box<[Test]>,
    pub(crate) negated: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct FunctionDefinition {
    pub(crate) parameters: Box<[Parameter]>,
    /// Nodes of the enclosing frame whose values the function takes along.
    pub(crate) captures: Box<[NodeId]>,
    pub(crate) body: NodeId,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Option<Kind>,
}

/// The entries that a context type asks for.
pub type EntryKinds = Arc<[(Arc<str>, Kind)]>;

/// A type as written after `instance of` or for a parameter. Cheap to clone. Whoever makes one bounds its nesting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    Any,
    Null,
    Boolean,
    Number,
    String,
    Date,
    Time,
    DateTime,
    DaysTimeDuration,
    YearsMonthsDuration,
    List(Option<Arc<Kind>>),
    Context(Option<EntryKinds>),
    Range(Option<Arc<Kind>>),
    Function(Option<usize>),
    /// A name that is no built-in type; nothing is an instance of it.
    Unknown(Arc<str>),
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Literal(Value),
    /// A slot of the current frame.
    Local(u16),
    /// A value that the current function took along; `global` names the variable to ask the scope for when it had
    /// no value at that time.
    Captured {
        index: u16,
        global: Option<u16>,
    },
    Global(u16),
    /// A bare name in a filter: an entry of the item, or whatever the name means outside.
    ItemMember {
        item: NodeId,
        name: Arc<str>,
        otherwise: NodeId,
    },
    List(Box<[NodeId]>),
    /// Each entry's value gets the next free slot, where later entries see it.
    Context(Box<[(Arc<str>, NodeId)]>),
    Range {
        start: Option<NodeId>,
        end: Option<NodeId>,
        start_included: bool,
        end_included: bool,
    },
    Negate(NodeId),
    Chain {
        first: NodeId,
        rest: Box<[(Arithmetic, NodeId)]>,
    },
    Power(NodeId, NodeId),
    Compare(Comparison, NodeId, NodeId),
    And(Box<[NodeId]>),
    Or(Box<[NodeId]>),
    Between {
        value: NodeId,
        low: NodeId,
        high: NodeId,
    },
    /// The tested value gets the next free slot, for `?`.
    In {
        value: NodeId,
        tests: Tests,
    },
    InstanceOf(NodeId, Box<Kind>),
    If {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
        judgement: Judgement,
    },
    /// Results so far are in the slot before the iterators' ones, for `partial`.
    For {
        iterations: Box<[Iteration]>,
        body: NodeId,
        reads_partial: bool,
    },
    Quantified {
        every: bool,
        iterations: Box<[Iteration]>,
        body: NodeId,
        judgement: Judgement,
    },
    /// The item gets the next free slot.
    Filter {
        list: NodeId,
        predicate: NodeId,
        judgement: Judgement,
    },
    Path {
        base: NodeId,
        names: Box<[Arc<str>]>,
    },
    Call {
        callee: NodeId,
        name: Arc<str>,
        arguments: Box<[NodeId]>,
        names: Option<Box<[Arc<str>]>>,
    },
    /// A `None` argument was left out in a call by names.
    Builtin {
        signature: &'static Signature,
        arguments: Box<[Option<NodeId>]>,
    },
    /// A call of a built-in function that doesn't exist with these arguments.
    NoFunction {
        name: Arc<str>,
        arguments: usize,
    },
    Function(Box<FunctionDefinition>),
    /// A value converted to a type; null if it does not conform to it.
    Typed {
        value: NodeId,
        kind: Box<Kind>,
    },
    /// A value that is of a type or null, or else there is none.
    Checked {
        value: NodeId,
        kind: Box<Kind>,
    },
    /// Each entry's value gets the next free slot, which later entries and the result see.
    With {
        entries: Box<[NodeId]>,
        result: NodeId,
    },
    Table(Box<TableNode>),
}

/// A decision table. Tests find the tested value in the next free slot.
#[derive(Clone, Debug)]
pub(crate) struct TableNode {
    /// Tested values, and which of them there are.
    pub(crate) inputs: Box<[(NodeId, Option<Tests>)]>,
    pub(crate) outputs: Box<[OutputNode]>,
    pub(crate) rules: Box<[RuleNode]>,
    pub(crate) hit_policy: HitPolicy,
    pub(crate) on_violation: Violation,
}

#[derive(Clone, Debug)]
pub(crate) struct OutputNode {
    pub(crate) name: Arc<str>,
    /// In the order of their priority.
    pub(crate) allowed: Option<Tests>,
    pub(crate) default: Option<NodeId>,
    pub(crate) kind: Option<Kind>,
}

/// `None` stands for a test that everything passes.
#[derive(Clone, Debug)]
pub(crate) struct RuleNode {
    pub(crate) tests: Box<[Option<Tests>]>,
    pub(crate) outputs: Box<[NodeId]>,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) source: Box<str>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
    /// Names of the scope's variables by slot.
    pub(crate) globals: Box<[Box<str>]>,
    /// Whether a variable may be read more than once, by slot, so that its value is worth keeping.
    pub(crate) repeated: Box<[bool]>,
    /// The same names, sorted.
    pub(crate) variables: Box<[Box<str>]>,
    /// How often its texts were compared with names of several words.
    pub(crate) names_tried: usize,
}

impl Program {
    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

/// The arena while it grows.
#[derive(Default, Debug)]
pub(crate) struct Arena {
    pub(crate) nodes: Vec<Node>,
    depths: Vec<u16>,
}

impl Arena {
    pub(crate) fn add(&mut self, node: Node) -> Result<NodeId, ParseErrorCause> {
        let mut deepest = 0;
        node.for_each_child(&mut |child: NodeId| {
            deepest = deepest.max(self.depths[child.0 as usize]);
        });
        let depth = deepest + 1;
        if usize::from(depth) > EXPRESSION_DEPTH_MAX {
            return Err(ParseErrorCause::TooDeep);
        }
        // The source is at most 256 KiB and every node takes at least one byte of it, or a few for sugar.
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.depths.push(depth);
        Ok(id)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
}

impl Node {
    fn for_each_child(&self, visit: &mut dyn FnMut(NodeId)) {
        match self {
            Node::Literal(_) | Node::Local(_) | Node::Captured { .. } | Node::Global(_) => {}
            Node::NoFunction { .. } => {}
            Node::ItemMember {
                item, otherwise, ..
            } => {
                visit(*item);
                visit(*otherwise);
            }
            Node::List(items) | Node::And(items) | Node::Or(items) => {
                items.iter().copied().for_each(visit);
            }
            Node::Context(entries) => entries.iter().for_each(|(_, value)| visit(*value)),
            Node::Range { start, end, .. } => start.iter().chain(end).copied().for_each(visit),
            Node::Negate(child) | Node::InstanceOf(child, _) => visit(*child),
            Node::Chain { first, rest } => {
                visit(*first);
                rest.iter().for_each(|(_, operand)| visit(*operand));
            }
            Node::Power(left, right)
            | Node::Compare(_, left, right)
            | Node::Filter {
                list: left,
                predicate: right,
                ..
            } => {
                visit(*left);
                visit(*right);
            }
            Node::Between { value, low, high } => [*value, *low, *high].into_iter().for_each(visit),
            Node::In { value, tests } => {
                visit(*value);
                tests.for_each_child(visit);
            }
            Node::If {
                condition,
                then,
                otherwise,
                ..
            } => {
                [*condition, *then, *otherwise].into_iter().for_each(visit);
            }
            Node::For {
                iterations, body, ..
            }
            | Node::Quantified {
                iterations, body, ..
            } => {
                let lists = iterations.iter().flat_map(Iteration::children);
                lists.for_each(&mut *visit);
                visit(*body);
            }
            Node::Path { base, .. } => visit(*base),
            Node::Call {
                callee, arguments, ..
            } => {
                visit(*callee);
                arguments.iter().copied().for_each(visit);
            }
            Node::Builtin { arguments, .. } => arguments.iter().flatten().copied().for_each(visit),
            Node::Function(definition) => {
                definition.captures.iter().copied().for_each(&mut *visit);
                visit(definition.body);
            }
            Node::Typed { value, .. } | Node::Checked { value, .. } => visit(*value),
            Node::With { entries, result } => {
                entries.iter().chain([result]).copied().for_each(visit);
            }
            Node::Table(table) => table.for_each_child(visit),
        }
    }
}

impl TableNode {
    fn for_each_child(&self, visit: &mut dyn FnMut(NodeId)) {
        for (value, allowed) in &self.inputs {
            visit(*value);
            allowed.iter().for_each(|tests| tests.for_each_child(visit));
        }
        for output in &self.outputs {
            output.default.into_iter().for_each(&mut *visit);
            let allowed = output.allowed.iter();
            allowed.for_each(|tests| tests.for_each_child(visit));
        }
        for rule in &self.rules {
            let tests = rule.tests.iter().flatten();
            tests.for_each(|tests| tests.for_each_child(visit));
            rule.outputs.iter().copied().for_each(&mut *visit);
        }
    }
}

impl Tests {
    fn for_each_child(&self, visit: &mut dyn FnMut(NodeId)) {
        for test in &self.tests {
            match test {
                Test::Any => {}
                Test::Compare(_, node) | Test::Expression { node, .. } => visit(*node),
            }
        }
    }
}

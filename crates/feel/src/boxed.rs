//! Boxed expressions: what DMN draws as boxes around FEEL texts, as data to be compiled.
//!
//! Invariant: whoever makes one bounds its nesting (an XML document does), so that it may be walked and dropped.
//! Names that a box introduces are seen by the texts inside of it, as in FEEL itself.

use std::sync::Arc;

use crate::ast::Kind;

/// A boxed expression.
#[derive(Clone, Debug)]
pub enum Boxed<'s> {
    /// Nothing is said: null.
    Nothing,
    /// A FEEL expression.
    Text(&'s str),
    /// What a name stands for.
    Name(Arc<str>),
    /// Entries, each of which sees those before it.
    Context(Vec<(Arc<str>, Boxed<'s>)>),
    /// A value computed with the help of entries, each of which sees those before it.
    With {
        entries: Vec<(Arc<str>, Boxed<'s>)>,
        result: Box<Boxed<'s>>,
    },
    /// Entries that do not see each other.
    Record(Vec<(Arc<str>, Boxed<'s>)>),
    List(Vec<Boxed<'s>>),
    Function {
        parameters: Vec<(Arc<str>, Option<Kind>)>,
        body: Box<Boxed<'s>>,
    },
    /// A call with arguments by name.
    Invocation {
        function: Box<Boxed<'s>>,
        arguments: Vec<(Arc<str>, Boxed<'s>)>,
    },
    Conditional {
        condition: Box<Boxed<'s>>,
        then: Box<Boxed<'s>>,
        otherwise: Box<Boxed<'s>>,
    },
    /// The items for which `condition` holds; it sees `item` and the item's entries.
    Filter {
        list: Box<Boxed<'s>>,
        condition: Box<Boxed<'s>>,
    },
    For {
        variable: Arc<str>,
        list: Box<Boxed<'s>>,
        body: Box<Boxed<'s>>,
    },
    Quantified {
        every: bool,
        variable: Arc<str>,
        list: Box<Boxed<'s>>,
        condition: Box<Boxed<'s>>,
    },
    Table(Box<Table<'s>>),
    /// A value that is converted to a type, or null if it does not conform to it.
    Typed(Box<Boxed<'s>>, Kind),
    /// A value that must be of a type or null, or else the evaluation fails.
    Checked(Box<Boxed<'s>>, Kind),
}

impl<'s> Boxed<'s> {
    /// The same with its value converted to a type, if there is one.
    #[must_use]
    pub fn typed(self, kind: Option<Kind>) -> Boxed<'s> {
        match kind {
            Some(kind) => Boxed::Typed(Box::new(self), kind),
            None => self,
        }
    }
}

/// A decision table.
#[derive(Clone, Debug)]
pub struct Table<'s> {
    pub inputs: Vec<TableInput<'s>>,
    pub outputs: Vec<TableOutput<'s>>,
    pub rules: Vec<TableRule<'s>>,
    pub hit_policy: HitPolicy,
    pub on_violation: Violation,
}

/// A column of tests.
#[derive(Clone, Debug)]
pub struct TableInput<'s> {
    /// The tested value.
    pub value: Boxed<'s>,
    /// Unary tests that say which values there are; any other is a violation.
    pub allowed: Option<&'s str>,
}

/// A column of results.
#[derive(Clone, Debug)]
pub struct TableOutput<'s> {
    /// Key of the column where there are several.
    pub name: Arc<str>,
    /// Unary tests in the order of their priority, highest first.
    pub allowed: Option<&'s str>,
    /// The value if no rule matches.
    pub default: Option<&'s str>,
    pub kind: Option<Kind>,
}

/// A row: unary tests for each input, an expression for each output.
#[derive(Clone, Debug)]
pub struct TableRule<'s> {
    pub tests: Vec<&'s str>,
    pub outputs: Vec<&'s str>,
}

/// What comes of the rules that match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HitPolicy {
    /// At most one may match.
    Unique,
    /// All that match must say the same.
    Any,
    First,
    /// The one whose outputs stand first among the allowed ones.
    Priority,
    /// All, in the order of the rules.
    RuleOrder,
    /// All, in the order of the allowed outputs.
    OutputOrder,
    /// All, or what they add up to.
    Collect(Option<Aggregation>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregation {
    Sum,
    Min,
    Max,
    Count,
}

/// What a table does whose rules break its hit policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// The evaluation as a whole fails.
    Fails,
    /// The table is null, with a warning.
    IsNull,
}

/// How a table came to its result.
#[derive(Clone, Default, Debug)]
pub struct TableTrace {
    /// Values of the inputs.
    pub inputs: Vec<crate::Value>,
    /// The rules that matched.
    pub matched: Vec<MatchedRule>,
}

/// A rule that matched.
#[derive(Clone, Debug)]
pub struct MatchedRule {
    /// Its place in the table, from 0.
    pub rule: usize,
    pub outputs: Vec<crate::Value>,
}

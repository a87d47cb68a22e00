//! The evaluator: walks the tree of a program.
//!
//! Invariants: the stack of locals holds exactly the values whose slots the parser numbered, above the base of the
//! running frame; every step costs fuel; recursion is counted and bounded by `EVALUATION_DEPTH_MAX`.
//! What has no value is null with a warning; [`Stop`] ends the evaluation as a whole.

mod arithmetic;
mod call;
mod compare;
mod iterate;
mod kinds;
mod membership;
mod path;
mod table;

use std::borrow::Cow;
use std::sync::Arc;

use crate::ast::{Comparison, Judgement, Node, NodeId, Program};
use crate::boxed::TableTrace;
use crate::builtins::Pattern;
use crate::error::{EvaluationError, Failure, Warning, WarningKind};
use crate::expression::{Environment, Evaluation, Scope};
use crate::function::Function;
use crate::limits::{BYTES_PER_FUEL, EVALUATION_DEPTH_MAX, FUEL_PER_ELEMENT, WARNINGS_MAX};
use crate::range::{End, Range};
use crate::value::{Value, ValueLimit};

pub(crate) use compare::{equal, order};
pub(crate) use membership::range_contains;

/// The evaluation can't go on.
#[derive(Debug)]
pub(crate) struct Stop(Box<Failure>);

impl Stop {
    pub(crate) fn new(failure: Failure) -> Stop {
        Stop(Box::new(failure))
    }
}

impl From<ValueLimit> for Stop {
    fn from(limit: ValueLimit) -> Stop {
        Stop::new(Failure::ValueLimit(limit))
    }
}

pub(crate) type Evaluated<T = Value> = Result<T, Stop>;

/// The body that is being evaluated.
pub(crate) struct Frame<'p> {
    program: &'p Arc<Program>,
    captured: &'p [Option<Value>],
    base: usize,
}

/// What is known of one variable of the scope.
#[derive(Clone)]
enum Slot {
    Unread,
    Missing,
    Found(Value),
}

pub(crate) struct Evaluator<'e> {
    program: &'e Arc<Program>,
    scope: &'e dyn Scope,
    pub(crate) env: &'e Environment,
    fuel: u64,
    depth: u32,
    locals: Vec<Value>,
    /// Variables that are read more than once; empty until the first of them is.
    slots: Vec<Slot>,
    warnings: Vec<Warning>,
    pub(crate) patterns: Vec<Pattern>,
    /// Numbers drawn so far.
    draws: u64,
    /// The table that is the whole expression.
    traced: Option<NodeId>,
    /// How the table that is the whole expression came to its result, if that is asked for.
    trace: Option<Box<TableTrace>>,
}

impl<'e> Evaluator<'e> {
    pub(crate) fn new(
        program: &'e Arc<Program>,
        scope: &'e dyn Scope,
        env: &'e Environment,
    ) -> Evaluator<'e> {
        Evaluator {
            program,
            scope,
            env,
            fuel: env.fuel,
            depth: 0,
            locals: Vec::new(),
            slots: Vec::new(),
            warnings: Vec::new(),
            patterns: Vec::new(),
            draws: 0,
            traced: None,
            trace: None,
        }
    }

    pub(crate) fn run(mut self) -> Result<Evaluation, EvaluationError> {
        self.evaluate()
    }

    pub(crate) fn run_traced(
        mut self,
    ) -> (Result<Evaluation, EvaluationError>, Option<TableTrace>) {
        let root = self.program.root;
        self.traced = match self.program.node(root) {
            Node::Table(_) => Some(root),
            Node::Checked { value, .. } => match self.program.node(*value) {
                Node::Table(_) => Some(*value),
                _ => None,
            },
            _ => None,
        };
        self.trace = self.traced.map(|_| Box::default());
        let result = self.evaluate();
        (result, self.trace.map(|trace| *trace))
    }

    fn evaluate(&mut self) -> Result<Evaluation, EvaluationError> {
        let frame = Frame {
            program: self.program,
            captured: &[],
            base: 0,
        };
        match self.eval(&frame, self.program.root) {
            Ok(value) => {
                assert!(
                    self.locals.is_empty(),
                    "every local is taken off the stack again"
                );
                Ok(Evaluation {
                    value,
                    warnings: std::mem::take(&mut self.warnings),
                    steps: self.env.fuel - self.fuel,
                })
            }
            Err(stop) => Err(EvaluationError::new(
                &self.program.source,
                *stop.0,
                std::mem::take(&mut self.warnings),
            )),
        }
    }

    /// Like [`Evaluator::eval`], without copying what the program itself holds.
    fn operand<'p>(&mut self, frame: &Frame<'p>, id: NodeId) -> Evaluated<Cow<'p, Value>> {
        let program: &'p Program = frame.program;
        match program.node(id) {
            Node::Literal(value) => Ok(Cow::Borrowed(value)),
            _ => self.eval(frame, id).map(Cow::Owned),
        }
    }

    pub(crate) fn eval(&mut self, frame: &Frame<'_>, id: NodeId) -> Evaluated {
        self.charge(1)?;
        if self.depth >= EVALUATION_DEPTH_MAX {
            return Err(Stop::new(Failure::TooDeep));
        }
        self.depth += 1;
        // Returned as it is: looking into the result would copy it, and that copy waits for the stores of its parts.
        let result = self.node(frame, id);
        self.depth -= 1;
        result
    }

    /// One step, part of the frame of [`Evaluator::eval`]. Every case of more than a line is a function of its own, which keeps this frame small.
    #[inline(always)]
    fn node(&mut self, frame: &Frame<'_>, id: NodeId) -> Evaluated {
        match frame.program.node(id) {
            Node::Literal(value) => Ok(value.clone()),
            Node::Local(slot) => Ok(self.locals[frame.base + usize::from(*slot)].clone()),
            Node::Global(slot) => Ok(self.global(frame, *slot)),
            Node::Captured { index, global } => Ok(self.captured(frame, *index, *global)),
            Node::ItemMember {
                item,
                name,
                otherwise,
            } => self.item_member(frame, *item, name, *otherwise),
            Node::List(items) => self.list_literal(frame, items),
            Node::Context(entries) => self.context_literal(frame, entries),
            Node::Range {
                start,
                end,
                start_included,
                end_included,
            } => self.range_literal(frame, (*start, *start_included), (*end, *end_included)),
            Node::Negate(operand) => self.negation(frame, *operand),
            Node::Chain { first, rest } => self.chain(frame, *first, rest),
            Node::Power(base, exponent) => self.power(frame, *base, *exponent),
            Node::Compare(comparison, left, right) => {
                self.comparison(frame, *comparison, *left, *right)
            }
            Node::And(operands) => self.junction(frame, operands, false),
            Node::Or(operands) => self.junction(frame, operands, true),
            Node::Between { value, low, high } => self.between(frame, *value, *low, *high),
            Node::In { value, tests } => self.membership(frame, *value, tests),
            Node::InstanceOf(value, kind) => self.instance_of(frame, *value, kind),
            Node::If {
                condition,
                then,
                otherwise,
                judgement,
            } => self.conditional(frame, *condition, (*then, *otherwise), *judgement),
            Node::For {
                iterations,
                body,
                reads_partial,
            } => self.for_loop(frame, iterations, *body, *reads_partial),
            Node::Quantified {
                every,
                iterations,
                body,
                judgement,
            } => self.quantified(frame, *every, iterations, *body, *judgement),
            Node::Filter {
                list,
                predicate,
                judgement,
            } => self.filter(frame, *list, *predicate, *judgement),
            Node::Path { base, names } => self.path(frame, *base, names),
            Node::Call {
                callee,
                name,
                arguments,
                names,
            } => self.call(frame, *callee, name, arguments, names.as_deref()),
            Node::Builtin {
                signature,
                arguments,
            } => self.builtin(frame, signature, arguments),
            Node::NoFunction { name, arguments } => Ok(self.no_function(name, *arguments)),
            Node::Function(definition) => self.function_value(frame, id, definition),
            Node::Typed { value, kind } => self.typed(frame, *value, kind),
            Node::Checked { value, kind } => self.checked(frame, *value, kind),
            Node::With { entries, result } => self.with_entries(frame, entries, *result),
            Node::Table(table) => self.table(frame, id, table),
        }
    }

    /// A variable of the scope; null with a warning if there is none.
    fn global(&mut self, frame: &Frame<'_>, slot: u16) -> Value {
        match self.global_if_found(frame, slot) {
            Some(value) => value,
            None => self.missing_variable(&frame.program.globals[usize::from(slot)]),
        }
    }

    /// The scope is asked once for each name: what may be read again is kept.
    fn global_if_found(&mut self, frame: &Frame<'_>, slot: u16) -> Option<Value> {
        let at = usize::from(slot);
        let name = &*frame.program.globals[at];
        // Slots are those of the expression itself; a function from elsewhere has its own.
        if !frame.program.repeated[at] || !Arc::ptr_eq(frame.program, self.program) {
            return self.scope.variable(name);
        }
        if self.slots.is_empty() {
            self.slots.resize(frame.program.globals.len(), Slot::Unread);
        }
        match &self.slots[at] {
            Slot::Found(value) => Some(value.clone()),
            Slot::Missing => None,
            Slot::Unread => {
                let value = self.scope.variable(name);
                self.slots[at] = value.clone().map_or(Slot::Missing, Slot::Found);
                value
            }
        }
    }

    #[cold]
    fn missing_variable(&mut self, name: &str) -> Value {
        if let Some(builtin) = crate::builtins::find(name) {
            return Value::Function(Arc::new(Function::builtin(builtin)));
        }
        let text = format!("No variable found with name '{name}'");
        // Once is enough, however often it is read.
        if self.warnings.iter().any(|warning| warning.text == text) {
            return Value::Null;
        }
        self.null(WarningKind::NoVariableFound, || text)
    }

    fn captured(&mut self, frame: &Frame<'_>, index: u16, global: Option<u16>) -> Value {
        match (&frame.captured[usize::from(index)], global) {
            (Some(value), _) => value.clone(),
            (None, Some(slot)) => self.global(frame, slot),
            (None, None) => Value::Null,
        }
    }

    fn item_member(
        &mut self,
        frame: &Frame<'_>,
        item: NodeId,
        name: &str,
        otherwise: NodeId,
    ) -> Evaluated {
        let found = match frame.program.node(item) {
            Node::Local(slot) => match &self.locals[frame.base + usize::from(*slot)] {
                Value::Context(context) => context.get(name).cloned(),
                _ => None,
            },
            // An item that a function took along.
            _ => match self.eval(frame, item)? {
                Value::Context(context) => context.get(name).cloned(),
                _ => None,
            },
        };
        match found {
            Some(value) => Ok(value),
            None => self.eval(frame, otherwise),
        }
    }

    fn list_literal(&mut self, frame: &Frame<'_>, items: &[NodeId]) -> Evaluated {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(frame, *item)?);
        }
        self.list(values)
    }

    fn context_literal(&mut self, frame: &Frame<'_>, entries: &[(Arc<str>, NodeId)]) -> Evaluated {
        let start = self.locals.len();
        for (_, value) in entries {
            let value = self.eval(frame, *value)?;
            self.locals.push(value);
        }
        let values = self.locals.drain(start..);
        let entries = entries
            .iter()
            .map(|(key, _)| key.clone())
            .zip(values)
            .collect();
        self.context(entries)
    }

    fn with_entries(&mut self, frame: &Frame<'_>, entries: &[NodeId], result: NodeId) -> Evaluated {
        let start = self.locals.len();
        for entry in entries {
            let value = self.eval(frame, *entry)?;
            self.locals.push(value);
        }
        let value = self.eval(frame, result)?;
        self.locals.truncate(start);
        Ok(value)
    }

    fn range_literal(
        &mut self,
        frame: &Frame<'_>,
        start: (Option<NodeId>, bool),
        end: (Option<NodeId>, bool),
    ) -> Evaluated {
        let mut evaluate = |(node, included): (Option<NodeId>, bool)| -> Evaluated<End> {
            let value = match node {
                Some(node) => self.eval(frame, node)?,
                None => Value::Null,
            };
            Ok(End { value, included })
        };
        let given = (start.0.is_some(), end.0.is_some());
        let range = Range {
            start: evaluate(start)?,
            end: evaluate(end)?,
        };
        // An end that was computed as null is unknown, not open.
        let unknown =
            given.0 && range.start.value.is_null() || given.1 && range.end.value.is_null();
        if !unknown && range.is_valid() {
            return Ok(Value::from(range));
        }
        Ok(self.null(WarningKind::InvalidType, || {
            let (start, end) = (range.start.value.type_name(), range.end.value.type_name());
            format!("a range can't have a {start} as start and a {end} as end, in this order")
        }))
    }

    fn conditional(
        &mut self,
        frame: &Frame<'_>,
        condition: NodeId,
        (then, otherwise): (NodeId, NodeId),
        judgement: Judgement,
    ) -> Evaluated {
        let condition = self.eval(frame, condition)?;
        match condition {
            Value::Boolean(true) => self.eval(frame, then),
            Value::Boolean(false) | Value::Null => self.eval(frame, otherwise),
            other => {
                let null = self.wrong_type("the condition of if", "BOOLEAN", &other);
                match judgement {
                    Judgement::Lenient => self.eval(frame, otherwise),
                    Judgement::Strict => Ok(null),
                }
            }
        }
    }

    /// `and` (decided by false) or `or` (decided by true), with null as the third truth value.
    fn junction(&mut self, frame: &Frame<'_>, operands: &[NodeId], deciding: bool) -> Evaluated {
        let mut unknown = false;
        for operand in operands {
            match self.eval(frame, *operand)? {
                Value::Boolean(value) if value == deciding => return Ok(Value::Boolean(deciding)),
                Value::Boolean(_) => {}
                Value::Null => unknown = true,
                other => {
                    let operator = if deciding { "or" } else { "and" };
                    self.wrong_type(operator, "BOOLEAN", &other);
                    unknown = true;
                }
            }
        }
        Ok(if unknown {
            Value::Null
        } else {
            Value::Boolean(!deciding)
        })
    }

    fn comparison(
        &mut self,
        frame: &Frame<'_>,
        comparison: Comparison,
        left: NodeId,
        right: NodeId,
    ) -> Evaluated {
        let left = self.operand(frame, left)?;
        let right = self.operand(frame, right)?;
        self.compare(comparison, &left, &right)
    }

    fn between(
        &mut self,
        frame: &Frame<'_>,
        value: NodeId,
        low: NodeId,
        high: NodeId,
    ) -> Evaluated {
        let value = self.operand(frame, value)?;
        let low = self.operand(frame, low)?;
        let high = self.operand(frame, high)?;
        let above = self.compare(Comparison::GreaterOrEqual, &value, &low)?;
        let below = self.compare(Comparison::LessOrEqual, &value, &high)?;
        Ok(match (above.as_bool(), below.as_bool()) {
            (Some(above), Some(below)) => Value::Boolean(above && below),
            _ => Value::Null,
        })
    }

    /// Makes a list, charging for its elements.
    pub(crate) fn list(&mut self, items: Vec<Value>) -> Evaluated {
        self.charge_elements(items.len())?;
        Ok(Value::list(items)?)
    }

    /// Makes a context, charging for its entries.
    pub(crate) fn context(&mut self, entries: Vec<(Arc<str>, Value)>) -> Evaluated {
        self.charge_elements(entries.len())?;
        Ok(Value::context(entries)?)
    }

    /// Makes a string, charging for its bytes.
    pub(crate) fn text(&mut self, text: String) -> Evaluated {
        self.charge_bytes(text.len())?;
        Ok(Value::from(text))
    }

    #[inline]
    pub(crate) fn charge(&mut self, steps: u64) -> Evaluated<()> {
        match self.fuel.checked_sub(steps) {
            Some(rest) => {
                self.fuel = rest;
                Ok(())
            }
            None => Err(Stop::new(Failure::OutOfFuel {
                fuel: self.env.fuel,
            })),
        }
    }

    pub(crate) fn charge_elements(&mut self, count: usize) -> Evaluated<()> {
        self.charge((count as u64).saturating_mul(FUEL_PER_ELEMENT))
    }

    /// Called before the bytes are produced where their number is known, so that nothing large is made for naught.
    pub(crate) fn charge_bytes(&mut self, count: usize) -> Evaluated<()> {
        self.charge((count / BYTES_PER_FUEL) as u64)
    }

    /// Null, with the reason as a warning.
    pub(crate) fn null(&mut self, kind: WarningKind, text: impl FnOnce() -> String) -> Value {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning { kind, text: text() });
        }
        Value::Null
    }

    fn wrong_type(&mut self, what: &str, expected: &str, found: &Value) -> Value {
        self.null(WarningKind::InvalidType, || {
            format!("{what} expects a {expected}, found a {}", found.type_name())
        })
    }

    /// The next random number (SplitMix64 over the seed and a counter).
    pub(crate) fn draw(&mut self) -> u64 {
        self.draws += 1;
        let mut z = self
            .env
            .seed
            .wrapping_add(self.draws.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

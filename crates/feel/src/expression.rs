//! The public face: compile an expression, evaluate it.

use std::sync::Arc;

use crate::ast::Program;
use crate::boxed::{Boxed, TableTrace};
use crate::error::{EvaluationError, ParseError, Warning};
use crate::eval::Evaluator;
use crate::limits::FUEL_DEFAULT;
use crate::parser::{self, Types};
use crate::value::Value;

/// A compiled expression. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Expression {
    program: Arc<Program>,
}

/// Where an expression finds its variables.
pub trait Scope {
    /// The value of a variable, or `None` if there is none of that name. Asked only for names that the evaluation
    /// really reads, and once per name.
    fn variable(&self, name: &str) -> Option<Value>;
}

/// A scope without variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVariables;

impl Scope for NoVariables {
    fn variable(&self, _name: &str) -> Option<Value> {
        None
    }
}

impl<F: Fn(&str) -> Option<Value>> Scope for F {
    fn variable(&self, name: &str) -> Option<Value> {
        self(name)
    }
}

/// What an evaluation gets from outside besides variables.
#[derive(Clone, Debug)]
pub struct Environment {
    /// What `now()` and `today()` answer, with the zone in which local times are read.
    pub now: jiff::ZonedDateTime,
    /// Where `random number()` and `uuid()` begin. The same seed gives the same values.
    pub seed: u64,
    /// Steps that the evaluation may take.
    pub fuel: u64,
}

impl Environment {
    /// The default fuel, at the given time and with the given seed.
    pub fn new(now: jiff::ZonedDateTime, seed: u64) -> Environment {
        Environment {
            now,
            seed,
            fuel: FUEL_DEFAULT,
        }
    }

    /// The default fuel, at a time given in milliseconds since the epoch, in UTC.
    pub fn at_epoch_millis(epoch_millis: i64, seed: u64) -> Environment {
        let range = jiff::Timestamp::MIN.as_millisecond()..=jiff::Timestamp::MAX.as_millisecond();
        let millis = epoch_millis.clamp(*range.start(), *range.end());
        let now = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
        Environment::new(now.to_zoned_datetime(jiff::tz::TimeZone::UTC), seed)
    }
}

/// A value, and what became null on the way to it.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub value: Value,
    pub warnings: Vec<Warning>,
    /// Steps that it took.
    pub steps: u64,
}

impl Expression {
    /// Compiles a FEEL expression (without Zeebe's leading `=`). Names are single words, names in backticks, or
    /// names of built-in functions.
    pub fn parse(source: &str) -> Result<Expression, ParseError> {
        Expression::parse_with_names(source, &[])
    }

    /// Compiles the input entry of a decision table. The tested value is the variable `?`.
    pub fn parse_unary_tests(source: &str) -> Result<Expression, ParseError> {
        Expression::parse_unary_tests_with_names(source, &[])
    }

    /// Like [`Expression::parse`], where `names` may hold spaces and operators, as DMN's names may. Where several
    /// fit, the longest wins.
    pub fn parse_with_names(source: &str, names: &[&str]) -> Result<Expression, ParseError> {
        parser::parse_expression(source, names).map(Expression::from_program)
    }

    /// Like [`Expression::parse_unary_tests`] with names as in [`Expression::parse_with_names`].
    pub fn parse_unary_tests_with_names(
        source: &str,
        names: &[&str],
    ) -> Result<Expression, ParseError> {
        parser::parse_unary_tests(source, names).map(Expression::from_program)
    }

    /// Compiles a boxed expression that messages call `label`, with names as in [`Expression::parse_with_names`].
    pub fn compile(
        label: &str,
        boxed: &Boxed<'_>,
        names: &[&str],
        types: &Types,
    ) -> Result<Expression, ParseError> {
        parser::parse_boxed(label, boxed, names, types).map(Expression::from_program)
    }

    fn from_program(program: Program) -> Expression {
        Expression {
            program: Arc::new(program),
        }
    }

    /// How often its texts were compared with names of several words: what compiling it took beside its length.
    pub fn names_tried(&self) -> usize {
        self.program.names_tried
    }

    pub fn source(&self) -> &str {
        &self.program.source
    }

    /// The names that may be read from the scope, sorted, each once.
    pub fn variables(&self) -> &[Box<str>] {
        &self.program.variables
    }

    /// Whether the expression reads no variable. The clock and random values may still change its value.
    pub fn is_constant(&self) -> bool {
        self.program.variables.is_empty()
    }

    pub fn evaluate(
        &self,
        scope: &dyn Scope,
        env: &Environment,
    ) -> Result<Evaluation, EvaluationError> {
        Evaluator::new(&self.program, scope, env).run()
    }

    /// Evaluates, and tells how the decision table came to its result if the expression is one.
    pub fn evaluate_traced(
        &self,
        scope: &dyn Scope,
        env: &Environment,
    ) -> (Result<Evaluation, EvaluationError>, Option<TableTrace>) {
        Evaluator::new(&self.program, scope, env).run_traced()
    }
}

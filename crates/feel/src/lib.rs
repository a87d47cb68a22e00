//! FEEL: the expression language of BPMN and DMN, in Camunda's dialect as Zeebe 8.6 evaluates it.
//!
//! An [`Expression`] is compiled once, at deployment, and evaluated against a [`Scope`] that is asked for
//! variables by name. Evaluation is pure: the clock and the seed come in with the [`Environment`], and its cost
//! is bounded by fuel. Nothing here recurses deeper than [`limits`] allow, reads a clock or touches a file.
//!
//! What can't be computed (a missing variable, operands of the wrong type) is null, with a [`Warning`] that
//! says why. An error means that the evaluation as a whole failed.
//!
//! DMN's [`Boxed`] expressions compile to the same programs: decision tables are evaluated here too.
//!
//! Deliberately absent: external (Java, PMML) functions, and everything of BPMN and DMN around expressions.

mod ast;
mod boxed;
mod builtins;
mod error;
mod eval;
mod expression;
mod function;
mod json;
mod lexer;
pub mod limits;
mod number;
mod parser;
mod range;
mod temporal;
mod value;

pub use ast::Kind;
pub use boxed::{
    Aggregation, Boxed, HitPolicy, MatchedRule, Table, TableInput, TableOutput, TableRule,
    TableTrace, Violation,
};
pub use error::{EvaluationError, Failure, ParseError, ParseErrorCause, Warning, WarningKind};
pub use expression::{Environment, Evaluation, Expression, NoVariables, Scope};
pub use function::Function;
pub use json::JsonError;
pub use number::{Number, NumberError, Rounding};
pub use parser::Types;
pub use range::{End, Range};
pub use temporal::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};
pub use value::{Context, List, Value, ValueLimit};

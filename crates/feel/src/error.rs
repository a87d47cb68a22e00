//! Errors and warnings, and the words that users read.

use std::fmt;

use crate::limits::{EVALUATION_DEPTH_MAX, EXPRESSION_DEPTH_MAX, SOURCE_BYTES_MAX};
use crate::value::ValueLimit;

/// An expression that can't be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("failed to parse expression '{expression}': {cause}")]
pub struct ParseError {
    /// The source, shortened if it is long.
    pub expression: String,
    pub cause: ParseErrorCause,
}

/// Why an expression can't be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseErrorCause {
    #[error("expected {expected} at position {line}:{column}, found {found}")]
    Unexpected {
        expected: &'static str,
        found: String,
        line: usize,
        column: usize,
    },
    #[error("{problem} at position {line}:{column}")]
    Invalid {
        problem: String,
        line: usize,
        column: usize,
    },
    #[error("the expression is nested deeper than {EXPRESSION_DEPTH_MAX} levels")]
    TooDeep,
    #[error("the expression has {bytes} bytes, more than the {SOURCE_BYTES_MAX} allowed")]
    TooLong { bytes: usize },
}

impl ParseError {
    pub(crate) fn new(source: &str, cause: ParseErrorCause) -> ParseError {
        ParseError {
            expression: shortened(source),
            cause,
        }
    }
}

/// An evaluation that failed as a whole.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("failed to evaluate expression '{expression}': {cause}")]
pub struct EvaluationError {
    /// The source, shortened if it is long.
    pub expression: String,
    pub cause: Failure,
    pub warnings: Vec<Warning>,
}

/// Why an evaluation failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    #[error(
        "the evaluation took more than {fuel} steps; simplify the expression or give it less data"
    )]
    OutOfFuel { fuel: u64 },
    #[error("function calls are nested deeper than {EVALUATION_DEPTH_MAX} levels")]
    TooDeep,
    #[error("{0}")]
    ValueLimit(ValueLimit),
    #[error("the hit policy of a decision table is violated: {violation}")]
    HitPolicy { violation: &'static str },
    #[error("expected a value of type '{expected}', but found a {found}")]
    Type {
        expected: &'static str,
        found: &'static str,
    },
    #[error("{message}")]
    Assertion { message: String },
}

/// What kind of thing went wrong; the names are those that Zeebe shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WarningKind {
    NoVariableFound,
    NoContextEntryFound,
    NoPropertyFound,
    NotComparable,
    InvalidType,
    NoFunctionFound,
    FunctionInvocationFailure,
}

impl WarningKind {
    pub fn name(self) -> &'static str {
        match self {
            WarningKind::NoVariableFound => "NO_VARIABLE_FOUND",
            WarningKind::NoContextEntryFound => "NO_CONTEXT_ENTRY_FOUND",
            WarningKind::NoPropertyFound => "NO_PROPERTY_FOUND",
            WarningKind::NotComparable => "NOT_COMPARABLE",
            WarningKind::InvalidType => "INVALID_TYPE",
            WarningKind::NoFunctionFound => "NO_FUNCTION_FOUND",
            WarningKind::FunctionInvocationFailure => "FUNCTION_INVOCATION_FAILURE",
        }
    }
}

/// A part of an expression that became null, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    pub kind: WarningKind,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.kind.name(), self.text)
    }
}

/// Characters of a source that messages repeat.
const SHOWN_CHARS_MAX: usize = 500;

fn shortened(source: &str) -> String {
    match source.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &source[..at]),
        None => source.to_owned(),
    }
}

impl EvaluationError {
    pub(crate) fn new(source: &str, cause: Failure, warnings: Vec<Warning>) -> EvaluationError {
        EvaluationError {
            expression: shortened(source),
            cause,
            warnings,
        }
    }
}

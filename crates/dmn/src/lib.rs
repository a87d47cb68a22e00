//! DMN: from XML to decision models that are compiled once and evaluated with variables.
//!
//! `read` finds the parts of DMN in a tree, [`Model::parse`] resolves what requires what and compiles the boxed expressions of each
//! node to one FEEL program, [`Model::evaluate`] evaluates what a decision requires and then the decision.
//!
//! Invariants:
//! - Whatever the bytes, parsing and evaluating end in bounded time and memory and do not recurse over what a user can nest beyond
//!   limits that fit a small stack.
//! - The requirements of a model have no cycles.
//! - The same model, variables, time and seed give the same outcome.
//!
//! It knows neither BPMN nor state nor records. Functions of Java and PMML are never run.

mod compile;
mod evaluate;
pub mod limits;
mod model;
mod read;

pub use evaluate::{EvaluatedDecision, FailedDecision, Outcome};
pub use model::{Decision, DecisionLogic, Model};
pub use read::table::{Part, TableParts};
pub use skep_xml::{Problem, Reason, Rejection};

/// Whose reading of DMN counts where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OMG's: values are converted to the types that are declared or else null, and a violated hit policy is null.
    Standard,
    /// Zeebe's: a decision that is not of its declared type and a violated hit policy fail the evaluation, types declared elsewhere are
    /// documentation, and what can't be parsed refuses the resource.
    Zeebe,
}

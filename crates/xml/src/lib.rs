//! Resources in XML: from bytes to a tree within limits, and what is wrong where in it.
//!
//! It knows neither BPMN nor DMN, and reads nothing with a document type.

mod encoding;
pub mod limits;
mod problems;
mod rejection;
mod tree;

pub use problems::{Problems, quote};
pub use rejection::{Problem, Reason, Rejection};
pub use tree::{Limit, XmlError, text, tree};

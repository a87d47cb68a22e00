//! Input and output mappings.

use std::sync::Arc;

use skep_feel::Expression;

use super::Text;

/// The names of a target, `a.b.c` cut at its dots: never empty, and no name is empty.
pub type Path = Vec<Arc<str>>;

/// Creates a local variable before the work of an element.
#[derive(Debug, Clone)]
pub struct InputMapping {
    /// The value; a static source is always a string.
    pub source: Text,
    /// Where it goes.
    pub target: Path,
}

/// Carries a value out of an element when it completes.
#[derive(Debug, Clone)]
pub struct OutputMapping {
    /// The value.
    pub source: Expression,
    /// Where it goes.
    pub target: Path,
}

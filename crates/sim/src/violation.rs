//! What a run can find.

use std::fmt;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name: that of the file in `invariants`, or of what went wrong on the way.
    pub invariant: &'static str,
    /// What was expected and what was found.
    pub detail: String,
}

impl Violation {
    /// A violation.
    pub fn new(invariant: &'static str, detail: impl Into<String>) -> Violation {
        Violation {
            invariant,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// What a check gives.
pub type Check<T = ()> = Result<T, Violation>;

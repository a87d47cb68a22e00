//! Values that a modeller writes either as they are or as a FEEL expression behind `=`.

use std::sync::Arc;

use skep_feel::Expression;

/// A text that is fixed, or computed whenever it is needed.
#[derive(Debug, Clone)]
pub enum Text {
    /// The text itself.
    Static(Arc<str>),
    /// To be evaluated in the scope of the element.
    Expression(Expression),
}

impl Text {
    /// The text, if it needs no evaluation.
    #[must_use]
    pub fn as_static(&self) -> Option<&Arc<str>> {
        match self {
            Text::Static(text) => Some(text),
            Text::Expression(_) => None,
        }
    }
}

/// A whole number that is fixed, or computed whenever it is needed.
#[derive(Debug, Clone)]
pub enum Number {
    /// The number itself.
    Static(i64),
    /// To be evaluated in the scope of the element.
    Expression(Expression),
    /// A fixed text that is no whole number. Zeebe accepts it at deployment and raises an incident
    /// when the element is activated, and so it stays here.
    NotANumber(Arc<str>),
}

//! Multi-instance activities.

use std::sync::Arc;

use skep_feel::Expression;

/// How an activity is executed once for each item of a list.
#[derive(Debug)]
pub struct MultiInstance {
    /// One after the other, or all at once.
    pub sequential: bool,
    /// Must give a list.
    pub input_collection: Expression,
    /// Local variable that holds the item.
    pub input_element: Option<Arc<str>>,
    /// Variable that collects the results; there if and only if `output_element` is.
    pub output_collection: Option<Arc<str>>,
    /// Evaluated at the end of each inner instance.
    pub output_element: Option<Expression>,
    /// The variable that `output_element` reads, if it is a plain name or a path: it starts as null
    /// in each inner instance unless it is the input element or the loop counter.
    pub output_element_variable: Option<Arc<str>>,
    /// Ends the whole activity as soon as it is true after an inner instance.
    pub completion_condition: Option<Expression>,
}

//! Evaluation of expressions in the scope of an element instance.
//!
//! Variables are read when an expression asks for them: a point read per scope that has any, from the inside out.

use std::cell::RefCell;
use std::sync::Arc;

use skep_bpmn::model::{Number, Text};
use skep_feel::{Environment, Evaluation, Expression, Scope, Value};
use skep_protocol::{Key, names};
use skep_state::Read;

use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::variables;
use crate::processing::Processing;
use crate::tables;

/// Values that hide variables of the same names.
pub(crate) type Locals = [(Arc<str>, Value)];

/// What an expression sees.
struct Visible<'a> {
    state: &'a dyn Read,
    scopes: &'a [Key],
    locals: &'a Locals,
    failed: RefCell<Option<Stop>>,
}

impl Visible<'_> {
    fn read(&self, name: &str) -> Step<Option<Value>> {
        for &scope in self.scopes {
            if let Some(variable) = tables::variables::get(self.state, scope, name)? {
                let value = Value::from_json(&variable.value);
                return value.map(Some).map_err(|error| {
                    Failure::extract_value(format!(
                        "Variable '{name}' cannot be read by expressions: {error}"
                    ))
                });
            }
        }
        Ok(None)
    }
}

impl Scope for Visible<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(local, _)| **local == *name) {
            return Some(value.clone());
        }
        self.read(name).unwrap_or_else(|stop| {
            self.failed.borrow_mut().get_or_insert(stop);
            None
        })
    }
}

/// Evaluates in a scope.
pub(crate) fn evaluate(
    p: &mut Processing,
    scope: Key,
    expression: &Expression,
) -> Step<Evaluation> {
    evaluate_with(p, scope, expression, &[])
}

/// Reads the variables that are visible in a scope, when they are asked for.
pub(crate) fn with_visible<T>(
    p: &mut Processing,
    scope: Key,
    read: impl FnOnce(&dyn Scope, &Environment) -> T,
) -> Step<T> {
    let scopes = variables::scopes(p, scope)?;
    let visible = Visible {
        state: &*p.txn,
        scopes: &scopes,
        locals: &[],
        failed: RefCell::new(None),
    };
    let environment = Environment::at_epoch_millis(p.context.time, p.context.seed);
    let value = read(&visible, &environment);
    match visible.failed.into_inner() {
        Some(stop) => Err(stop),
        None => Ok(value),
    }
}

/// Evaluates in a scope, with values that hide variables.
pub(crate) fn evaluate_with(
    p: &mut Processing,
    scope: Key,
    expression: &Expression,
    locals: &Locals,
) -> Step<Evaluation> {
    let scopes = if expression.is_constant() {
        Vec::new()
    } else {
        variables::scopes(p, scope)?
    };
    let visible = Visible {
        state: &*p.txn,
        scopes: &scopes,
        locals,
        failed: RefCell::new(None),
    };
    let environment = Environment::at_epoch_millis(p.context.time, p.context.seed);
    let evaluated = expression.evaluate(&visible, &environment);
    if let Some(stop) = visible.failed.into_inner() {
        return Err(stop);
    }
    evaluated.map_err(|error| Failure::extract_value(error.to_string()))
}

/// A value of a type that the place does not take.
pub(crate) fn wrong_type(expression: &Expression, expected: &str, evaluation: &Evaluation) -> Stop {
    let mut message = format!(
        "Expected result of the expression '{}' to be {expected}, but was '{}'.",
        expression.source(),
        evaluation.value.type_name()
    );
    if !evaluation.warnings.is_empty() {
        message.push_str(" The evaluation reported the following warnings:");
        for warning in &evaluation.warnings {
            message.push_str(&format!("\n{warning}"));
        }
    }
    Failure::extract_value(message)
}

/// A condition.
pub(crate) fn boolean(p: &mut Processing, scope: Key, expression: &Expression) -> Step<bool> {
    boolean_with(p, scope, expression, &[])
}

/// A condition, with values that hide variables.
pub(crate) fn boolean_with(
    p: &mut Processing,
    scope: Key,
    expression: &Expression,
    locals: &Locals,
) -> Step<bool> {
    let evaluation = evaluate_with(p, scope, expression, locals)?;
    evaluation
        .value
        .as_bool()
        .ok_or_else(|| wrong_type(expression, "'BOOLEAN'", &evaluation))
}

/// A text.
pub(crate) fn text(p: &mut Processing, scope: Key, text: &Text) -> Step<Arc<str>> {
    let expression = match text {
        Text::Static(text) => return Ok(Arc::clone(text)),
        Text::Expression(expression) => expression,
    };
    let evaluation = evaluate(p, scope, expression)?;
    match &evaluation.value {
        Value::String(text) => Ok(Arc::clone(text)),
        _ => Err(wrong_type(expression, "'STRING'", &evaluation)),
    }
}

/// A text that becomes part of keys: the name or type of something. `what` it is, for the incident.
pub(crate) fn name(
    p: &mut Processing,
    scope: Key,
    what: &'static str,
    name: &Text,
) -> Step<Arc<str>> {
    let name = text(p, scope, name)?;
    fitting(what, &name)?;
    Ok(name)
}

fn fitting(what: &'static str, name: &str) -> Step<()> {
    names::check(what, name).map_err(|error| Failure::extract_value(error.to_string()))
}

/// A whole number that fits where retries go.
pub(crate) fn number(p: &mut Processing, scope: Key, number: &Number) -> Step<i32> {
    let (number, shown) = match number {
        Number::Static(number) => (Some(*number), number.to_string()),
        Number::NotANumber(text) => {
            return Err(Failure::extract_value(format!(
                "Expected a number, but found '{text}'."
            )));
        }
        Number::Expression(expression) => {
            let evaluation = evaluate(p, scope, expression)?;
            let number = evaluation
                .value
                .as_number()
                .ok_or_else(|| wrong_type(expression, "'NUMBER'", &evaluation))?;
            // Fractions are cut off, as Zeebe does.
            let whole = if number.is_negative() {
                number.ceiling()
            } else {
                number.floor()
            };
            (whole.to_i64(), expression.source().to_owned())
        }
    };
    number
        .and_then(|number| i32::try_from(number).ok())
        .ok_or_else(|| {
            Failure::extract_value(format!(
                "Expected a number of 32 bits, but '{shown}' is none."
            ))
        })
}

/// A correlation key: a text, or a number as its decimal text.
pub(crate) fn correlation_key(
    p: &mut Processing,
    scope: Key,
    expression: &Expression,
) -> Step<String> {
    let evaluation = evaluate(p, scope, expression)?;
    match &evaluation.value {
        Value::String(text) => fitting("correlation key", text).map(|()| text.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        value => Err(Failure::extract_value(format!(
            "Failed to extract the correlation key for '{}': The value must be either a string or a number, but was '{}'.",
            expression.source(),
            value.type_name()
        ))),
    }
}

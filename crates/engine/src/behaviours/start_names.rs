//! Names that start events wait for: known when a process is deployed, without an instance and so without variables.

use skep_bpmn::model::Text;
use skep_feel::{Environment, NoVariables, Value};
use skep_protocol::names;

/// The name, or why there is none. `what` it is, for that.
pub(crate) fn constant(
    what: &'static str,
    name: &Text,
    environment: &Environment,
) -> Result<String, String> {
    let name = evaluated(what, name, environment)?;
    match names::check(what, &name) {
        Ok(()) => Ok(name),
        Err(error) => Err(error.to_string()),
    }
}

fn evaluated(what: &str, name: &Text, environment: &Environment) -> Result<String, String> {
    let expression = match name {
        Text::Static(name) => return Ok(name.to_string()),
        Text::Expression(expression) => expression,
    };
    match expression.evaluate(&NoVariables, environment) {
        Ok(evaluation) => match evaluation.value {
            Value::String(name) => Ok(name.to_string()),
            other => Err(format!(
                "Expected the {what} expression '{}' to evaluate to STRING without variables, but it is {}",
                expression.source(),
                other.type_name()
            )),
        },
        Err(error) => Err(error.to_string()),
    }
}

//! DECISION_EVALUATION: a client asks for a decision.

use skep_feel::{Environment, Value};
use skep_protocol::{Command, Key, RecordValue, Rejection, values};

use crate::behaviours::decisions::{self, Found};
use crate::json::Document;
use crate::processing::{Processing, Result};

/// Evaluates a DECISION_EVALUATION command. A decision that can't be made is an answer too.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::DecisionEvaluation(asked) = &command.value else {
        unreachable!("{} is no command about a decision", command.intent.name());
    };
    let found = match find(p, asked)? {
        Ok(found) => found,
        Err(rejection) => {
            p.reject(command, rejection);
            return Ok(());
        }
    };
    let document = match Document::from_client(&asked.variables) {
        Ok(document) => document,
        Err(rejection) => {
            p.reject(command, rejection);
            return Ok(());
        }
    };
    let mut record = values::DecisionEvaluation {
        variables: asked.variables.clone(),
        process_definition_key: Key::NONE.0,
        process_instance_key: Key::NONE.0,
        element_instance_key: Key::NONE.0,
        ..Default::default()
    };
    let variables = |name: &str| {
        let entry = document.entries.iter().find(|(own, _)| own == name)?;
        // What nests deeper than values may is no value to an expression.
        Value::from_json(&entry.1).ok()
    };
    let environment = Environment::at_epoch_millis(p.now(), p.context.seed);
    let intent = decisions::evaluate(&found, &variables, &environment, &mut record);
    let key = p.next_key()?;
    p.event(key, intent, record.clone());
    p.respond(key, intent, record);
    Ok(())
}

/// The decision that is asked for: the latest of an id, or that of a key.
fn find(
    p: &mut Processing,
    asked: &values::DecisionEvaluation,
) -> Result<std::result::Result<Found, Rejection>> {
    let (id, key) = (&asked.decision_id, asked.decision_key);
    let (found, named, shown) = if !id.is_empty() {
        (decisions::latest(p, id)?, "id", id.clone())
    } else if key > Key::NONE.0 {
        (decisions::by_key(p, Key(key))?, "key", key.to_string())
    } else {
        return Ok(Err(Rejection::invalid_argument(
            "Expected either a decision id or a valid decision key, but none provided",
        )));
    };
    Ok(found.ok_or_else(|| {
        Rejection::invalid_argument(format!(
            "Expected to evaluate decision '{shown}', but no decision found for {named} '{shown}'"
        ))
    }))
}

//! VARIABLE_DOCUMENT: a client sets variables.

use skep_protocol::{Command, Key, RecordValue, Rejection, VariableDocumentIntent};

use crate::banned;
use crate::behaviours::variables;
use crate::json::Document;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;

/// Evaluates a VARIABLE_DOCUMENT command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::VariableDocument(value) = &command.value else {
        unreachable!("a VARIABLE_DOCUMENT command carries a variable document");
    };
    let scope = p.instance(Key(value.scope_key))?;
    let Some(scope) = scope.filter(|scope| scope.state != ElementState::Terminating) else {
        let reason = format!(
            "Expected to update variables for element with key '{}', but no such element was found",
            value.scope_key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    if banned::refuses(p, command, scope.process_instance_key.0)? {
        return Ok(());
    }
    let document = match Document::from_client(&value.variables) {
        Ok(document) => document,
        Err(rejection) => {
            p.reject(command, rejection);
            return Ok(());
        }
    };
    match value.local {
        true => variables::merge_local(p, scope.key, document)?,
        false => variables::propagate(p, scope.key, document)?,
    }
    let key = p.next_key()?;
    p.event(key, VariableDocumentIntent::Updated, value.clone());
    p.respond(key, VariableDocumentIntent::Updated, value.clone());
    Ok(())
}

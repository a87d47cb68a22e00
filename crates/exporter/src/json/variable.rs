//! Variables.

use skep_protocol::values::{Variable, VariableDocument};

use super::writer::Object;

pub(super) fn variable(object: &mut Object<'_>, value: &Variable) {
    object
        .text("name", &value.name)
        .text("value", &value.value)
        .optional("scopeKey", value.scope_key)
        .optional("processInstanceKey", value.process_instance_key)
        .optional("processDefinitionKey", value.process_definition_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .tenant();
}

pub(super) fn document(object: &mut Object<'_>, value: &VariableDocument) {
    let semantics = if value.local { "LOCAL" } else { "PROPAGATE" };
    object
        .optional("scopeKey", value.scope_key)
        .text("updateSemantics", semantics)
        .document("variables", &value.variables)
        .tenant();
}

//! Process instances, their elements, their creation and their result.

use skep_protocol::values::{
    ProcessEvent, ProcessInstance, ProcessInstanceBatch, ProcessInstanceCreation,
    ProcessInstanceResult,
};

use super::writer::Object;

pub(super) fn instance(object: &mut Object<'_>, value: &ProcessInstance) {
    object
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("version", value.version)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .text("elementId", &value.element_id)
        .optional("flowScopeKey", value.flow_scope_key)
        .text("bpmnElementType", value.element_type().name())
        .text("bpmnEventType", value.event_type().name())
        .optional(
            "parentProcessInstanceKey",
            value.parent_process_instance_key,
        )
        .optional(
            "parentElementInstanceKey",
            value.parent_element_instance_key,
        )
        .tenant();
}

pub(super) fn creation(object: &mut Object<'_>, value: &ProcessInstanceCreation) {
    object
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("version", value.version)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .document("variables", &value.variables)
        .objects(
            "startInstructions",
            &value.start_instructions,
            |object, element| {
                object.text("elementId", element);
            },
        )
        .tenant();
}

pub(super) fn result(object: &mut Object<'_>, value: &ProcessInstanceResult) {
    object
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("version", value.version)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .document("variables", &value.variables)
        .tenant();
}

pub(super) fn event(object: &mut Object<'_>, value: &ProcessEvent) {
    object
        .optional("scopeKey", value.scope_key)
        .text("targetElementId", &value.target_element_id)
        .document("variables", &value.variables)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .tenant();
}

pub(super) fn batch(object: &mut Object<'_>, value: &ProcessInstanceBatch) {
    object
        .optional("processInstanceKey", value.process_instance_key)
        .optional("batchElementInstanceKey", value.batch_element_instance_key)
        .number("index", value.index)
        .tenant();
}

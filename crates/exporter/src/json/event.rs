//! Events that are thrown, and what waits for them.

use skep_protocol::values::{CompensationSubscription, Escalation, Signal, SignalSubscription};

use super::writer::Object;

pub(super) fn escalation(object: &mut Object<'_>, value: &Escalation) {
    object
        .optional("processInstanceKey", value.process_instance_key)
        .text("escalationCode", &value.escalation_code)
        .text("throwElementId", &value.throw_element_id)
        .text("catchElementId", &value.catch_element_id)
        .tenant();
}

pub(super) fn signal(object: &mut Object<'_>, value: &Signal) {
    object
        .text("signalName", &value.signal_name)
        .document("variables", &value.variables)
        .tenant();
}

pub(super) fn signal_subscription(object: &mut Object<'_>, value: &SignalSubscription) {
    object
        .text("signalName", &value.signal_name)
        .optional("processDefinitionKey", value.process_definition_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .text("catchEventId", &value.catch_event_id)
        .optional("catchEventInstanceKey", value.catch_event_instance_key)
        .tenant();
}

pub(super) fn compensation_subscription(object: &mut Object<'_>, value: &CompensationSubscription) {
    object
        .optional("processInstanceKey", value.process_instance_key)
        .optional("processDefinitionKey", value.process_definition_key)
        .text("compensableActivityId", &value.compensable_activity_id)
        .optional(
            "compensableActivityInstanceKey",
            value.compensable_activity_instance_key,
        )
        .optional(
            "compensableActivityScopeKey",
            value.compensable_activity_scope_key,
        )
        .text("throwEventId", &value.throw_event_id)
        .optional("throwEventInstanceKey", value.throw_event_instance_key)
        .text("compensationHandlerId", &value.compensation_handler_id)
        .optional(
            "compensationHandlerInstanceKey",
            value.compensation_handler_instance_key,
        )
        .document("variables", &value.variables)
        .tenant();
}

//! Messages, their subscriptions on both sides, timers.

use skep_protocol::values::{
    Message, MessageBatch, MessageStartEventSubscription, MessageSubscription,
    ProcessMessageSubscription, Timer,
};

use super::writer::Object;

pub(super) fn message(object: &mut Object<'_>, value: &Message) {
    object
        .text("name", &value.name)
        .text("correlationKey", &value.correlation_key)
        .text("messageId", &value.message_id)
        .number("timeToLive", value.time_to_live)
        .optional("deadline", value.deadline)
        .document("variables", &value.variables)
        .tenant();
}

pub(super) fn batch(object: &mut Object<'_>, value: &MessageBatch) {
    object.numbers("messageKeys", value.message_keys.iter().copied());
}

pub(super) fn subscription(object: &mut Object<'_>, value: &MessageSubscription) {
    object
        .optional("processInstanceKey", value.process_instance_key)
        .optional("elementInstanceKey", value.element_instance_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .text("messageName", &value.message_name)
        .text("correlationKey", &value.correlation_key)
        .optional("messageKey", value.message_key)
        .document("variables", &value.variables)
        .boolean("interrupting", value.interrupting)
        .tenant();
}

pub(super) fn process_subscription(object: &mut Object<'_>, value: &ProcessMessageSubscription) {
    object
        .optional("processInstanceKey", value.process_instance_key)
        .optional("elementInstanceKey", value.element_instance_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .text("messageName", &value.message_name)
        .text("correlationKey", &value.correlation_key)
        .optional("messageKey", value.message_key)
        .document("variables", &value.variables)
        .boolean("interrupting", value.interrupting)
        .text("elementId", &value.element_id)
        .tenant();
}

pub(super) fn start_event_subscription(
    object: &mut Object<'_>,
    value: &MessageStartEventSubscription,
) {
    object
        .optional("processDefinitionKey", value.process_definition_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .text("startEventId", &value.start_event_id)
        .text("messageName", &value.message_name)
        .optional("processInstanceKey", value.process_instance_key)
        .text("correlationKey", &value.correlation_key)
        .optional("messageKey", value.message_key)
        .document("variables", &value.variables)
        .tenant();
}

pub(super) fn timer(object: &mut Object<'_>, value: &Timer) {
    object
        .optional("elementInstanceKey", value.element_instance_key)
        .optional("processInstanceKey", value.process_instance_key)
        .optional("processDefinitionKey", value.process_definition_key)
        .number("dueDate", value.due_date)
        .text("targetElementId", &value.target_element_id)
        .number("repetitions", value.repetitions)
        .tenant();
}

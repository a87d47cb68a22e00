//! Tasks for persons.

use skep_protocol::values::UserTask;

use super::writer::Object;

pub(super) fn user_task(object: &mut Object<'_>, value: &UserTask) {
    object
        .optional("userTaskKey", value.user_task_key)
        .text("assignee", &value.assignee)
        .texts("candidateGroupsList", &value.candidate_groups)
        .texts("candidateUsersList", &value.candidate_users)
        .text("dueDate", &value.due_date)
        .text("followUpDate", &value.follow_up_date)
        .optional("formKey", value.form_key)
        .text("externalFormReference", &value.external_form_reference)
        .texts("changedAttributes", &value.changed_attributes)
        .text("action", &value.action)
        .document("customHeaders", &value.custom_headers)
        .document("variables", &value.variables)
        .optional("creationTimestamp", value.creation_timestamp)
        .number("priority", value.priority)
        .text("elementId", &value.element_id)
        .optional("elementInstanceKey", value.element_instance_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("processDefinitionVersion", value.process_definition_version)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .tenant();
}

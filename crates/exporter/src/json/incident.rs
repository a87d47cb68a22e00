//! Incidents and processing errors.

use skep_protocol::values::{Error, Incident, IncidentErrorType};

use super::writer::Object;

pub(super) fn incident(object: &mut Object<'_>, value: &Incident) {
    object
        .text("errorType", error_type(value.error_type()))
        .text("errorMessage", &value.error_message)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .text("elementId", &value.element_id)
        .optional("elementInstanceKey", value.element_instance_key)
        .optional("jobKey", value.job_key)
        .optional("variableScopeKey", value.variable_scope_key)
        .tenant();
}

pub(super) fn error(object: &mut Object<'_>, value: &Error) {
    object
        .text("exceptionMessage", &value.exception_message)
        .text("stacktrace", &value.stacktrace)
        .number("errorEventPosition", value.error_event_position)
        .optional("processInstanceKey", value.process_instance_key);
}

const fn error_type(error: IncidentErrorType) -> &'static str {
    match error {
        IncidentErrorType::Unknown => "UNKNOWN",
        IncidentErrorType::IoMappingError => "IO_MAPPING_ERROR",
        IncidentErrorType::JobNoRetries => "JOB_NO_RETRIES",
        IncidentErrorType::ConditionError => "CONDITION_ERROR",
        IncidentErrorType::ExtractValueError => "EXTRACT_VALUE_ERROR",
        IncidentErrorType::CalledElementError => "CALLED_ELEMENT_ERROR",
        IncidentErrorType::UnhandledErrorEvent => "UNHANDLED_ERROR_EVENT",
        IncidentErrorType::MessageSizeExceeded => "MESSAGE_SIZE_EXCEEDED",
        IncidentErrorType::CalledDecisionError => "CALLED_DECISION_ERROR",
        IncidentErrorType::DecisionEvaluationError => "DECISION_EVALUATION_ERROR",
        IncidentErrorType::FormNotFound => "FORM_NOT_FOUND",
        IncidentErrorType::ExecutionListenerNoRetries => "EXECUTION_LISTENER_NO_RETRIES",
    }
}

//! Jobs and batches of jobs.

use skep_protocol::values::{Job, JobBatch, JobKind, JobListenerEventType};

use super::writer::Object;

pub(super) fn job(object: &mut Object<'_>, value: &Job) {
    object
        .text("type", &value.job_type)
        .text("worker", &value.worker)
        .number("retries", value.retries)
        .number("retryBackoff", value.retry_back_off)
        .optional("recurringTime", value.recurring_time)
        .optional("deadline", value.deadline)
        .optional("timeout", value.timeout)
        .text("errorMessage", &value.error_message)
        .text("errorCode", &value.error_code)
        .document("customHeaders", &value.custom_headers)
        .document("variables", &value.variables)
        .text("elementId", &value.element_id)
        .optional("elementInstanceKey", value.element_instance_key)
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("processDefinitionVersion", value.process_definition_version)
        .optional("processDefinitionKey", value.process_definition_key)
        .optional("processInstanceKey", value.process_instance_key)
        .text("jobKind", kind(value.kind()))
        .text(
            "jobListenerEventType",
            listener(value.listener_event_type()),
        )
        .texts("changedAttributes", &[])
        .tenant();
}

pub(super) fn batch(object: &mut Object<'_>, value: &JobBatch) {
    object
        .text("type", &value.job_type)
        .text("worker", &value.worker)
        .optional("timeout", value.timeout)
        .number("maxJobsToActivate", value.max_jobs_to_activate)
        .numbers("jobKeys", value.jobs.iter().map(|activated| activated.key))
        .objects(
            "jobs",
            value
                .jobs
                .iter()
                .filter_map(|activated| activated.job.as_ref()),
            job,
        )
        .boolean("truncated", value.truncated)
        .tenants();
}

const fn kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::BpmnElement => "BPMN_ELEMENT",
        JobKind::ExecutionListener => "EXECUTION_LISTENER",
    }
}

const fn listener(event: JobListenerEventType) -> &'static str {
    match event {
        JobListenerEventType::Unspecified => "UNSPECIFIED",
        JobListenerEventType::Start => "START",
        JobListenerEventType::End => "END",
    }
}

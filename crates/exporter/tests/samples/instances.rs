//! Process instances and what belongs to them.

use skep_protocol::values::*;
use skep_protocol::*;

use super::text;

pub fn all() -> Vec<(Intent, RecordValue)> {
    let mut all = elements();
    all.extend(work());
    all.extend(operations());
    all
}

fn elements() -> Vec<(Intent, RecordValue)> {
    let instance = ProcessInstance {
        bpmn_process_id: text("order"),
        version: 2,
        process_definition_key: 5,
        process_instance_key: 1,
        element_id: text("pay"),
        flow_scope_key: 1,
        element_type: BpmnElementType::ServiceTask.into(),
        event_type: BpmnEventType::Message.into(),
        parent_process_instance_key: 8,
        parent_element_instance_key: 9,
    };
    let creation = ProcessInstanceCreation {
        bpmn_process_id: text("order"),
        version: 2,
        process_definition_key: 5,
        process_instance_key: 1,
        variables: text("{\"item\":\"honey\"}"),
        start_instructions: vec![text("pay")],
        fetch_variables: vec![text("item")],
    };
    let result = ProcessInstanceResult {
        bpmn_process_id: text("order"),
        version: 2,
        process_definition_key: 5,
        process_instance_key: 1,
        variables: text("{\"item\":\"honey\"}"),
    };
    let event = ProcessEvent {
        scope_key: 2,
        target_element_id: text("catch"),
        variables: text("{\"item\":\"honey\"}"),
        process_definition_key: 5,
        process_instance_key: 1,
    };
    let batch = ProcessInstanceBatch {
        process_instance_key: 1,
        batch_element_instance_key: 2,
        index: 10,
    };
    vec![
        (
            ProcessInstanceIntent::ElementActivated.into(),
            instance.into(),
        ),
        (
            ProcessInstanceCreationIntent::Created.into(),
            creation.into(),
        ),
        (ProcessInstanceResultIntent::Completed.into(), result.into()),
        (ProcessEventIntent::Triggering.into(), event.into()),
        (ProcessInstanceBatchIntent::Terminate.into(), batch.into()),
    ]
}

fn job() -> Job {
    Job {
        job_type: text("payment"),
        retries: 3,
        deadline: 1_795_527_464_123,
        worker: text("me"),
        timeout: 60_000,
        custom_headers: text("{\"currency\":\"EUR\"}"),
        variables: text("{\"item\":\"honey\"}"),
        error_message: text("no money"),
        error_code: text("BROKE"),
        retry_back_off: 1_000,
        recurring_time: 1_795_527_405_123,
        element_id: text("pay"),
        element_instance_key: 2,
        process_instance_key: 1,
        bpmn_process_id: text("order"),
        process_definition_version: 2,
        process_definition_key: 5,
        kind: JobKind::ExecutionListener.into(),
        listener_event_type: JobListenerEventType::Start.into(),
    }
}

fn work() -> Vec<(Intent, RecordValue)> {
    let batch = JobBatch {
        job_type: text("payment"),
        worker: text("me"),
        timeout: 60_000,
        max_jobs_to_activate: 32,
        fetch_variables: vec![text("item")],
        jobs: vec![ActivatedJob {
            key: 3,
            job: Some(job()),
        }],
        truncated: true,
    };
    let task = UserTask {
        user_task_key: 3,
        assignee: text("frodo"),
        candidate_groups: vec![text("fellowship")],
        candidate_users: vec![text("sam"), text("merry")],
        due_date: text("2026-11-11T11:11:00+01:00"),
        follow_up_date: text("2026-11-12T11:11:00+01:00"),
        form_key: 4,
        external_form_reference: text("https://forms.example"),
        changed_attributes: vec![text("assignee")],
        action: text("assign"),
        custom_headers: text("{\"ring\":\"one\"}"),
        variables: text("{\"item\":\"honey\"}"),
        creation_timestamp: 1_795_527_404_000,
        priority: 80,
        element_id: text("carry"),
        element_instance_key: 2,
        process_instance_key: 1,
        bpmn_process_id: text("order"),
        process_definition_version: 2,
        process_definition_key: 5,
    };
    let incident = Incident {
        error_type: IncidentErrorType::IoMappingError.into(),
        error_message: text("no variable 'x'"),
        bpmn_process_id: text("order"),
        process_definition_key: 5,
        process_instance_key: 1,
        element_id: text("pay"),
        element_instance_key: 2,
        job_key: 3,
        variable_scope_key: 2,
    };
    let error = Error {
        exception_message: text("a bug"),
        stacktrace: text("here\nthere"),
        error_event_position: 10,
        process_instance_key: 1,
    };
    let variable = Variable {
        name: text("item"),
        value: text("\"honey\""),
        scope_key: 1,
        process_instance_key: 1,
        process_definition_key: 5,
        bpmn_process_id: text("order"),
    };
    let document = VariableDocument {
        scope_key: 1,
        local: true,
        variables: text("{\"item\":\"honey\"}"),
    };
    vec![
        (JobIntent::Created.into(), job().into()),
        (JobBatchIntent::Activated.into(), batch.into()),
        (UserTaskIntent::Assigned.into(), task.into()),
        (IncidentIntent::Created.into(), incident.into()),
        (ErrorIntent::Created.into(), error.into()),
        (VariableIntent::Created.into(), variable.into()),
        (VariableDocumentIntent::Updated.into(), document.into()),
    ]
}

fn operations() -> Vec<(Intent, RecordValue)> {
    let modification = ProcessInstanceModification {
        process_instance_key: 1,
        terminate_instructions: vec![TerminateInstruction {
            element_instance_key: 2,
        }],
        activate_instructions: vec![ActivateInstruction {
            element_id: text("pay"),
            ancestor_scope_key: 3,
            variable_instructions: vec![VariableInstruction {
                element_id: text("sub"),
                variables: text("{\"item\":\"honey\"}"),
            }],
            ancestor_scope_keys: vec![3, 1],
        }],
    };
    let migration = ProcessInstanceMigration {
        process_instance_key: 1,
        target_process_definition_key: 6,
        mapping_instructions: vec![MappingInstruction {
            source_element_id: text("pay"),
            target_element_id: text("charge"),
        }],
    };
    vec![
        (
            ProcessInstanceModificationIntent::Modified.into(),
            modification.into(),
        ),
        (
            ProcessInstanceMigrationIntent::Migrated.into(),
            migration.into(),
        ),
    ]
}

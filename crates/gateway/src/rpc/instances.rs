//! Calls about process instances.

use std::time::Duration;

use prost::Message as _;
use skep_protocol::values::{
    ActivateInstruction, MappingInstruction, ProcessInstance, ProcessInstanceCreation,
    ProcessInstanceMigration, ProcessInstanceModification, TerminateInstruction,
    VariableInstruction,
};
use skep_protocol::{
    Command, Key, ProcessInstanceCreationIntent, ProcessInstanceIntent,
    ProcessInstanceMigrationIntent, ProcessInstanceModificationIntent, RecordValue, Rejection,
    RejectionType,
};
use tokio::time::Instant;
use tonic::{Code, Request, Status};

use super::{
    DEFAULT_TENANT, Gateway, check_name, check_tenant, reference, unexpected_answer, variables_of,
};
use crate::proto::{
    CancelProcessInstanceRequest, CancelProcessInstanceResponse, CreateProcessInstanceRequest,
    CreateProcessInstanceResponse, CreateProcessInstanceWithResultRequest,
    CreateProcessInstanceWithResultResponse, MigrateProcessInstanceRequest,
    MigrateProcessInstanceResponse, ModifyProcessInstanceRequest, ModifyProcessInstanceResponse,
};
use crate::{documents, retry, status};

pub async fn create(
    gateway: &Gateway,
    request: Request<CreateProcessInstanceRequest>,
) -> Result<CreateProcessInstanceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    check_tenant("CreateProcessInstance", &request.tenant_id)?;
    let reference = reference(request.operation_reference);
    let creation = creation(request, Vec::new())?;
    let command = Command::new(Key::NONE, ProcessInstanceCreationIntent::Create, creation)
        .referred_to_as(reference);
    let event = send(gateway, &command, deadline).await?;
    let RecordValue::ProcessInstanceCreation(created) = event.value else {
        return Err(unexpected_answer("CREATE", &event));
    };
    Ok(CreateProcessInstanceResponse {
        process_definition_key: created.process_definition_key,
        bpmn_process_id: created.bpmn_process_id,
        version: created.version,
        process_instance_key: created.process_instance_key,
        tenant_id: DEFAULT_TENANT.to_owned(),
        tags: Vec::new(),
    })
}

pub async fn create_with_result(
    gateway: &Gateway,
    request: Request<CreateProcessInstanceWithResultRequest>,
) -> Result<CreateProcessInstanceWithResultResponse, Status> {
    let timeout = match u64::try_from(request.get_ref().request_timeout) {
        Ok(milliseconds @ 1..) => Duration::from_millis(milliseconds),
        _ => gateway.config.request_timeout,
    };
    let deadline = retry::deadline(request.metadata(), timeout);
    let CreateProcessInstanceWithResultRequest {
        request,
        fetch_variables,
        ..
    } = request.into_inner();
    let request = request.unwrap_or_default();
    check_tenant("CreateProcessInstanceWithResult", &request.tenant_id)?;
    let reference = reference(request.operation_reference);
    let creation = creation(request, fetch_variables)?;
    let intent = ProcessInstanceCreationIntent::CreateWithAwaitingResult;
    let command = Command::new(Key::NONE, intent, creation).referred_to_as(reference);
    let event = send(gateway, &command, deadline).await?;
    let RecordValue::ProcessInstanceResult(result) = event.value else {
        return Err(unexpected_answer("CREATE_WITH_AWAITING_RESULT", &event));
    };
    let response = CreateProcessInstanceWithResultResponse {
        process_definition_key: result.process_definition_key,
        bpmn_process_id: result.bpmn_process_id,
        version: result.version,
        process_instance_key: result.process_instance_key,
        variables: documents::or_empty_object(result.variables),
        tenant_id: DEFAULT_TENANT.to_owned(),
        tags: Vec::new(),
    };
    fitting(response, gateway.config.max_message_size)
}

/// Clients refuse messages beyond their limit with an error that tells nothing; this one tells what to do.
fn fitting(
    response: CreateProcessInstanceWithResultResponse,
    bytes_max: usize,
) -> Result<CreateProcessInstanceWithResultResponse, Status> {
    let bytes = response.encoded_len();
    if bytes <= bytes_max {
        return Ok(response);
    }
    Err(status::status(
        Code::InvalidArgument,
        format!(
            "Expected the result of process instance {} to fit into a message of {bytes_max} bytes, but it takes {bytes}; \
             the instance has completed. Name the variables that are wanted in fetchVariables",
            response.process_instance_key
        ),
    ))
}

fn creation(
    request: CreateProcessInstanceRequest,
    fetch_variables: Vec<String>,
) -> Result<ProcessInstanceCreation, Status> {
    if !request.runtime_instructions.is_empty() {
        return Err(status::status(
            Code::InvalidArgument,
            "Expected to create a process instance without runtime instructions, since they are not supported",
        ));
    }
    check_name("bpmnProcessId", &request.bpmn_process_id)?;
    Ok(ProcessInstanceCreation {
        bpmn_process_id: request.bpmn_process_id,
        version: request.version,
        process_definition_key: request.process_definition_key,
        process_instance_key: -1,
        variables: variables_of(request.variables)?,
        start_instructions: request
            .start_instructions
            .into_iter()
            .map(|instruction| instruction.element_id)
            .collect(),
        fetch_variables,
    })
}

async fn send(gateway: &Gateway, command: &Command, deadline: Instant) -> Result<Command, Status> {
    let start = gateway.creations.next();
    let is_unknown = |rejection: &Rejection| rejection.rejection_type == RejectionType::NotFound;
    retry::on_any_partition_that_knows(&*gateway.brokers, start, command, deadline, is_unknown)
        .await?
        .map_err(|rejection| status::of_rejection(command.intent, &rejection))
}

pub async fn cancel(
    gateway: &Gateway,
    request: Request<CancelProcessInstanceRequest>,
) -> Result<CancelProcessInstanceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let key = request.process_instance_key;
    let instance = ProcessInstance {
        process_instance_key: key,
        flow_scope_key: -1,
        parent_process_instance_key: -1,
        parent_element_instance_key: -1,
        ..ProcessInstance::default()
    };
    let command = Command::new(Key(key), ProcessInstanceIntent::Cancel, instance)
        .referred_to_as(reference(request.operation_reference));
    gateway.on_entity(&command, deadline).await?;
    Ok(CancelProcessInstanceResponse {})
}

pub async fn modify(
    gateway: &Gateway,
    request: Request<ModifyProcessInstanceRequest>,
) -> Result<ModifyProcessInstanceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let key = request.process_instance_key;
    let mut activate_instructions = Vec::new();
    for instruction in request.activate_instructions {
        let mut variable_instructions = Vec::new();
        for variables in instruction.variable_instructions {
            variable_instructions.push(VariableInstruction {
                element_id: variables.scope_id,
                variables: variables_of(variables.variables)?,
            });
        }
        activate_instructions.push(ActivateInstruction {
            element_id: instruction.element_id,
            ancestor_scope_key: instruction.ancestor_element_instance_key,
            variable_instructions,
            ancestor_scope_keys: Vec::new(),
        });
    }
    let terminate = request.terminate_instructions.into_iter();
    let modification = ProcessInstanceModification {
        process_instance_key: key,
        terminate_instructions: terminate
            .map(|instruction| TerminateInstruction {
                element_instance_key: instruction.element_instance_key,
            })
            .collect(),
        activate_instructions,
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    let command = Command::new(Key(key), intent, modification)
        .referred_to_as(reference(request.operation_reference));
    gateway.on_entity(&command, deadline).await?;
    Ok(ModifyProcessInstanceResponse {})
}

pub async fn migrate(
    gateway: &Gateway,
    request: Request<MigrateProcessInstanceRequest>,
) -> Result<MigrateProcessInstanceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let key = request.process_instance_key;
    let plan = request.migration_plan.unwrap_or_default();
    let mapping = plan.mapping_instructions.into_iter();
    let migration = ProcessInstanceMigration {
        process_instance_key: key,
        target_process_definition_key: plan.target_process_definition_key,
        mapping_instructions: mapping
            .map(|instruction| MappingInstruction {
                source_element_id: instruction.source_element_id,
                target_element_id: instruction.target_element_id,
            })
            .collect(),
    };
    let intent = ProcessInstanceMigrationIntent::Migrate;
    let command = Command::new(Key(key), intent, migration)
        .referred_to_as(reference(request.operation_reference));
    gateway.on_entity(&command, deadline).await?;
    Ok(MigrateProcessInstanceResponse {})
}

//! Calls that change running process instances by hand.

use skep_protocol::{ProcessInstanceModificationIntent, values};
use tonic::{Request, Status};

use super::{Gateway, variables_of};
use crate::proto::modify_process_instance_request::ActivateInstruction;
use crate::proto::{ModifyProcessInstanceRequest, ModifyProcessInstanceResponse};

pub async fn modify(
    gateway: &Gateway,
    request: Request<ModifyProcessInstanceRequest>,
) -> Result<ModifyProcessInstanceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let activations = request.activate_instructions.into_iter().map(activation);
    let modification = values::ProcessInstanceModification {
        process_instance_key: request.process_instance_key,
        terminate_instructions: request
            .terminate_instructions
            .into_iter()
            .map(|instruction| values::TerminateInstruction {
                element_instance_key: instruction.element_instance_key,
            })
            .collect(),
        activate_instructions: activations.collect::<Result<_, Status>>()?,
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    gateway
        .on_key(request.process_instance_key, intent, modification, deadline)
        .await?;
    Ok(ModifyProcessInstanceResponse {})
}

fn activation(instruction: ActivateInstruction) -> Result<values::ActivateInstruction, Status> {
    let variables = instruction.variable_instructions.into_iter().map(|one| {
        Ok(values::VariableInstruction {
            variables: variables_of(one.variables)?,
            element_id: one.scope_id,
        })
    });
    Ok(values::ActivateInstruction {
        element_id: instruction.element_id,
        ancestor_scope_key: instruction.ancestor_element_instance_key,
        variable_instructions: variables.collect::<Result<_, Status>>()?,
        ancestor_scope_keys: Vec::new(),
    })
}

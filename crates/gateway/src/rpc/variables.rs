//! Calls about variables.

use skep_protocol::values::VariableDocument;
use skep_protocol::{Command, Key, VariableDocumentIntent};
use tonic::{Request, Status};

use super::{Gateway, reference, variables_of};
use crate::proto::{SetVariablesRequest, SetVariablesResponse};

pub async fn set(
    gateway: &Gateway,
    request: Request<SetVariablesRequest>,
) -> Result<SetVariablesResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let document = VariableDocument {
        scope_key: request.element_instance_key,
        local: request.local,
        variables: variables_of(request.variables)?,
    };
    let scope = Key(request.element_instance_key);
    let command = Command::new(scope, VariableDocumentIntent::Update, document)
        .referred_to_as(reference(request.operation_reference));
    let updated = gateway.on_entity(&command, deadline).await?;
    Ok(SetVariablesResponse { key: updated.key.0 })
}

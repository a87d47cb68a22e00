//! Calls about variables.

use skep_protocol::VariableDocumentIntent;
use skep_protocol::values::VariableDocument;
use tonic::{Request, Status};

use super::{Gateway, variables_of};
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
    let updated = gateway
        .on_key(
            request.element_instance_key,
            VariableDocumentIntent::Update,
            document,
            deadline,
        )
        .await?;
    Ok(SetVariablesResponse { key: updated.key.0 })
}

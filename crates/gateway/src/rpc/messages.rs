//! Calls about messages.

use skep_protocol::values::Message;
use skep_protocol::{Command, Key, MessageIntent};
use tonic::{Request, Status};

use super::{DEFAULT_TENANT, Gateway, check_name, check_tenant, variables_of};
use crate::proto::{PublishMessageRequest, PublishMessageResponse};
use crate::routing;

pub async fn publish(
    gateway: &Gateway,
    request: Request<PublishMessageRequest>,
) -> Result<PublishMessageResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    check_tenant("PublishMessage", &request.tenant_id)?;
    check_name("message name", &request.name)?;
    check_name("correlation key", &request.correlation_key)?;
    check_name("message id", &request.message_id)?;
    let variables = variables_of(request.variables)?;
    let partition = routing::of_message(&gateway.brokers.topology(), &request.correlation_key)?;
    let message = Message {
        name: request.name,
        correlation_key: request.correlation_key,
        message_id: request.message_id,
        time_to_live: request.time_to_live,
        deadline: -1,
        variables,
    };
    let command = Command::new(Key::NONE, MessageIntent::Publish, message);
    let published = gateway.on_partition(partition, &command, deadline).await?;
    Ok(PublishMessageResponse {
        key: published.key.0,
        tenant_id: DEFAULT_TENANT.to_owned(),
    })
}

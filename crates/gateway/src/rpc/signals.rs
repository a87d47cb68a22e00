//! Calls about signals.

use skep_protocol::values::Signal;
use skep_protocol::{Command, Key, SignalIntent};
use tonic::{Request, Status};

use super::{DEFAULT_TENANT, Gateway, check_name, check_tenant, variables_of};
use crate::proto::{BroadcastSignalRequest, BroadcastSignalResponse};
use crate::{retry, status};

/// Any partition takes it, and sends it to the others.
pub async fn broadcast(
    gateway: &Gateway,
    request: Request<BroadcastSignalRequest>,
) -> Result<BroadcastSignalResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    check_tenant("BroadcastSignal", &request.tenant_id)?;
    check_name("signal name", &request.signal_name)?;
    let signal = Signal {
        signal_name: request.signal_name,
        variables: variables_of(request.variables)?,
        ..Signal::default()
    };
    let command = Command::new(Key::NONE, SignalIntent::Broadcast, signal);
    let start = gateway.creations.next();
    let event = retry::on_any_partition(&*gateway.brokers, start, &command, deadline)
        .await?
        .map_err(|rejection| status::of_rejection(command.intent, &rejection))?;
    Ok(BroadcastSignalResponse {
        key: event.key.0,
        tenant_id: DEFAULT_TENANT.to_owned(),
    })
}

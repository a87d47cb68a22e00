//! Calls about incidents.

use skep_protocol::values::Incident;
use skep_protocol::{Command, IncidentIntent, Key, RejectionType};
use tonic::{Request, Status};

use super::{Gateway, reference};
use crate::proto::{ResolveIncidentRequest, ResolveIncidentResponse};
use crate::{retry, routing, status};

pub async fn resolve(
    gateway: &Gateway,
    request: Request<ResolveIncidentRequest>,
) -> Result<ResolveIncidentResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let key = request.incident_key;
    let incident = Incident {
        job_key: -1,
        ..Incident::default()
    };
    let command = Command::new(Key(key), IncidentIntent::Resolve, incident)
        .referred_to_as(reference(request.operation_reference));
    let partition = routing::of_key(&gateway.brokers.topology(), key)?;
    let answer = retry::on_partition(&*gateway.brokers, partition, &command, deadline).await?;
    answer.map_err(|mut rejection| {
        // The log says INVALID_STATE of an incident whose job has no retries left, but Zeebe's clients get NOT_FOUND.
        if rejection.rejection_type == RejectionType::InvalidState {
            rejection.rejection_type = RejectionType::NotFound;
        }
        status::of_rejection(command.intent, &rejection)
    })?;
    Ok(ResolveIncidentResponse {})
}

//! Calls about deployed resources. The first partition takes them in; the answer does not wait for the others.

use skep_protocol::routing::DEPLOYMENT_PARTITION;
use skep_protocol::values::{self, DeploymentResource};
use skep_protocol::{Command, DeploymentIntent, Key, RecordValue, ResourceDeletionIntent};
use tokio::time::Instant;
use tonic::{Request, Status};

use super::{DEFAULT_TENANT, Gateway, check_name, check_tenant, reference, unexpected_answer};
use crate::proto::{
    DecisionMetadata, DecisionRequirementsMetadata, DeleteResourceRequest, DeleteResourceResponse,
    DeployProcessRequest, DeployProcessResponse, DeployResourceRequest, DeployResourceResponse,
    Deployment, FormMetadata, ProcessMetadata, deployment,
};

pub async fn deploy(
    gateway: &Gateway,
    request: Request<DeployResourceRequest>,
) -> Result<DeployResourceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    check_tenant("DeployResource", &request.tenant_id)?;
    let resources = request
        .resources
        .into_iter()
        .map(|resource| DeploymentResource {
            resource_name: resource.name,
            resource: resource.content,
        })
        .collect();
    let (key, created) = send(gateway, resources, deadline).await?;
    Ok(DeployResourceResponse {
        key: key.0,
        deployments: deployments(created),
        tenant_id: DEFAULT_TENANT.to_owned(),
    })
}

/// What came of the resources: processes, then decisions, then their requirements, then forms.
fn deployments(created: values::Deployment) -> Vec<Deployment> {
    let processes = created.processes.into_iter().map(metadata);
    let decisions = created.decisions.into_iter().map(decision);
    let graphs = created.decision_requirements.into_iter().map(requirements);
    let forms = created.forms.into_iter().map(form);
    processes
        .map(deployment::Metadata::Process)
        .chain(decisions.map(deployment::Metadata::Decision))
        .chain(graphs.map(deployment::Metadata::DecisionRequirements))
        .chain(forms.map(deployment::Metadata::Form))
        .map(|metadata| Deployment {
            metadata: Some(metadata),
        })
        .collect()
}

pub async fn deploy_processes(
    gateway: &Gateway,
    request: Request<DeployProcessRequest>,
) -> Result<DeployProcessResponse, Status> {
    let deadline = gateway.deadline(&request);
    let resources = request
        .into_inner()
        .processes
        .into_iter()
        .map(|process| DeploymentResource {
            resource_name: process.name,
            resource: process.definition,
        })
        .collect();
    let (key, created) = send(gateway, resources, deadline).await?;
    Ok(DeployProcessResponse {
        key: key.0,
        processes: created.processes.into_iter().map(metadata).collect(),
    })
}

pub async fn delete(
    gateway: &Gateway,
    request: Request<DeleteResourceRequest>,
) -> Result<DeleteResourceResponse, Status> {
    let deadline = gateway.deadline(&request);
    let request = request.into_inner();
    let resource_key = request.resource_key;
    let deletion = values::ResourceDeletion {
        resource_key,
        is_distributed: false,
    };
    let command = Command::new(Key(resource_key), ResourceDeletionIntent::Delete, deletion)
        .referred_to_as(reference(request.operation_reference));
    gateway.on_entity(&command, deadline).await?;
    Ok(DeleteResourceResponse {})
}

async fn send(
    gateway: &Gateway,
    resources: Vec<DeploymentResource>,
    deadline: Instant,
) -> Result<(Key, values::Deployment), Status> {
    for resource in &resources {
        check_name("name of a resource", &resource.resource_name)?;
    }
    let deployment = values::Deployment {
        resources,
        ..Default::default()
    };
    let command = Command::new(Key::NONE, DeploymentIntent::Create, deployment);
    let event = gateway
        .on_partition(DEPLOYMENT_PARTITION, &command, deadline)
        .await?;
    match event.value {
        RecordValue::Deployment(created) => Ok((event.key, created)),
        _ => Err(unexpected_answer("CREATE", &event)),
    }
}

fn metadata(process: values::ProcessMetadata) -> ProcessMetadata {
    ProcessMetadata {
        bpmn_process_id: process.bpmn_process_id,
        version: process.version,
        process_definition_key: process.process_definition_key,
        resource_name: process.resource_name,
        tenant_id: DEFAULT_TENANT.to_owned(),
    }
}

fn decision(decision: values::DecisionMetadata) -> DecisionMetadata {
    DecisionMetadata {
        dmn_decision_id: decision.decision_id,
        dmn_decision_name: decision.decision_name,
        version: decision.version,
        decision_key: decision.decision_key,
        dmn_decision_requirements_id: decision.decision_requirements_id,
        decision_requirements_key: decision.decision_requirements_key,
        tenant_id: DEFAULT_TENANT.to_owned(),
    }
}

fn requirements(graph: values::DecisionRequirementsMetadata) -> DecisionRequirementsMetadata {
    DecisionRequirementsMetadata {
        dmn_decision_requirements_id: graph.decision_requirements_id,
        dmn_decision_requirements_name: graph.decision_requirements_name,
        version: graph.version,
        decision_requirements_key: graph.decision_requirements_key,
        resource_name: graph.resource_name,
        tenant_id: DEFAULT_TENANT.to_owned(),
    }
}

fn form(form: values::FormMetadata) -> FormMetadata {
    FormMetadata {
        form_id: form.form_id,
        version: form.version,
        form_key: form.form_key,
        resource_name: form.resource_name,
        tenant_id: DEFAULT_TENANT.to_owned(),
    }
}

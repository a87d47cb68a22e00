//! Which key and version each process, graph, decision and form gets: those of the latest version if that is the same, else new ones.

use skep_protocol::{Key, values};

use super::resources::{Content, Parsed};
use crate::behaviours::forms::FormHead;
use crate::processing::{Processing, Result};
use crate::tables::{decisions, forms, processes};

/// Bytes of the hash by which an unchanged resource is recognised.
const CHECKSUM_BYTES: usize = 16;

/// The deployment with what came of its resources.
pub(super) fn identify(
    p: &mut Processing,
    deployment: &values::Deployment,
    parsed: &Parsed,
) -> Result<values::Deployment> {
    let mut identified = values::Deployment {
        resources: deployment.resources.clone(),
        ..Default::default()
    };
    for (resource, content) in deployment.resources.iter().zip(parsed) {
        let hash = blake3::hash(&resource.resource);
        let checksum = &hash.as_bytes()[..CHECKSUM_BYTES];
        match content {
            Content::Processes(processes) => {
                for process in processes {
                    let metadata = identify_process(p, resource, &process.id, checksum)?;
                    identified.processes.push(metadata);
                }
            }
            Content::Decisions(model) => {
                let graph = identify_requirements(p, resource, model, checksum)?;
                for decision in model.decisions() {
                    let metadata = identify_decision(p, &graph, &decision)?;
                    identified.decisions.push(metadata);
                }
                identified.decision_requirements.push(graph);
            }
            Content::Form(form) => {
                let metadata = identify_form(p, resource, form, checksum)?;
                identified.forms.push(metadata);
            }
        }
    }
    Ok(identified)
}

fn identify_process(
    p: &mut Processing,
    resource: &values::DeploymentResource,
    bpmn_process_id: &str,
    checksum: &[u8],
) -> Result<values::ProcessMetadata> {
    let latest = processes::latest(p.txn, bpmn_process_id)?;
    let mut metadata = values::ProcessMetadata {
        bpmn_process_id: bpmn_process_id.to_owned(),
        version: processes::next_version(p.txn, bpmn_process_id)?,
        process_definition_key: Key::NONE.0,
        resource_name: resource.resource_name.clone(),
        checksum: checksum.to_vec(),
        duplicate: false,
    };
    if let Some(latest) = latest
        && let Some(definition) = processes::get(p.txn, latest.key())?
        && definition.checksum == checksum
        && definition.resource_name == resource.resource_name
    {
        metadata.version = latest.version;
        metadata.process_definition_key = latest.key().0;
        metadata.duplicate = true;
    } else {
        metadata.process_definition_key = p.next_key()?.0;
    }
    Ok(metadata)
}

fn identify_requirements(
    p: &mut Processing,
    resource: &values::DeploymentResource,
    model: &skep_dmn::Model,
    checksum: &[u8],
) -> Result<values::DecisionRequirementsMetadata> {
    let latest = decisions::latest_requirements(p.txn, model.id())?;
    let mut metadata = values::DecisionRequirementsMetadata {
        decision_requirements_id: model.id().to_owned(),
        decision_requirements_name: model.name().to_owned(),
        version: decisions::next_requirements_version(p.txn, model.id())?,
        decision_requirements_key: Key::NONE.0,
        namespace: model.namespace().to_owned(),
        resource_name: resource.resource_name.clone(),
        checksum: checksum.to_vec(),
        duplicate: false,
    };
    if let Some(latest) = latest
        && let Some(graph) = decisions::requirements(p.txn, latest.key())?
        && graph.checksum == checksum
        && graph.resource_name == resource.resource_name
    {
        metadata.version = latest.version;
        metadata.decision_requirements_key = latest.key().0;
        metadata.duplicate = true;
    } else {
        metadata.decision_requirements_key = p.next_key()?.0;
    }
    Ok(metadata)
}

/// A new version of a graph makes a new version of each of its decisions.
fn identify_decision(
    p: &mut Processing,
    graph: &values::DecisionRequirementsMetadata,
    decision: &skep_dmn::Decision<'_>,
) -> Result<values::DecisionMetadata> {
    let requirements = Key(graph.decision_requirements_key);
    let mut metadata = values::DecisionMetadata {
        decision_id: decision.id().to_owned(),
        decision_name: decision.name().to_owned(),
        version: 1,
        decision_key: Key::NONE.0,
        decision_requirements_id: graph.decision_requirements_id.clone(),
        decision_requirements_key: requirements.0,
        duplicate: graph.duplicate,
    };
    if graph.duplicate {
        let mut deployed = decisions::of_requirements(p.txn, requirements)?.into_iter();
        if let Some(same) = deployed.find(|other| other.decision_id == decision.id()) {
            metadata.version = same.version;
            metadata.decision_key = same.decision_key;
            return Ok(metadata);
        }
    }
    metadata.version = decisions::next_version(p.txn, decision.id())?;
    metadata.decision_key = p.next_key()?.0;
    Ok(metadata)
}

fn identify_form(
    p: &mut Processing,
    resource: &values::DeploymentResource,
    form: &FormHead,
    checksum: &[u8],
) -> Result<values::FormMetadata> {
    let mut metadata = values::FormMetadata {
        form_id: form.id().to_owned(),
        version: 0,
        form_key: Key::NONE.0,
        resource_name: resource.resource_name.clone(),
        checksum: checksum.to_vec(),
        duplicate: false,
        version_tag: form.version_tag.clone().unwrap_or_default(),
    };
    if let Some(latest) = forms::latest(p.txn, form.id())?
        && let Some(deployed) = forms::get(p.txn, latest.key())?
        && deployed.checksum == checksum
        && deployed.resource_name == resource.resource_name
    {
        metadata.version = latest.version;
        metadata.form_key = latest.key().0;
        metadata.duplicate = true;
    } else {
        metadata.version = forms::next_version(p.txn, form.id())?;
        metadata.form_key = p.next_key()?.0;
    }
    Ok(metadata)
}

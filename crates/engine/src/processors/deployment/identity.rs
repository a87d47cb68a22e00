//! Which key and version each process, graph, decision and form gets: those of the latest versions if all of the deployment is the
//! same as they, else new ones. So what is deployed together can be bound to each other, whatever of it has changed.

use skep_bpmn::model;
use skep_protocol::{Key, values};

use super::resources::{Content, Parsed};
use crate::behaviours::forms::FormHead;
use crate::processing::{Processing, Result};
use crate::tables::versions::Version;
use crate::tables::{decisions, forms, processes};

/// Bytes of the hash by which an unchanged resource is recognised.
const CHECKSUM_BYTES: usize = 16;

/// A resource as it is recognised when it comes again.
struct Identity<'a> {
    /// The deployment that it comes in now.
    deployment: Key,
    resource_name: &'a str,
    checksum: &'a [u8],
}

impl Identity<'_> {
    fn is_of(&self, resource_name: &str, checksum: &[u8]) -> bool {
        self.resource_name == resource_name && self.checksum == checksum
    }
}

/// The latest version of something, if that is what is deployed again.
#[derive(Clone, Copy)]
struct Same {
    version: i32,
    key: Key,
    /// The deployment that brought it.
    deployment: i64,
}

/// The deployment with what came of its resources.
pub(super) fn identify(
    p: &mut Processing,
    key: Key,
    deployment: &values::Deployment,
    parsed: &Parsed,
) -> Result<values::Deployment> {
    let checksums = deployment.resources.iter().map(|resource| {
        let hash = blake3::hash(&resource.resource);
        hash.as_bytes()[..CHECKSUM_BYTES].to_vec()
    });
    let checksums: Vec<Vec<u8>> = checksums.collect();
    let mut resources = Vec::new();
    for ((resource, checksum), content) in deployment.resources.iter().zip(&checksums).zip(parsed) {
        let identity = Identity {
            deployment: key,
            resource_name: &resource.resource_name,
            checksum,
        };
        resources.push((identity, content));
    }
    let mut identified = values::Deployment {
        resources: deployment.resources.clone(),
        ..Default::default()
    };
    let known = is_known(p, &resources)?;
    for (identity, content) in &resources {
        identify_content(p, identity, content, known, &mut identified)?;
    }
    Ok(identified)
}

/// Whether each resource is the same as the latest version of what is in it.
fn is_known(p: &Processing, resources: &[(Identity<'_>, &Content)]) -> Result<bool> {
    for (identity, content) in resources {
        let known = match content {
            Content::Processes(processes) => {
                let mut known = true;
                for process in processes {
                    known &= same_process(p, identity, &process.id)?.is_some();
                }
                known
            }
            Content::Decisions(model) => same_requirements(p, identity, model.id())?.is_some(),
            Content::Form(form) => same_form(p, identity, form.id())?.is_some(),
        };
        if !known {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_process(p: &Processing, identity: &Identity<'_>, id: &str) -> Result<Option<Same>> {
    let Some(latest) = processes::latest(p.txn, id)? else {
        return Ok(None);
    };
    let deployed = processes::get(p.txn, latest.key())?;
    let same = deployed.filter(|it| identity.is_of(&it.resource_name, &it.checksum));
    Ok(same.map(|it| Same::new(latest, it.deployment_key)))
}

fn same_requirements(p: &Processing, identity: &Identity<'_>, id: &str) -> Result<Option<Same>> {
    let Some(latest) = decisions::latest_requirements(p.txn, id)? else {
        return Ok(None);
    };
    let deployed = decisions::requirements(p.txn, latest.key())?;
    let same = deployed.filter(|it| identity.is_of(&it.resource_name, &it.checksum));
    Ok(same.map(|it| Same::new(latest, it.deployment_key)))
}

fn same_form(p: &Processing, identity: &Identity<'_>, id: &str) -> Result<Option<Same>> {
    let Some(latest) = forms::latest(p.txn, id)? else {
        return Ok(None);
    };
    let deployed = forms::get(p.txn, latest.key())?;
    let same = deployed.filter(|it| identity.is_of(&it.resource_name, &it.checksum));
    Ok(same.map(|it| Same::new(latest, it.deployment_key)))
}

impl Same {
    fn new(latest: Version, deployment: i64) -> Same {
        Same {
            version: latest.version,
            key: latest.key(),
            deployment,
        }
    }
}

/// The deployment that brought something.
fn brought_by(identity: &Identity<'_>, same: Option<Same>) -> i64 {
    same.map_or(identity.deployment.0, |same| same.deployment)
}

/// What came of one resource. `known` tells that the latest versions are taken.
fn identify_content(
    p: &mut Processing,
    identity: &Identity<'_>,
    content: &Content,
    known: bool,
    identified: &mut values::Deployment,
) -> Result<()> {
    match content {
        Content::Processes(processes) => {
            for process in processes {
                let same = match known {
                    true => same_process(p, identity, &process.id)?,
                    false => None,
                };
                let metadata = identify_process(p, identity, process, same)?;
                identified.processes.push(metadata);
            }
        }
        Content::Decisions(model) => {
            let same = match known {
                true => same_requirements(p, identity, model.id())?,
                false => None,
            };
            let graph = identify_requirements(p, identity, model, same)?;
            for decision in model.decisions() {
                let metadata = identify_decision(p, identity, &graph, &decision)?;
                identified.decisions.push(metadata);
            }
            identified.decision_requirements.push(graph);
        }
        Content::Form(form) => {
            let same = match known {
                true => same_form(p, identity, form.id())?,
                false => None,
            };
            identified
                .forms
                .push(identify_form(p, identity, form, same)?);
        }
    }
    Ok(())
}

fn identify_process(
    p: &mut Processing,
    identity: &Identity<'_>,
    process: &model::Process,
    same: Option<Same>,
) -> Result<values::ProcessMetadata> {
    let (version, key) = match same {
        Some(same) => (same.version, same.key),
        None => (processes::next_version(p.txn, &process.id)?, p.next_key()?),
    };
    Ok(values::ProcessMetadata {
        bpmn_process_id: process.id.to_string(),
        version,
        process_definition_key: key.0,
        resource_name: identity.resource_name.to_owned(),
        checksum: identity.checksum.to_vec(),
        duplicate: same.is_some(),
        version_tag: tag(process.version_tag.as_deref()),
        deployment_key: brought_by(identity, same),
    })
}

fn identify_requirements(
    p: &mut Processing,
    identity: &Identity<'_>,
    model: &skep_dmn::Model,
    same: Option<Same>,
) -> Result<values::DecisionRequirementsMetadata> {
    let (version, key) = match same {
        Some(same) => (same.version, same.key),
        None => {
            let version = decisions::next_requirements_version(p.txn, model.id())?;
            (version, p.next_key()?)
        }
    };
    Ok(values::DecisionRequirementsMetadata {
        decision_requirements_id: model.id().to_owned(),
        decision_requirements_name: model.name().to_owned(),
        version,
        decision_requirements_key: key.0,
        namespace: model.namespace().to_owned(),
        resource_name: identity.resource_name.to_owned(),
        checksum: identity.checksum.to_vec(),
        duplicate: same.is_some(),
    })
}

/// A new version of a graph makes a new version of each of its decisions.
fn identify_decision(
    p: &mut Processing,
    identity: &Identity<'_>,
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
        version_tag: tag(decision.version_tag()),
        deployment_key: identity.deployment.0,
    };
    if graph.duplicate {
        let mut deployed = decisions::of_requirements(p.txn, requirements)?.into_iter();
        if let Some(same) = deployed.find(|other| other.decision_id == decision.id()) {
            metadata.version = same.version;
            metadata.decision_key = same.decision_key;
            metadata.deployment_key = same.deployment_key;
            return Ok(metadata);
        }
    }
    metadata.version = decisions::next_version(p.txn, decision.id())?;
    metadata.decision_key = p.next_key()?.0;
    Ok(metadata)
}

fn identify_form(
    p: &mut Processing,
    identity: &Identity<'_>,
    form: &FormHead,
    same: Option<Same>,
) -> Result<values::FormMetadata> {
    let (version, key) = match same {
        Some(same) => (same.version, same.key),
        None => (forms::next_version(p.txn, form.id())?, p.next_key()?),
    };
    Ok(values::FormMetadata {
        form_id: form.id().to_owned(),
        version,
        form_key: key.0,
        resource_name: identity.resource_name.to_owned(),
        checksum: identity.checksum.to_vec(),
        duplicate: same.is_some(),
        version_tag: tag(form.version_tag.as_deref()),
        deployment_key: brought_by(identity, same),
    })
}

fn tag(given: Option<&str>) -> String {
    given.unwrap_or_default().to_owned()
}

//! What every partition does with a deployment: keep its resources and definitions, and open its start events.

use std::collections::BTreeSet;

use skep_protocol::{
    DecisionIntent, DecisionRequirementsIntent, FormIntent, Key, ProcessIntent, values,
};
use skep_state::{Read, StateError};

use crate::behaviours::{forms as form_behaviour, message_starts, signals, timer_starts, timers};
use crate::processing::{Processing, Result};
use crate::tables::{decisions, distributions, forms, processes};

/// The part of a deployment that is new: without what was deployed before, and the resources of only that.
pub(crate) fn new_part(deployment: &values::Deployment) -> values::Deployment {
    let mut new = deployment.clone();
    new.processes.retain(|process| !process.duplicate);
    new.decisions.retain(|decision| !decision.duplicate);
    new.decision_requirements.retain(|graph| !graph.duplicate);
    new.forms.retain(|form| !form.duplicate);
    let mut used: BTreeSet<&str> = BTreeSet::new();
    used.extend(new.processes.iter().map(|it| &*it.resource_name));
    used.extend(
        new.decision_requirements
            .iter()
            .map(|it| &*it.resource_name),
    );
    used.extend(new.forms.iter().map(|it| &*it.resource_name));
    new.resources
        .retain(|resource| used.contains(&*resource.resource_name));
    new
}

/// Whether a deployment brings nothing.
pub(crate) fn is_empty(new: &values::Deployment) -> bool {
    new.processes.is_empty() && new.decision_requirements.is_empty() && new.forms.is_empty()
}

/// Whether what a deployment brings is here already, or is nothing.
pub(crate) fn is_known(p: &Processing, new: &values::Deployment) -> Result<bool> {
    if let Some(process) = new.processes.first() {
        return Ok(processes::get(p.txn, Key(process.process_definition_key))?.is_some());
    }
    if let Some(graph) = new.decision_requirements.first() {
        let key = Key(graph.decision_requirements_key);
        return Ok(decisions::requirements(p.txn, key)?.is_some());
    }
    if let Some(form) = new.forms.first() {
        return Ok(forms::get(p.txn, Key(form.form_key))?.is_some());
    }
    Ok(true)
}

/// Keeps resources and definitions.
pub(crate) fn keep(p: &mut Processing, key: Key, new: &values::Deployment) -> Result<()> {
    for resource in &new.resources {
        let name = &resource.resource_name;
        let definitions = definitions_in(new, name);
        processes::insert_resource(p.txn, key, name, &resource.resource, definitions);
    }
    for process in &new.processes {
        keep_process(p, key, new, process)?;
    }
    for graph in &new.decision_requirements {
        keep_requirements(p, key, new, graph)?;
    }
    for decision in &new.decisions {
        keep_decision(p, key, decision)?;
    }
    for metadata in &new.forms {
        keep_form(p, key, new, metadata)?;
    }
    Ok(())
}

/// How many definitions come in a resource.
fn definitions_in(new: &values::Deployment, resource_name: &str) -> u32 {
    let processes = new.processes.iter().map(|it| &it.resource_name);
    let graphs = new.decision_requirements.iter().map(|it| &it.resource_name);
    let forms = new.forms.iter().map(|it| &it.resource_name);
    let names = processes.chain(graphs).chain(forms);
    names.filter(|name| *name == resource_name).count() as u32
}

fn content<'d>(new: &'d values::Deployment, resource_name: &str) -> &'d [u8] {
    let mut resources = new.resources.iter();
    let resource = resources.find(|resource| resource.resource_name == resource_name);
    &resource
        .expect("what is deployed comes in a resource of its deployment")
        .resource
}

fn keep_process(
    p: &mut Processing,
    deployment: Key,
    new: &values::Deployment,
    process: &values::ProcessMetadata,
) -> Result<()> {
    let mut definition = values::Process {
        bpmn_process_id: process.bpmn_process_id.clone(),
        version: process.version,
        process_definition_key: process.process_definition_key,
        resource_name: process.resource_name.clone(),
        checksum: process.checksum.clone(),
        resource: Vec::new(),
        deployment_key: deployment.0,
        is_deleting: false,
        version_tag: process.version_tag.clone(),
    };
    processes::insert(p.txn, &definition)?;
    definition.resource = content(new, &process.resource_name).to_vec();
    let key = Key(process.process_definition_key);
    p.event(key, ProcessIntent::Created, definition);
    Ok(())
}

fn keep_requirements(
    p: &mut Processing,
    deployment: Key,
    new: &values::Deployment,
    graph: &values::DecisionRequirementsMetadata,
) -> Result<()> {
    let mut requirements = values::DecisionRequirements {
        decision_requirements_id: graph.decision_requirements_id.clone(),
        decision_requirements_name: graph.decision_requirements_name.clone(),
        version: graph.version,
        decision_requirements_key: graph.decision_requirements_key,
        namespace: graph.namespace.clone(),
        resource_name: graph.resource_name.clone(),
        checksum: graph.checksum.clone(),
        resource: Vec::new(),
        deployment_key: deployment.0,
    };
    decisions::insert_requirements(p.txn, &requirements)?;
    requirements.resource = content(new, &graph.resource_name).to_vec();
    let key = Key(graph.decision_requirements_key);
    p.event(key, DecisionRequirementsIntent::Created, requirements);
    Ok(())
}

fn keep_decision(
    p: &mut Processing,
    deployment: Key,
    metadata: &values::DecisionMetadata,
) -> Result<()> {
    let decision = values::Decision {
        decision_id: metadata.decision_id.clone(),
        decision_name: metadata.decision_name.clone(),
        version: metadata.version,
        decision_key: metadata.decision_key,
        decision_requirements_id: metadata.decision_requirements_id.clone(),
        decision_requirements_key: metadata.decision_requirements_key,
        deployment_key: deployment.0,
        version_tag: metadata.version_tag.clone(),
    };
    decisions::insert(p.txn, &decision)?;
    let key = Key(metadata.decision_key);
    p.event(key, DecisionIntent::Created, decision);
    Ok(())
}

fn keep_form(
    p: &mut Processing,
    deployment: Key,
    new: &values::Deployment,
    metadata: &values::FormMetadata,
) -> Result<()> {
    let mut form = form_behaviour::of_metadata(deployment, metadata);
    forms::insert(p.txn, &form)?;
    form.resource = content(new, &metadata.resource_name).to_vec();
    p.event(Key(metadata.form_key), FormIntent::Created, form);
    Ok(())
}

/// Opens what waits for an instance to be started.
pub(crate) fn open_starts(p: &mut Processing, new: &values::Deployment) -> Result<()> {
    for process in &new.processes {
        open_starts_of(p, Key(process.process_definition_key))?;
    }
    Ok(())
}

/// Opens what waits for an instance of a process definition to be started, in place of that of the version before.
pub(crate) fn open_starts_of(p: &mut Processing, definition: Key) -> Result<()> {
    message_starts::definition_deployed(p, definition)?;
    timer_starts::definition_deployed(p, definition)?;
    signals::definition_deployed(p, definition)
}

/// Closes what waits for an instance of a process definition to be started.
pub(crate) fn close_starts_of(p: &mut Processing, definition: Key) -> Result<()> {
    message_starts::close(p, definition)?;
    timers::cancel_where(p, definition, &|_| true)?;
    signals::close_where(p, definition, &|_| true)
}

/// Removes the content of the resources, and keeps their names.
pub(crate) fn clear_content(deployment: &mut values::Deployment) {
    for resource in &mut deployment.resources {
        resource.resource.clear();
    }
}

/// Gives the resources of a deployment their content back.
pub(crate) fn fill_content(
    state: &dyn Read,
    key: Key,
    deployment: &mut values::Deployment,
) -> Result<()> {
    for resource in &mut deployment.resources {
        match processes::resource(state, key, &resource.resource_name)? {
            Some(content) => resource.resource = content,
            // It was deleted since all have it; only the channel does not know yet that they do.
            None if distributions::pending(state, key)?.is_empty() => {}
            None => {
                return Err(StateError::Corrupt {
                    place: format!("resource '{}' of deployment {key}", resource.resource_name),
                    reason: "it is missing".to_owned(),
                    mend: "Restore the partition from a backup".to_owned(),
                });
            }
        }
    }
    Ok(())
}

//! What every partition does with a deployment: keep its resources and definitions, and open its message start events.

use skep_protocol::{Key, ProcessIntent, values};
use skep_state::{Read, StateError};

use crate::behaviours::message_starts;
use crate::processing::{Processing, Result};
use crate::tables::processes;

/// The part of a deployment that is new: without the processes that were deployed before, and the resources of only those.
pub(crate) fn new_part(deployment: &values::Deployment) -> values::Deployment {
    let processes: Vec<_> = deployment
        .processes
        .iter()
        .filter(|process| !process.duplicate)
        .cloned()
        .collect();
    let is_new = |resource: &&values::DeploymentResource| {
        processes
            .iter()
            .any(|process| process.resource_name == resource.resource_name)
    };
    let resources = deployment
        .resources
        .iter()
        .filter(is_new)
        .cloned()
        .collect();
    values::Deployment {
        resources,
        processes,
    }
}

/// Whether its event is written for each definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    /// On the deployment partition.
    Yes,
    /// On the others: the records would say the same again.
    No,
}

/// Keeps resources and definitions.
pub(crate) fn keep(
    p: &mut Processing,
    key: Key,
    new: &values::Deployment,
    announce: Announce,
) -> Result<()> {
    for resource in &new.resources {
        processes::insert_resource(p.txn, key, &resource.resource_name, &resource.resource);
    }
    for process in &new.processes {
        let mut definition = values::Process {
            bpmn_process_id: process.bpmn_process_id.clone(),
            version: process.version,
            process_definition_key: process.process_definition_key,
            resource_name: process.resource_name.clone(),
            checksum: process.checksum.clone(),
            resource: Vec::new(),
            deployment_key: key.0,
        };
        processes::insert(p.txn, &definition)?;
        if announce == Announce::Yes {
            let of = |resource: &&values::DeploymentResource| {
                resource.resource_name == process.resource_name
            };
            let resource = new
                .resources
                .iter()
                .find(of)
                .expect("a process comes in a resource of its deployment");
            definition.resource.clone_from(&resource.resource);
            p.event(
                Key(process.process_definition_key),
                ProcessIntent::Created,
                definition,
            );
        }
    }
    Ok(())
}

/// Opens what waits for an instance to be started.
pub(crate) fn open_starts(p: &mut Processing, new: &values::Deployment) -> Result<()> {
    for process in &new.processes {
        message_starts::definition_deployed(p, Key(process.process_definition_key))?;
    }
    Ok(())
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
        let content = processes::resource(state, key, &resource.resource_name)?;
        resource.resource = content.ok_or_else(|| StateError::Corrupt {
            place: format!("resource '{}' of deployment {key}", resource.resource_name),
            reason: "it is missing".to_owned(),
            mend: "Restore the partition from a backup".to_owned(),
        })?;
    }
    Ok(())
}

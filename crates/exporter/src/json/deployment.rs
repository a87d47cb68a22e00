//! Deployments and process definitions.

use skep_protocol::Key;
use skep_protocol::values::{Deployment, DeploymentResource, Process, ProcessMetadata};

use super::writer::Object;
use super::{decision, form};

/// `key` is the record's, which is the deployment's once there is one.
pub(super) fn deployment(object: &mut Object<'_>, value: &Deployment, key: Key) {
    object
        .objects("resources", &value.resources, resource)
        .objects("processesMetadata", &value.processes, |object, process| {
            process_metadata(object, process, key);
        })
        .objects("decisionsMetadata", &value.decisions, |object, found| {
            decision::metadata(object, found, key);
        })
        .objects(
            "decisionRequirementsMetadata",
            &value.decision_requirements,
            decision::requirements_metadata,
        )
        .objects("formMetadata", &value.forms, |object, found| {
            form::metadata(object, found, key);
        })
        .optional("deploymentKey", key.0)
        .tenant();
}

fn resource(object: &mut Object<'_>, value: &DeploymentResource) {
    object
        .text("resourceName", &value.resource_name)
        .bytes("resource", &value.resource);
}

/// The deployment that brought something; of a duplicate an earlier one did, which its record does not name.
pub(super) const fn brought_by(key: Key, duplicate: bool) -> i64 {
    if duplicate { Key::NONE.0 } else { key.0 }
}

fn process_metadata(object: &mut Object<'_>, value: &ProcessMetadata, key: Key) {
    object
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("version", value.version)
        .optional("processDefinitionKey", value.process_definition_key)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .boolean("duplicate", value.duplicate)
        .number("deploymentKey", brought_by(key, value.duplicate))
        .text("versionTag", &value.version_tag)
        .tenant();
}

pub(super) fn process(object: &mut Object<'_>, value: &Process) {
    object
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("version", value.version)
        .optional("processDefinitionKey", value.process_definition_key)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .bytes("resource", &value.resource)
        .boolean("duplicate", false)
        .optional("deploymentKey", value.deployment_key)
        .text("versionTag", &value.version_tag)
        .tenant();
}

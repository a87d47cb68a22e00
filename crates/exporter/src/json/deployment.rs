//! Deployments and process definitions.

use skep_protocol::Key;
use skep_protocol::values::{Deployment, DeploymentResource, Process, ProcessMetadata};

use super::writer::Object;
use super::{decision, form};

/// `key` is the record's, which is the deployment's once there is one.
pub(super) fn deployment(object: &mut Object<'_>, value: &Deployment, key: Key) {
    object
        .objects("resources", &value.resources, resource)
        .objects("processesMetadata", &value.processes, process_metadata)
        .objects("decisionsMetadata", &value.decisions, decision::metadata)
        .objects(
            "decisionRequirementsMetadata",
            &value.decision_requirements,
            decision::requirements_metadata,
        )
        .objects("formMetadata", &value.forms, form::metadata)
        .optional("deploymentKey", key.0)
        .tenant();
}

fn resource(object: &mut Object<'_>, value: &DeploymentResource) {
    object
        .text("resourceName", &value.resource_name)
        .bytes("resource", &value.resource);
}

fn process_metadata(object: &mut Object<'_>, value: &ProcessMetadata) {
    object
        .text("bpmnProcessId", &value.bpmn_process_id)
        .optional("version", value.version)
        .optional("processDefinitionKey", value.process_definition_key)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .boolean("duplicate", value.duplicate)
        .optional("deploymentKey", value.deployment_key)
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

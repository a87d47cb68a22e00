//! Values that operators cause.

use skep_protocol::values::{
    ActivateInstruction, Checkpoint, MappingInstruction, ProcessInstanceMigration,
    ProcessInstanceModification, ResourceDeletion, TerminateInstruction, VariableInstruction,
};

use super::writer::Object;

pub(super) fn checkpoint(object: &mut Object<'_>, value: &Checkpoint) {
    object
        .number("checkpointId", value.checkpoint_id)
        .number("checkpointPosition", value.checkpoint_position);
}

pub(super) fn resource_deletion(object: &mut Object<'_>, value: &ResourceDeletion) {
    object.number("resourceKey", value.resource_key).tenant();
}

pub(super) fn modification(object: &mut Object<'_>, value: &ProcessInstanceModification) {
    let mut ancestors: Vec<i64> = value
        .activate_instructions
        .iter()
        .flat_map(|instruction| instruction.ancestor_scope_keys.iter().copied())
        .collect();
    ancestors.sort_unstable();
    ancestors.dedup();
    object
        .optional("processInstanceKey", value.process_instance_key)
        .objects(
            "terminateInstructions",
            &value.terminate_instructions,
            terminate,
        )
        .objects(
            "activateInstructions",
            &value.activate_instructions,
            activate,
        )
        .numbers("ancestorScopeKeys", ancestors)
        .tenant();
}

fn terminate(object: &mut Object<'_>, value: &TerminateInstruction) {
    object.optional("elementInstanceKey", value.element_instance_key);
}

fn activate(object: &mut Object<'_>, value: &ActivateInstruction) {
    object
        .text("elementId", &value.element_id)
        .optional("ancestorScopeKey", value.ancestor_scope_key)
        .objects(
            "variableInstructions",
            &value.variable_instructions,
            variables,
        )
        .numbers(
            "ancestorScopeKeys",
            value.ancestor_scope_keys.iter().copied(),
        );
}

fn variables(object: &mut Object<'_>, value: &VariableInstruction) {
    object
        .text("elementId", &value.element_id)
        .document("variables", &value.variables);
}

pub(super) fn migration(object: &mut Object<'_>, value: &ProcessInstanceMigration) {
    object
        .optional("processInstanceKey", value.process_instance_key)
        .optional(
            "targetProcessDefinitionKey",
            value.target_process_definition_key,
        )
        .objects("mappingInstructions", &value.mapping_instructions, mapping);
}

fn mapping(object: &mut Object<'_>, value: &MappingInstruction) {
    object
        .text("sourceElementId", &value.source_element_id)
        .text("targetElementId", &value.target_element_id);
}

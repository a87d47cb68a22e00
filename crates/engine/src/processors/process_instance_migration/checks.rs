//! Whether a process instance can go on with another definition.

use std::collections::BTreeMap;

use skep_bpmn::model::{Element, ElementKind, Process};
use skep_protocol::{Rejection, values};

use super::Migration;
use crate::definitions::Definition;
use crate::instances::{ElementInstance, element_type};

type Checked<T> = std::result::Result<T, Rejection>;

fn lead(root: &ElementInstance) -> String {
    format!("Expected to migrate process instance '{}'", root.key)
}

/// The mapping, if its elements exist and each is mapped once.
pub(super) fn mapping(
    root: &ElementInstance,
    target: &Definition,
    value: &values::ProcessInstanceMigration,
) -> Checked<BTreeMap<String, String>> {
    let lead = lead(root);
    let mut mapping = BTreeMap::new();
    let mut twice = Vec::new();
    for instruction in &value.mapping_instructions {
        let (source, goal) = (
            &instruction.source_element_id,
            &instruction.target_element_id,
        );
        if mapping.insert(source.clone(), goal.clone()).is_some() && !twice.contains(source) {
            twice.push(source.clone());
        }
    }
    if !twice.is_empty() {
        return Err(Rejection::invalid_argument(format!(
            "{lead} but the mapping instructions contain duplicate source element ids '[{}]'.",
            twice.join(", ")
        )));
    }
    exist(&lead, "source", &root.process, mapping.keys())?;
    exist(&lead, "target", target, mapping.values())?;
    Ok(mapping)
}

fn exist<'a>(
    lead: &str,
    which: &str,
    process: &Process,
    mut ids: impl Iterator<Item = &'a String>,
) -> Checked<()> {
    match ids.find(|id| process.element_by_id(id).is_none()) {
        None => Ok(()),
        Some(id) => Err(Rejection::invalid_argument(format!(
            "{lead} but mapping instructions contain a non-existing {which} element id '{id}'. \
             Elements provided in mapping instructions must exist in the {which} process definition."
        ))),
    }
}

/// The element that an element instance goes on with.
pub(super) fn target_element<'a>(
    migration: &'a Migration,
    instance: &ElementInstance,
) -> Option<&'a Element> {
    if instance.is_process() {
        return Some(migration.target.root());
    }
    let id = migration.mapped(&instance.element().id)?;
    migration.target.element_by_id(id)
}

/// Whether each element instance has something that it can become.
pub(super) fn instances(
    root: &ElementInstance,
    instances: &[ElementInstance],
    migration: &Migration,
) -> Checked<()> {
    for instance in instances {
        check(root, instance, migration)
            .map_err(|reason| Rejection::invalid_state(format!("{} but {reason}", lead(root))))?;
    }
    Ok(())
}

fn check(
    root: &ElementInstance,
    instance: &ElementInstance,
    migration: &Migration,
) -> std::result::Result<(), String> {
    let element = instance.element();
    let id = &element.id;
    if instance.tokens > 0 {
        return Err(
            "a concurrent command was executed on the process instance. Please retry the migration."
                .to_owned(),
        );
    }
    if !is_supported(instance) {
        let kind = match element.multi_instance.is_some() {
            true => "MULTI_INSTANCE_BODY",
            false => element_type(element).name(),
        };
        return Err(format!(
            "active element with id '{id}' has an unsupported type. The migration of a {kind} is not supported."
        ));
    }
    let Some(target) = target_element(migration, instance) else {
        return Err(format!(
            "no mapping instruction defined for active element with id '{id}'. Elements cannot be migrated without a mapping."
        ));
    };
    let (was, is) = (element_type(element), element_type(target));
    if was != is || target.multi_instance.is_some() {
        let is = match target.multi_instance.is_some() {
            true => "MULTI_INSTANCE_BODY",
            false => is.name(),
        };
        return Err(format!(
            "active element with id '{id}' and type '{}' is mapped to an element with id '{}' and different type '{is}'. \
             Elements must be mapped to elements of the same type.",
            was.name(),
            target.id
        ));
    }
    if let (ElementKind::UserTask(before), ElementKind::UserTask(after)) =
        (&element.kind, &target.kind)
        && before.implementation != after.implementation
    {
        return Err(format!(
            "active user task with id '{id}' and implementation '{}' is mapped to an user task with id '{}' and different implementation '{}'. \
             Elements must be mapped to elements of the same implementation.",
            before.implementation.name(),
            target.id,
            after.implementation.name()
        ));
    }
    check_flow_scope(root, instance, target, migration)
}

/// What has no state of its own beside what moves with it.
fn is_supported(instance: &ElementInstance) -> bool {
    let element = instance.element();
    element.multi_instance.is_none()
        && matches!(
            &element.kind,
            ElementKind::Process(_)
                | ElementKind::SubProcess(_)
                | ElementKind::ServiceTask(_)
                | ElementKind::SendTask(_)
                | ElementKind::UserTask(_)
                | ElementKind::ScriptTask(_)
                | ElementKind::BusinessRuleTask(_)
                | ElementKind::CallActivity(_)
        )
}

fn check_flow_scope(
    root: &ElementInstance,
    instance: &ElementInstance,
    target: &Element,
    migration: &Migration,
) -> std::result::Result<(), String> {
    let Some(scope) = instance.element().flow_scope else {
        return Ok(());
    };
    let scope = root.process.element(scope);
    let expected = match scope.index == Process::ROOT {
        true => Some(&*migration.target.root().id),
        false => migration.mapped(&scope.id),
    };
    let found = target
        .flow_scope
        .map(|scope| &*migration.target.element(scope).id);
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "the flow scope of active element with id '{}' is changed. The flow scope of the active element is expected to be '{}' \
         but was '{}'. The flow scope of an element cannot be changed during migration yet.",
        instance.element().id,
        expected.unwrap_or_default(),
        found.unwrap_or_default()
    ))
}

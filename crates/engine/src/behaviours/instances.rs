//! Creation of process instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_bpmn::model::{ElementIndex, Process};
use skep_protocol::{Command, Key, ProcessInstanceIntent};

use crate::behaviours::incidents::Step;
use crate::behaviours::{events, lifecycle, variables};
use crate::definitions::Definition;
use crate::elements;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};

/// Types of elements at which an instance can begin, or go on when it is modified, as texts for clients list them.
pub(crate) const ACTIVATABLE_TYPES: &str = "[SUB_PROCESS, EVENT_SUB_PROCESS, INTERMEDIATE_CATCH_EVENT, \
    INTERMEDIATE_THROW_EVENT, END_EVENT, SERVICE_TASK, RECEIVE_TASK, USER_TASK, MANUAL_TASK, TASK, EXCLUSIVE_GATEWAY, \
    PARALLEL_GATEWAY, EVENT_BASED_GATEWAY, INCLUSIVE_GATEWAY, MULTI_INSTANCE_BODY, CALL_ACTIVITY, BUSINESS_RULE_TASK, \
    SCRIPT_TASK, SEND_TASK]";

/// Where a process instance begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the none start event, with variables of the instance. The process must have one.
    NoneEvent,
    /// At a start event that was triggered, with variables of the event.
    Event(ElementIndex),
}

/// Creates a process instance; `variables` is a JSON object that was checked.
pub(crate) fn create(
    p: &mut Processing,
    process: &Arc<Definition>,
    start: Start,
    variables: &str,
) -> Result<Key> {
    let key = p.next_key()?;
    let instance = ElementInstance::root(key, Arc::clone(process));
    begin(p, instance, start, variables)
}

/// Creates a process instance that begins at any elements. It stops if a scope around them cannot be entered.
pub(crate) fn create_at(
    p: &mut Processing,
    process: &Arc<Definition>,
    targets: &[ElementIndex],
    variables: &str,
) -> Step<Key> {
    let key = p.next_key()?;
    let instance = ElementInstance::root(key, Arc::clone(process));
    p.instances.add(instance.clone());
    variables::merge_local(p, key, checked(variables))?;
    enter_at(p, instance, targets)
}

/// Creates a process instance that an element instance has called; it begins at its none start event.
pub(crate) fn create_called(
    p: &mut Processing,
    process: &Arc<Definition>,
    caller: &ElementInstance,
    variables: &str,
) -> Result<Key> {
    let key = p.next_key()?;
    let instance = ElementInstance::called(key, Arc::clone(process), caller);
    begin(p, instance, Start::NoneEvent, variables)
}

fn begin(
    p: &mut Processing,
    instance: ElementInstance,
    start: Start,
    variables: &str,
) -> Result<Key> {
    let key = instance.key;
    p.instances.add(instance.clone());
    match start {
        Start::NoneEvent => {
            assert!(
                instance.process.none_start().is_some(),
                "process '{}' has no none start event",
                instance.process.id
            );
            variables::merge_local(p, key, checked(variables))?;
        }
        Start::Event(event) => events::queue(p, &instance, event, variables)?,
    }
    p.follow_up(Command::new(
        key,
        ProcessInstanceIntent::ActivateElement,
        instance.value(),
    ));
    Ok(key)
}

fn checked(variables: &str) -> Document {
    Document::parse(variables)
        .expect("documents are checked before instances are created with them")
}

/// Activates elements, and the scopes around them, each once and without its start event.
fn enter_at(p: &mut Processing, instance: ElementInstance, targets: &[ElementIndex]) -> Step<Key> {
    let key = instance.key;
    elements::process::enter(p, &instance)?;
    let mut scopes = BTreeMap::from([(Process::ROOT, key)]);
    for &target in targets {
        let mut path: Vec<ElementIndex> = instance
            .process
            .flow_scopes(target)
            .map(|scope| scope.index)
            .collect();
        path.reverse();
        let mut scope = key;
        for &index in &path {
            scope = match scopes.get(&index) {
                Some(&entered) => entered,
                None => {
                    let entered = elements::sub_process::enter(p, scope, index)?;
                    scopes.insert(index, entered);
                    entered
                }
            };
        }
        let scope = p.existing_instance(scope)?;
        lifecycle::schedule_direct_activation(p, &scope, target)?;
    }
    Ok(key)
}

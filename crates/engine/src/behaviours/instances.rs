//! Creation of process instances.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_bpmn::model::{ElementIndex, Process};
use skep_protocol::{Command, Key, ProcessInstanceIntent};

use crate::behaviours::{events, lifecycle, variables};
use crate::definitions::Definition;
use crate::elements;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};

/// Where a process instance begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the none start event, with variables of the instance. The process must have one.
    NoneEvent,
    /// At a start event that was triggered, with variables of the event.
    Event(ElementIndex),
    /// At any elements, with variables of the instance.
    Elements(Vec<ElementIndex>),
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
    let document = Document::parse(variables)
        .expect("documents are checked before instances are created with them");
    match start {
        Start::NoneEvent => {
            assert!(
                instance.process.none_start().is_some(),
                "process '{}' has no none start event",
                instance.process.id
            );
            variables::merge_local(p, key, document)?;
        }
        Start::Event(event) => events::queue(p, &instance, event, variables)?,
        Start::Elements(elements) => {
            variables::merge_local(p, key, document)?;
            return enter_at(p, instance, &elements);
        }
    }
    p.follow_up(Command::new(
        key,
        ProcessInstanceIntent::ActivateElement,
        instance.value(),
    ));
    Ok(key)
}

/// Activates elements, and the scopes around them, each once and without its start event.
fn enter_at(
    p: &mut Processing,
    instance: ElementInstance,
    targets: &[ElementIndex],
) -> Result<Key> {
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

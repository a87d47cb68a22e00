//! PROCESS_INSTANCE_MODIFICATION: elements of a process instance begin, and element instances in it end, by hand.
//!
//! A modification is checked as a whole before anything happens. Elements begin before others end, so that a scope into which
//! a token moves is not empty in between. A scope that is left empty is terminated and does not complete, up to the process
//! instance itself.

mod instructions;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use skep_bpmn::model::{ElementIndex, Process};
use skep_protocol::{
    Command, Key, ProcessInstanceIntent, ProcessInstanceModificationIntent, RecordValue, Rejection,
};

use self::plan::Activation;
use crate::behaviours::{lifecycle, variables};
use crate::elements;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;

/// Why a modification is refused, or what else stops it.
type Checked<T> = std::result::Result<T, Refusal>;

/// What stops the evaluation of a modification.
enum Refusal {
    Rejection(Rejection),
    State(skep_state::StateError),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        Refusal::Rejection(rejection)
    }
}

impl From<skep_state::StateError> for Refusal {
    fn from(error: skep_state::StateError) -> Refusal {
        Refusal::State(error)
    }
}

/// Evaluates a PROCESS_INSTANCE_MODIFICATION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessInstanceModification(value) = &command.value else {
        unreachable!("a PROCESS_INSTANCE_MODIFICATION command carries a modification");
    };
    let plan = match plan::make(p, value) {
        Ok(plan) => plan,
        Err(Refusal::Rejection(rejection)) => {
            p.reject(command, rejection);
            return Ok(());
        }
        Err(Refusal::State(error)) => return Err(error),
    };
    let mut modified = value.clone();
    let mut entered = BTreeMap::new();
    for (activation, instruction) in plan
        .activations
        .into_iter()
        .zip(&mut modified.activate_instructions)
    {
        instruction.ancestor_scope_keys =
            activate(p, plan.process_instance, activation, &mut entered)?;
    }
    terminate(p, &plan.terminations)?;
    let key = Key(value.process_instance_key);
    let intent = ProcessInstanceModificationIntent::Modified;
    p.event(key, intent, modified.clone());
    p.respond(key, intent, modified);
    Ok(())
}

/// Begins an element, and the scopes around it that are not there. Gives the keys of the scopes and of the element instance.
fn activate(
    p: &mut Processing,
    process_instance: Key,
    activation: Activation,
    entered: &mut BTreeMap<(Key, ElementIndex), Key>,
) -> Result<Vec<i64>> {
    let mut documents = activation.variables;
    let mut set = |p: &mut Processing, element: ElementIndex, scope: Key| -> Result<()> {
        let (now, later) = std::mem::take(&mut documents)
            .into_iter()
            .partition::<Vec<(ElementIndex, Document)>, _>(|(of, _)| *of == element);
        documents = later;
        now.into_iter()
            .try_for_each(|(_, document)| variables::merge_local(p, scope, document))
    };
    set(p, Process::ROOT, process_instance)?;
    let mut keys = Vec::new();
    for scope in activation.scopes {
        let instance = p.existing_instance(scope)?;
        if instance.element != Process::ROOT {
            set(p, instance.element, scope)?;
        }
        // What interrupted it is not the only thing in it any more.
        p.instances
            .change(scope, |scope| scope.interrupted_by = None);
        keys.push(scope);
    }
    let mut scope = *keys.last().expect("an element is in a scope");
    for element in activation.new_scopes {
        let shared = (scope, element);
        scope = match entered.get(&shared).filter(|_| !activation.apart) {
            Some(&entered) => entered,
            None => elements::sub_process::enter(p, scope, element)?,
        };
        if !activation.apart {
            entered.insert(shared, scope);
        }
        set(p, element, scope)?;
        keys.push(scope);
    }
    let scope = p.existing_instance(scope)?;
    let instance = lifecycle::create(p, &scope, activation.element)?;
    set(p, activation.element, instance.key)?;
    p.follow_up(Command::new(
        instance.key,
        ProcessInstanceIntent::ActivateElement,
        instance.value(),
    ));
    keys.push(instance.key);
    Ok(keys.into_iter().map(|key| key.0).collect())
}

/// Ends element instances, and has the scopes end that they leave empty.
fn terminate(p: &mut Processing, terminations: &[Key]) -> Result<()> {
    let leaving = leaving(p, terminations)?;
    for &scope in &leaving.emptied {
        p.instances
            .change(scope, |scope| scope.terminates_when_empty = true);
    }
    for &key in &leaving.ended {
        let Some(instance) = p.instance(key)? else {
            continue;
        };
        if instance.state != ElementState::Terminating {
            lifecycle::terminate(p, &instance)?;
        }
    }
    Ok(())
}

/// What a modification ends.
#[derive(Default)]
struct Leaving {
    /// Element instances that are told to end.
    ended: Vec<Key>,
    /// Scopes that are left empty by that.
    emptied: BTreeSet<Key>,
}

/// Which scopes the end of those element instances leaves empty.
fn leaving(p: &mut Processing, terminations: &[Key]) -> Result<Leaving> {
    let mut leaving = Leaving::default();
    let mut ended: BTreeSet<Key> = BTreeSet::new();
    let mut left: BTreeMap<Key, u32> = BTreeMap::new();
    for &key in terminations {
        if !ended.insert(key) {
            continue;
        }
        leaving.ended.push(key);
        let mut instance = p.existing_instance(key)?;
        while instance.flow_scope_key.is_some() {
            let scope = p.existing_instance(instance.flow_scope_key)?;
            let gone = left.entry(scope.key).or_default();
            *gone += 1;
            if !empties(&scope, *gone) || !ended.insert(scope.key) {
                break;
            }
            leaving.emptied.insert(scope.key);
            instance = scope;
        }
    }
    Ok(leaving)
}

fn empties(scope: &ElementInstance, gone: u32) -> bool {
    scope.state == ElementState::Activated && scope.tokens == 0 && scope.children == gone
}

/// Whether the end of those element instances ends the process instance.
fn ends_instance(p: &mut Processing, instance: Key, terminations: &[Key]) -> Result<bool> {
    Ok(terminations.contains(&instance) || leaving(p, terminations)?.emptied.contains(&instance))
}

//! The instructions to terminate element instances, and the scopes that end with them.

use std::collections::{BTreeMap, BTreeSet};

use skep_protocol::{Key, values};

use super::{Possible, activation};
use crate::instances::ElementInstance;

/// What is to be terminated: the outermost element instances, since what is in them ends with them.
pub(super) fn plan(
    root: &ElementInstance,
    instances: &[ElementInstance],
    activations: &activation::Plan,
    instructions: &[values::TerminateInstruction],
) -> Possible<Vec<Key>> {
    let by_key: BTreeMap<Key, &ElementInstance> = instances
        .iter()
        .map(|instance| (instance.key, instance))
        .collect();
    let mut terminated: BTreeSet<Key> = instructions
        .iter()
        .map(|instruction| Key(instruction.element_instance_key))
        .collect();
    // What is in a scope stands behind it, so that each is complete when its scope is looked at.
    let mut ending: BTreeMap<Key, usize> = BTreeMap::new();
    for instance in instances.iter().rev() {
        let ended = ending.get(&instance.key).copied().unwrap_or(0);
        let is_emptied = ended > 0
            && ended == instance.children as usize
            && instance.tokens == 0
            && activations.added_to(instance.key) == 0;
        if is_emptied {
            terminated.insert(instance.key);
        }
        if terminated.contains(&instance.key) {
            *ending.entry(instance.flow_scope_key).or_default() += 1;
        }
    }
    if terminated.contains(&root.key) && root.parent_process_instance_key.is_some() {
        return Err(
            "the given instructions would terminate the instance. The instance was created by a call activity in the parent \
             process. To terminate this instance please modify the parent process instead."
                .to_owned(),
        );
    }
    let is_inside = |key: &Key| {
        by_key
            .get(key)
            .is_some_and(|instance| has_ancestor_in(instance, &by_key, &terminated))
    };
    Ok(terminated
        .iter()
        .filter(|key| !is_inside(key))
        .copied()
        .collect())
}

fn has_ancestor_in(
    instance: &ElementInstance,
    by_key: &BTreeMap<Key, &ElementInstance>,
    terminated: &BTreeSet<Key>,
) -> bool {
    let mut next = by_key.get(&instance.flow_scope_key);
    while let Some(scope) = next {
        if terminated.contains(&scope.key) {
            return true;
        }
        next = by_key.get(&scope.flow_scope_key);
    }
    false
}

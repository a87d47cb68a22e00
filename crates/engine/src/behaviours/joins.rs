//! Gateways where tokens wait for others: parallel and inclusive ones with several incoming sequence flows.
//!
//! **Invariants**
//! - A token that waits is one of its scope's tokens, and counted under the flow that it came by. More than one by the same flow
//!   stand for later rounds.
//! - A parallel gateway waits for a token by each flow. An inclusive one waits no longer than until none that is elsewhere in
//!   its scope can come by a flow that brought none yet.
//! - Whenever anything in a scope comes to an end or has arrived, its inclusive gateways are looked at again.

use std::collections::BTreeSet;

use skep_bpmn::model::{CatchEvent, Element, ElementIndex, ElementKind, Flow, ThrowEvent, Trigger};
use skep_protocol::{Command, Key, ProcessInstanceIntent, RecordValue};

use crate::definitions::Definition;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::{element_instances, taken_sequence_flows as taken};

/// Children of a scope that are read at once.
const CHILDREN_READ_AT_ONCE: usize = 64;

/// Whether tokens wait for others at an element.
pub(crate) fn is_join(element: &Element) -> bool {
    let waits = matches!(
        element.kind,
        ElementKind::ParallelGateway | ElementKind::InclusiveGateway(_)
    );
    waits && element.incoming.len() > 1
}

/// A token has come to a join.
pub(crate) fn take(
    p: &mut Processing,
    scope: &ElementInstance,
    join: &Element,
    flow: &str,
) -> Result<()> {
    taken::take(p.txn, scope.key, &join.id, flow)
}

/// Lets a join go on with the tokens that it has, one by each flow, and gives their number; `None` if it has to wait.
pub(crate) fn consume(
    p: &mut Processing,
    scope: &ElementInstance,
    join: &Element,
) -> Result<Option<u32>> {
    let waiting = taken::of_scope(p.txn, scope.key)?;
    if !is_ready(p, scope, join, &waiting)? {
        return Ok(None);
    }
    let mut consumed = 0;
    for (_, flow, _) in waiting.iter().filter(|(at, _, _)| *at == *join.id) {
        taken::consume(p.txn, scope.key, &join.id, flow)?;
        consumed += 1;
    }
    Ok(Some(consumed))
}

/// Has the inclusive gateways of a scope go on that have nothing to wait for any more.
pub(crate) fn look_again(p: &mut Processing, scope: Key) -> Result<()> {
    let Some(scope) = p.instance(scope)? else {
        return Ok(());
    };
    let process = &scope.process;
    let Some(model) = scope.element().scope().filter(|_| !scope.is_body()) else {
        return Ok(());
    };
    if model.inclusive_joins.is_empty() || scope.tokens == 0 {
        return Ok(());
    }
    let waiting = taken::of_scope(p.txn, scope.key)?;
    for &join in &model.inclusive_joins {
        let element = process.element(join);
        if !is_scheduled(p, scope.key, element) && is_ready(p, &scope, element, &waiting)? {
            let key = p.next_key()?;
            let value = scope.child_value(join);
            let intent = ProcessInstanceIntent::ActivateElement;
            p.follow_up(Command::new(key, intent, value));
        }
    }
    Ok(())
}

fn is_scheduled(p: &Processing, scope: Key, join: &Element) -> bool {
    p.follow_ups.iter().any(|follow_up| {
        let command = &follow_up.command;
        command.intent == ProcessInstanceIntent::ActivateElement.into()
            && matches!(&command.value, RecordValue::ProcessInstance(value)
                if value.flow_scope_key == scope.0 && *value.element_id == *join.id)
    })
}

/// Tokens that wait in a scope: where, by which flow they came, and how many.
type Waiting = [(String, String, u32)];

fn is_ready(
    p: &mut Processing,
    scope: &ElementInstance,
    join: &Element,
    waiting: &Waiting,
) -> Result<bool> {
    let by: BTreeSet<&str> = waiting
        .iter()
        .filter(|(at, _, _)| *at == *join.id)
        .map(|(_, flow, _)| flow.as_str())
        .collect();
    if by.is_empty() || by.len() == join.incoming.len() {
        return Ok(!by.is_empty());
    }
    if matches!(join.kind, ElementKind::ParallelGateway) {
        return Ok(false);
    }
    let waiting_tokens: u32 = waiting.iter().map(|(_, _, count)| count).sum();
    let scope_now = p.existing_instance(scope.key)?;
    if scope_now.tokens > waiting_tokens {
        // On their way to another element; what that is will be seen when they are there.
        return Ok(false);
    }
    let origins = origins(&scope.process, join, &by);
    let waits_at = |(at, _, _): &(String, String, u32)| {
        let gateway = scope.process.element_by_id(at);
        gateway.is_some_and(|gateway| origins.contains(&gateway.index))
    };
    if waiting.iter().any(waits_at) {
        return Ok(false);
    }
    Ok(!is_any_active(p, scope.key, &origins)?)
}

/// The elements from which a token could come to the join by another flow than those. It would not come by way of the join itself.
fn origins(process: &Definition, join: &Element, by: &BTreeSet<&str>) -> BTreeSet<ElementIndex> {
    let missing = |flow: &&Flow| !by.contains(&*flow.id);
    let into_join = join.incoming.iter().map(|&flow| process.flow(flow));
    let mut to_visit: Vec<ElementIndex> = into_join.filter(missing).map(|f| f.source).collect();
    let mut found = BTreeSet::new();
    while let Some(index) = to_visit.pop() {
        if index == join.index || !found.insert(index) {
            continue;
        }
        let element = process.element(index);
        to_visit.extend(
            element
                .incoming
                .iter()
                .map(|&flow| process.flow(flow).source),
        );
        match &element.kind {
            ElementKind::BoundaryEvent(boundary) => to_visit.push(boundary.attached_to),
            ElementKind::IntermediateCatchEvent(CatchEvent {
                trigger: Trigger::Link(_),
                ..
            }) => to_visit.extend(throws_to(process, element)),
            _ => {}
        }
    }
    found
}

/// The link events that go on at a link catch event.
fn throws_to<'a>(
    process: &'a Definition,
    catch: &'a Element,
) -> impl Iterator<Item = ElementIndex> + 'a {
    let throws = process.elements.iter().filter(|element| {
        matches!(element.kind, ElementKind::IntermediateThrowEvent(ThrowEvent::Link(target)) if target == catch.index)
    });
    throws.map(|throw| throw.index)
}

/// Whether any of those elements is active in a scope. Looks no further than to the first.
fn is_any_active(
    p: &mut Processing,
    scope: Key,
    elements: &BTreeSet<ElementIndex>,
) -> Result<bool> {
    if elements.is_empty() {
        return Ok(false);
    }
    p.instances.flush(p.txn);
    let mut after = Key(0);
    loop {
        let children = element_instances::children(p.txn, scope, after, CHILDREN_READ_AT_ONCE)?;
        let Some(&last) = children.last() else {
            return Ok(false);
        };
        for child in children {
            if elements.contains(&p.existing_instance(child)?.element) {
                return Ok(true);
            }
        }
        after = last;
    }
}

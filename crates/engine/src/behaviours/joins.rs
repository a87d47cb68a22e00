//! Gateways where tokens wait for others: parallel and inclusive ones with several incoming sequence flows.
//!
//! **Invariants**
//! - A token that waits is one of its scope's tokens, and counted under the flow that it came by. More than one by the same flow
//!   stand for later rounds.
//! - A parallel gateway waits for a token by each flow. An inclusive one waits no longer than until none that is elsewhere in
//!   its scope can come by a flow that brought none yet.
//! - Whenever anything in a scope comes to an end or has arrived, its inclusive gateways are looked at again.

use std::collections::BTreeSet;

use skep_bpmn::model::{Element, ElementIndex, ElementKind, ThrowEvent};
use skep_protocol::{Command, Key, ProcessInstanceIntent, RecordValue};

use crate::definitions::Definition;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::{element_instances, taken_sequence_flows as taken};

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
    let elsewhere = elsewhere(p, &scope_now, join, waiting)?;
    Ok(!can_come(&scope.process, elsewhere, join, &by))
}

/// The other elements of a scope that are active or have tokens waiting at them.
fn elsewhere(
    p: &mut Processing,
    scope: &ElementInstance,
    join: &Element,
    waiting: &Waiting,
) -> Result<BTreeSet<ElementIndex>> {
    p.instances.flush(p.txn);
    let mut found = BTreeSet::new();
    for child in element_instances::children(p.txn, scope.key, Key(0), usize::MAX)? {
        found.insert(p.existing_instance(child)?.element);
    }
    let gateways = waiting.iter().filter(|(at, _, _)| *at != *join.id);
    found.extend(
        gateways
            .filter_map(|(at, _, _)| scope.process.element_by_id(at))
            .map(|gateway| gateway.index),
    );
    Ok(found)
}

/// Whether a token at one of those elements could come to the join by another flow than those.
fn can_come(
    process: &Definition,
    from: BTreeSet<ElementIndex>,
    join: &Element,
    by: &BTreeSet<&str>,
) -> bool {
    let mut to_visit: Vec<ElementIndex> = from.iter().copied().collect();
    let mut seen = from;
    while let Some(index) = to_visit.pop() {
        let element = process.element(index);
        let mut next = element.boundary_events.clone();
        if let ElementKind::IntermediateThrowEvent(ThrowEvent::Link(catch)) = element.kind {
            next.push(catch);
        }
        for &flow in &element.outgoing {
            let flow = process.flow(flow);
            if flow.target != join.index {
                next.push(flow.target);
            } else if !by.contains(&*flow.id) {
                return true;
            }
        }
        to_visit.extend(next.into_iter().filter(|&index| seen.insert(index)));
    }
    false
}

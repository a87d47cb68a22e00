//! The life of element instances: the transitions that all kinds of elements share, and how a token moves.
//!
//! ```text
//! ACTIVATING → ACTIVATED → COMPLETING → COMPLETED
//! ACTIVATING | ACTIVATED | COMPLETING → TERMINATING → TERMINATED
//! ```
//!
//! Whatever happens elsewhere than in the element at hand is scheduled as a follow-up command, so that nothing here recurses and
//! races show as refused commands. A scope terminates its children a few at a time, each time by a command of its own, so that no
//! evaluation grows with their number.

use skep_bpmn::model::{ElementIndex, Flow, FlowIndex};
use skep_protocol::{Command, Key, ProcessInstanceBatchIntent, ProcessInstanceIntent, values};

use crate::behaviours::incidents::Step;
use crate::behaviours::{
    calls, compensation, deletions, event_sub_processes, events, incidents, jobs, joins,
    message_starts, repetitions, subscriptions, user_tasks,
};
use crate::instances::ElementInstance;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::{self, ElementState};
use crate::tables::{event_triggers, taken_sequence_flows, variables};

/// Lower than the key of any child.
pub(crate) const BEFORE_ALL_CHILDREN: Key = Key(-1);

/// Has an element of a scope activated after the command at hand.
pub(crate) fn schedule_activation(
    p: &mut Processing,
    scope: &ElementInstance,
    element: ElementIndex,
) -> Result<()> {
    let key = p.next_key()?;
    p.instances.change(scope.key, |scope| scope.tokens += 1);
    p.follow_up(Command::new(
        key,
        ProcessInstanceIntent::ActivateElement,
        scope.child_value(element),
    ));
    Ok(())
}

/// Has an element of a scope activated whatever led to it: a join begins without its incoming sequence flows.
pub(crate) fn schedule_direct_activation(
    p: &mut Processing,
    scope: &ElementInstance,
    element: ElementIndex,
) -> Result<()> {
    let target = scope.process.element(element);
    if joins::is_join(target) {
        for &flow in &target.incoming {
            joins::take(p, scope, target, &scope.process.flow(flow).id)?;
        }
        let missing = target.incoming.len() as u32 - 1;
        p.instances
            .change(scope.key, |scope| scope.tokens += missing);
    }
    schedule_activation(p, scope, element)
}

/// Has an element instance completed after the command at hand.
pub(crate) fn schedule_completion(p: &mut Processing, instance: &ElementInstance) {
    p.follow_up(Command::new(
        instance.key,
        ProcessInstanceIntent::CompleteElement,
        instance.value(),
    ));
}

/// Has an element instance terminated after the command at hand.
pub(crate) fn schedule_termination(p: &mut Processing, instance: &ElementInstance) {
    p.follow_up(Command::new(
        instance.key,
        ProcessInstanceIntent::TerminateElement,
        instance.value(),
    ));
}

/// A new element instance in a scope, which has used up the tokens that led to it.
pub(crate) fn enter(
    p: &mut Processing,
    key: Key,
    scope: &ElementInstance,
    element: ElementIndex,
    tokens: u32,
) -> ElementInstance {
    let instance = enter_as(p, scope, |scope| ElementInstance::new(key, scope, element));
    p.instances.change(scope.key, |scope| {
        assert!(
            scope.tokens >= tokens,
            "scope {} has {} tokens, not {tokens}",
            scope.key,
            scope.tokens
        );
        scope.tokens -= tokens;
    });
    instance
}

/// A new element instance in a scope, as `make` makes it.
pub(crate) fn enter_as(
    p: &mut Processing,
    scope: &ElementInstance,
    make: impl FnOnce(&ElementInstance) -> ElementInstance,
) -> ElementInstance {
    let instance = make(scope);
    p.instances.change(scope.key, |scope| scope.children += 1);
    p.instances.add(instance.clone());
    p.event(
        instance.key,
        ProcessInstanceIntent::ElementActivating,
        instance.value(),
    );
    instance
}

/// ELEMENT_ACTIVATED.
pub(crate) fn activated(p: &mut Processing, instance: &ElementInstance) {
    transition(
        p,
        instance,
        ElementState::Activated,
        ProcessInstanceIntent::ElementActivated,
    );
}

/// ELEMENT_COMPLETING.
pub(crate) fn completing(p: &mut Processing, instance: &ElementInstance) {
    transition(
        p,
        instance,
        ElementState::Completing,
        ProcessInstanceIntent::ElementCompleting,
    );
}

/// ELEMENT_ACTIVATED for what has nothing to wait for.
pub(crate) fn activated_and_done(p: &mut Processing, instance: &ElementInstance) {
    activated(p, instance);
    schedule_completion(p, instance);
}

fn transition(
    p: &mut Processing,
    instance: &ElementInstance,
    state: ElementState,
    intent: ProcessInstanceIntent,
) {
    p.instances.change(instance.key, |instance| {
        instance.state = state;
        instance.listeners_done = 0;
    });
    p.event(instance.key, intent, instance.value());
}

/// ELEMENT_COMPLETED, and the token goes on along all outgoing sequence flows, or the body of a multi-instance activity goes on.
pub(crate) fn completed(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if instance.is_repetition() {
        return repetitions::completed(p, instance);
    }
    completed_along(p, instance, &instance.element().outgoing)?;
    Ok(())
}

/// ELEMENT_COMPLETED, and the token goes on along those sequence flows, if there are any.
pub(crate) fn completed_along(
    p: &mut Processing,
    instance: &ElementInstance,
    flows: &[FlowIndex],
) -> Result<()> {
    end(p, instance, ProcessInstanceIntent::ElementCompleted)?;
    compensation::handler_ended(p, instance)?;
    for &flow in flows {
        take_flow(p, instance, flow)?;
    }
    if flows.is_empty() {
        path_ended(p, instance.flow_scope_key)?;
    }
    Ok(())
}

/// ELEMENT_COMPLETED of a process instance.
pub(crate) fn process_completed(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    end(p, instance, ProcessInstanceIntent::ElementCompleted)
}

fn take_flow(p: &mut Processing, instance: &ElementInstance, flow: FlowIndex) -> Result<()> {
    let flow = instance.process.flow(flow);
    flow_taken(p, instance, flow)?;
    let target = instance.process.element(flow.target);
    let scope = p.existing_instance(instance.flow_scope_key)?;
    if joins::is_join(target) {
        joins::take(p, &scope, target, &flow.id)?;
    }
    schedule_activation(p, &scope, flow.target)
}

/// SEQUENCE_FLOW_TAKEN.
pub(crate) fn flow_taken(
    p: &mut Processing,
    instance: &ElementInstance,
    flow: &Flow,
) -> Result<()> {
    let key = p.next_key()?;
    p.event(
        key,
        ProcessInstanceIntent::SequenceFlowTaken,
        instance.flow_value(flow),
    );
    Ok(())
}

/// Something in a scope came to an end. If nothing else is left in it, it completes.
pub(crate) fn path_ended(p: &mut Processing, scope: Key) -> Result<()> {
    let scope = p.existing_instance(scope)?;
    if scope.is_idle() && scope.state == ElementState::Activated {
        schedule_completion(p, &scope);
        return Ok(());
    }
    joins::look_again(p, scope.key)
}

/// The last event of an element instance, and the end of all that belongs to it.
pub(crate) fn end(
    p: &mut Processing,
    instance: &ElementInstance,
    intent: ProcessInstanceIntent,
) -> Result<()> {
    p.event(instance.key, intent, instance.value());
    let now = p.existing_instance(instance.key)?;
    assert_eq!(
        now.children, 0,
        "element instance {} ends with children",
        now.key
    );
    match intent {
        ProcessInstanceIntent::ElementCompleted => compensation::completed(p, &now)?,
        _ => compensation::forget(p, &now)?,
    }
    if now.has_variables {
        variables::delete_scope(p.txn, now.key)?;
    }
    if now.has_triggers {
        for (trigger, _) in event_triggers::of_scope(p.txn, now.key)? {
            event_triggers::delete(p.txn, now.key, trigger);
        }
    }
    if now.tokens > 0 {
        taken_sequence_flows::delete_scope(p.txn, now.key)?;
    }
    p.instances.remove(now.key);
    if now.flow_scope_key.is_some() {
        p.existing_instance(now.flow_scope_key)?;
        p.instances.change(now.flow_scope_key, |scope| {
            assert!(
                scope.children > 0,
                "scope {} loses a child that it does not have",
                scope.key
            );
            scope.children -= 1;
        });
    }
    Ok(())
}

/// ELEMENT_TERMINATING, and the end of all that it waits for.
pub(crate) fn terminate(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    transition(
        p,
        instance,
        ElementState::Terminating,
        ProcessInstanceIntent::ElementTerminating,
    );
    jobs::cancel_of(p, instance)?;
    user_tasks::cancel_of(p, instance)?;
    subscriptions::close(p, instance)?;
    incidents::resolve_of(p, instance.key)?;
    if instance.children > 0 {
        return schedule_termination_of_children(p, instance, BEFORE_ALL_CHILDREN);
    }
    if instance.called_process_instance_key.is_some() {
        let called = p.existing_instance(instance.called_process_instance_key)?;
        schedule_termination(p, &called);
        return Ok(());
    }
    terminated(p, instance.key)
}

/// Has the children of a scope with higher keys than that one terminated after the command at hand.
pub(crate) fn schedule_termination_of_children(
    p: &mut Processing,
    scope: &ElementInstance,
    after: Key,
) -> Result<()> {
    let key = p.next_key()?;
    let batch = values::ProcessInstanceBatch {
        process_instance_key: scope.process_instance_key.0,
        batch_element_instance_key: scope.key.0,
        index: after.0,
    };
    p.follow_up(Command::new(
        key,
        ProcessInstanceBatchIntent::Terminate,
        batch,
    ));
    Ok(())
}

/// Has the next children of a scope terminated, and schedules the rest.
pub(crate) fn terminate_next_children(
    p: &mut Processing,
    scope: &ElementInstance,
    after: Key,
) -> Result<()> {
    p.instances.flush(p.txn);
    let count = limits::TERMINATING_CHILDREN_MAX;
    let children = element_instances::children(p.txn, scope.key, after, count + 1)?;
    for &child in children.iter().take(count) {
        let child = p.existing_instance(child)?;
        if child.state != ElementState::Terminating {
            schedule_termination(p, &child);
        }
    }
    match children.get(count) {
        Some(_) => schedule_termination_of_children(p, scope, children[count - 1]),
        None => Ok(()),
    }
}

/// Whether all that is in a scope is to be terminated, so that the scope ends or goes on with something else.
pub(crate) fn is_being_emptied(p: &mut Processing, scope: &ElementInstance) -> Result<bool> {
    Ok(scope.state == ElementState::Terminating
        || scope.finishes_early
        || event_sub_processes::pending(p, scope)?.is_some())
}

/// ELEMENT_TERMINATED, of the scopes and call activities around it as well if they waited for it.
pub(crate) fn terminated(p: &mut Processing, key: Key) -> Result<()> {
    let mut key = key;
    loop {
        let instance = p.existing_instance(key)?;
        if !instance.flow_scope_key.is_some() {
            end(p, &instance, ProcessInstanceIntent::ElementTerminated)?;
            match instance_ended(p, &instance, None)? {
                Some(caller) => key = caller,
                None => return Ok(()),
            }
            continue;
        }
        let scope = p.existing_instance(instance.flow_scope_key)?;
        if scope.state != ElementState::Terminating {
            return terminated_in_living_scope(p, &instance, &scope);
        }
        end(p, &instance, ProcessInstanceIntent::ElementTerminated)?;
        if scope.children > 1 {
            return Ok(());
        }
        key = scope.key;
    }
}

/// What comes after an element was terminated alone: the boundary event that did it, or the next step in emptying its scope.
fn terminated_in_living_scope(
    p: &mut Processing,
    instance: &ElementInstance,
    scope: &ElementInstance,
) -> Result<()> {
    let interrupted_by = instance
        .interrupted_by
        .filter(|_| instance.is_interrupted_from_outside() && scope.admits(instance.element));
    let mut variables = None;
    if let Some(event) = interrupted_by {
        variables = events::take(p, instance, event)?;
    }
    end(p, instance, ProcessInstanceIntent::ElementTerminated)?;
    if scope.admits(instance.element) {
        compensation::handler_ended(p, instance)?;
    }
    if scope.is_body() {
        p.instances
            .change(scope.key, |body| body.repetition.terminated += 1);
    }
    match (interrupted_by, variables) {
        (Some(event), Some(variables)) => {
            events::activate_boundary_event(p, scope.key, event, variables)
        }
        _ if scope.finishes_early => match scope.children {
            1 => path_ended(p, scope.key),
            _ => Ok(()),
        },
        _ => match event_sub_processes::pending(p, scope)? {
            Some(event) => event_sub_processes::go_on(p, scope.key, event),
            None => path_ended(p, scope.key),
        },
    }
}

/// The work of a scope is done, whatever is left in it: that is terminated, and the scope completes.
pub(crate) fn finish_early(p: &mut Processing, scope: Key) -> Result<()> {
    let before = p.existing_instance(scope)?;
    if before.tokens > 0 {
        taken_sequence_flows::delete_scope(p.txn, scope)?;
    }
    p.instances.change(scope, |scope| {
        scope.finishes_early = true;
        scope.tokens = 0;
    });
    if before.children > 0 {
        return schedule_termination_of_children(p, &before, BEFORE_ALL_CHILDREN);
    }
    path_ended(p, scope)
}

/// A process instance has terminated, or has completed with variables for its caller. Gives its call activity if that only waited
/// for this in order to terminate.
pub(crate) fn instance_ended(
    p: &mut Processing,
    instance: &ElementInstance,
    variables: Option<String>,
) -> Result<Option<Key>> {
    if instance.has_awaited_result {
        crate::tables::awaited_results::delete(p.txn, instance.key);
    }
    message_starts::instance_ended(p, instance.key)?;
    deletions::instance_ended(p, instance)?;
    calls::ended(p, instance, variables)
}

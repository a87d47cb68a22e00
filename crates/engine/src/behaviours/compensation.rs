//! Compensation: what has completed is undone by its handlers.
//!
//! **Invariants**
//! - An activity with a handler leaves a subscription when it completes, as often as it does. A scope in which something can be
//!   compensated leaves one without a handler, which stands for all of that and holds the variables that were local to the scope.
//! - A throw event compensates what had completed in its scope when it was activated. In an event sub-process that is what
//!   completed in the scope around it as well.
//! - A handler runs in the flow scope of the throw event, which waits for it. So many run at once; when one has ended, the next begins.
//! - Subscriptions are gone with the scope that they are in, unless it completes inside of another one.

use skep_bpmn::model::{ElementIndex, ElementKind, EndEvent, ThrowEvent, Trigger};
use skep_protocol::{CompensationSubscriptionIntent as Intent, Key, ProcessInstanceIntent, values};

use crate::behaviours::{incidents, lifecycle, variables};
use crate::elements;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::compensation_subscriptions as subscriptions;

/// An element instance has completed: if it can be compensated, that is written down.
pub(crate) fn completed(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    if !instance.process.has_compensation {
        return Ok(());
    }
    if instance.is_process() {
        return forget(p, instance);
    }
    let is_scope = instance.element().scope().is_some() || instance.is_body();
    if is_scope && subscriptions::is_any_in(p.txn, instance.key)? {
        let variables = variables::local_document(p, instance, &[])?;
        subscribe(p, instance, String::new(), variables)?;
    }
    if let Some(handler) = handler(instance) {
        let id = instance.process.element(handler).id.to_string();
        subscribe(p, instance, id, String::new())?;
    }
    Ok(())
}

fn subscribe(
    p: &mut Processing,
    instance: &ElementInstance,
    compensation_handler_id: String,
    variables: String,
) -> Result<()> {
    let subscription = values::CompensationSubscription {
        process_instance_key: instance.process_instance_key.0,
        process_definition_key: instance.process.key.0,
        compensable_activity_id: instance.element().id.to_string(),
        compensable_activity_instance_key: instance.key.0,
        compensable_activity_scope_key: instance.flow_scope_key.0,
        throw_event_id: String::new(),
        throw_event_instance_key: Key::NONE.0,
        compensation_handler_id,
        compensation_handler_instance_key: Key::NONE.0,
        variables,
    };
    let key = p.next_key()?;
    subscriptions::insert(p.txn, key, &subscription);
    p.event(key, Intent::Created, subscription);
    Ok(())
}

/// The handler of an element instance.
fn handler(instance: &ElementInstance) -> Option<ElementIndex> {
    let mut events = instance.boundary_events().iter();
    events.find_map(|&event| match instance.process.element(event).trigger() {
        Some(Trigger::Compensation(handler)) => Some(*handler),
        _ => None,
    })
}

/// Nothing in a scope can be compensated any more.
pub(crate) fn forget(p: &mut Processing, scope: &ElementInstance) -> Result<()> {
    if !scope.process.has_compensation {
        return Ok(());
    }
    let mut scopes = vec![scope.key];
    while let Some(scope) = scopes.pop() {
        for key in subscriptions::of_scope(p.txn, scope)? {
            let subscription = existing(p, key)?;
            if subscription.compensation_handler_id.is_empty() {
                scopes.push(Key(subscription.compensable_activity_instance_key));
            }
            subscriptions::delete(p.txn, key, &subscription);
            // All of a scope go at once, and what each held was written down when it came.
            let forgotten = values::CompensationSubscription {
                variables: String::new(),
                ..subscription
            };
            p.event(key, Intent::Deleted, forgotten);
        }
    }
    Ok(())
}

fn existing(p: &Processing, key: Key) -> Result<values::CompensationSubscription> {
    let subscription = subscriptions::get(p.txn, key)?;
    Ok(subscription.unwrap_or_else(|| {
        panic!("compensation subscription {key} is referred to but does not exist")
    }))
}

/// Begins the first handlers for a throw event; gives whether there are any.
pub(crate) fn throw(p: &mut Processing, thrower: &ElementInstance) -> Result<bool> {
    for begun in 0..limits::COMPENSATIONS_BEGUN_MAX {
        let is_full = begun > 0 && p.bytes() > limits::FOLLOW_UP_BYTES_MAX;
        if is_full || !begin_next(p, thrower)? {
            return Ok(begun > 0);
        }
    }
    Ok(true)
}

/// What is to be compensated next.
struct Next {
    key: Key,
    subscription: values::CompensationSubscription,
    /// What was local to the scopes around the activity, from the outside in.
    variables: Vec<Document>,
}

/// The oldest activity that a throw event is to compensate and that no handler has been begun for.
fn next(p: &mut Processing, thrower: &ElementInstance) -> Result<Option<Next>> {
    let mut scopes: Vec<(Key, Vec<Document>)> = scopes(p, thrower)?
        .into_iter()
        .map(|scope| (scope, Vec::new()))
        .collect();
    let only = activity(thrower).map(|index| thrower.process.element(index).id.to_string());
    let outermost: Vec<Key> = scopes.iter().map(|(scope, _)| *scope).collect();
    while let Some((scope, variables)) = scopes.pop() {
        for key in subscriptions::of_scope(p.txn, scope)? {
            let subscription = existing(p, key)?;
            let is_meant = match &only {
                Some(id) if outermost.contains(&scope) => {
                    subscription.compensable_activity_id == *id
                }
                _ => true,
            };
            if !is_meant || key > thrower.key {
                continue;
            }
            if subscription.compensation_handler_id.is_empty() {
                let local = Document::parse(&subscription.variables);
                let mut inside = variables.clone();
                inside.push(local.expect("variables make a document"));
                scopes.push((Key(subscription.compensable_activity_instance_key), inside));
            } else if subscription.throw_event_instance_key <= 0 {
                return Ok(Some(Next {
                    key,
                    subscription,
                    variables,
                }));
            }
        }
    }
    Ok(None)
}

/// The scopes whose completed activities a throw event compensates.
fn scopes(p: &mut Processing, thrower: &ElementInstance) -> Result<Vec<Key>> {
    let mut scope = p.existing_instance(thrower.flow_scope_key)?;
    let mut found = vec![scope.key];
    while matches!(scope.element().kind, ElementKind::EventSubProcess(_)) {
        scope = p.existing_instance(scope.flow_scope_key)?;
        found.push(scope.key);
    }
    Ok(found)
}

/// The one activity that a throw event compensates, if it names one.
fn activity(thrower: &ElementInstance) -> Option<ElementIndex> {
    match &thrower.element().kind {
        ElementKind::IntermediateThrowEvent(ThrowEvent::Compensation(compensation))
        | ElementKind::EndEvent(EndEvent::Compensation(compensation)) => compensation.activity,
        _ => None,
    }
}

fn begin_next(p: &mut Processing, thrower: &ElementInstance) -> Result<bool> {
    let Some(mut next) = next(p, thrower)? else {
        return Ok(false);
    };
    let scope = p.existing_instance(thrower.flow_scope_key)?;
    let process = &thrower.process;
    let handler = process
        .element_by_id(&next.subscription.compensation_handler_id)
        .expect("a handler is an element of its process")
        .index;
    let key = p.next_key()?;
    next.subscription.throw_event_id = thrower.element().id.to_string();
    next.subscription.throw_event_instance_key = thrower.key.0;
    next.subscription.compensation_handler_instance_key = key.0;
    subscriptions::update(p.txn, next.key, &next.subscription);
    p.event(next.key, Intent::Triggered, next.subscription.clone());
    p.instances
        .change(thrower.key, |thrower| thrower.tokens += 1);
    pass_boundary_event(p, &scope, &next.subscription)?;
    let scope = p.existing_instance(scope.key)?;
    let instance = lifecycle::enter_as(p, &scope, |scope| {
        let mut instance = ElementInstance::new(key, scope, handler);
        instance.compensation_key = next.key;
        instance
    });
    for document in next.variables {
        variables::merge_local(p, key, document)?;
    }
    let step = elements::activate(p, &instance);
    incidents::raise_if_stopped(p, &instance, step)?;
    Ok(true)
}

/// The boundary event of what is compensated comes and goes.
fn pass_boundary_event(
    p: &mut Processing,
    scope: &ElementInstance,
    subscription: &values::CompensationSubscription,
) -> Result<()> {
    let process = &scope.process;
    let Some(activity) = process.element_by_id(&subscription.compensable_activity_id) else {
        return Ok(());
    };
    let mut events = activity.boundary_events.iter();
    let event = events.find(|&&event| {
        matches!(
            process.element(event).trigger(),
            Some(Trigger::Compensation(_))
        )
    });
    let Some(&event) = event else {
        return Ok(());
    };
    let key = p.next_key()?;
    let instance = lifecycle::enter(p, key, scope, event, 0);
    lifecycle::activated(p, &instance);
    lifecycle::completing(p, &instance);
    lifecycle::end(p, &instance, ProcessInstanceIntent::ElementCompleted)
}

/// A handler has completed, or was terminated alone: the throw event goes on.
pub(crate) fn handler_ended(p: &mut Processing, handler: &ElementInstance) -> Result<()> {
    let key = handler.compensation_key;
    if !key.is_some() {
        return Ok(());
    }
    // It is gone if the scope that it was in has ended in the meantime.
    let Some(subscription) = subscriptions::get(p.txn, key)? else {
        return Ok(());
    };
    subscriptions::delete(p.txn, key, &subscription);
    p.event(key, Intent::Completed, subscription.clone());
    let Some(thrower) = p.instance(Key(subscription.throw_event_instance_key))? else {
        return Ok(());
    };
    p.instances
        .change(thrower.key, |thrower| thrower.tokens -= 1);
    let scope = p.existing_instance(thrower.flow_scope_key)?;
    if scope.admits(thrower.element) {
        begin_next(p, &thrower)?;
        let thrower = p.existing_instance(thrower.key)?;
        if thrower.tokens == 0 {
            lifecycle::schedule_completion(p, &thrower);
        }
    }
    Ok(())
}

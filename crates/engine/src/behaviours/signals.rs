//! Signals: what waits for them, and how they are broadcast.
//!
//! **Invariants**
//! - Each partition has the signal start events of the latest version of each process. Only the partition that takes a broadcast
//!   starts instances; the others, to which it is sent, trigger their catch events.
//! - A broadcast reaches what waited when it came to a partition, some subscriptions at a time, each time as a command of its own.

use skep_bpmn::model::{self, Element, Trigger};
use skep_feel::Environment;
use skep_protocol::{Command, Key, SignalIntent, SignalSubscriptionIntent as Intent, values};

use crate::behaviours::{events, instances, start_names};
use crate::instances::ElementInstance;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::{processes, signal_subscriptions as subscriptions};

/// The signal start events of a process, with the name that each waits for, or why it has none.
pub(crate) fn start_names<'a>(
    process: &'a model::Process,
    environment: &Environment,
) -> Vec<(&'a Element, std::result::Result<String, String>)> {
    let starts = process.scope().start_events.iter();
    starts
        .map(|&index| process.element(index))
        .filter_map(|start| match start.trigger() {
            Some(Trigger::Signal(name)) => Some((
                start,
                start_names::constant("signal name", name, environment),
            )),
            _ => None,
        })
        .collect()
}

/// A new version of a process is the latest: its signal start events take the place of those of the version before.
pub(crate) fn definition_deployed(p: &mut Processing, definition: Key) -> Result<()> {
    let Some(definition) = p.definitions.process(p.txn, definition)? else {
        return Ok(());
    };
    if let Some(before) = processes::version_below(p.txn, &definition.id, definition.version)? {
        close_where(p, before.key(), &|_| true)?;
    }
    let environment = Environment::at_epoch_millis(p.now(), p.context.seed);
    for (start, name) in start_names(&definition, &environment) {
        // It was evaluated when it was deployed; one that depends on the clock may still fail here, and then waits for nothing.
        if let Ok(signal_name) = name {
            let subscription = values::SignalSubscription {
                signal_name,
                process_definition_key: definition.key.0,
                bpmn_process_id: definition.id.to_string(),
                catch_event_id: start.id.to_string(),
                catch_event_instance_key: Key::NONE.0,
            };
            create(p, subscription)?;
        }
    }
    Ok(())
}

/// Opens a subscription of an element instance, for the element `catch_event_id`.
pub(crate) fn open(
    p: &mut Processing,
    instance: &ElementInstance,
    catch_event_id: &str,
    signal_name: &str,
) -> Result<()> {
    let subscription = values::SignalSubscription {
        signal_name: signal_name.to_owned(),
        process_definition_key: instance.process.key.0,
        bpmn_process_id: instance.process.id.to_string(),
        catch_event_id: catch_event_id.to_owned(),
        catch_event_instance_key: instance.key.0,
    };
    create(p, subscription)
}

fn create(p: &mut Processing, subscription: values::SignalSubscription) -> Result<()> {
    let key = p.next_key()?;
    subscriptions::insert(p.txn, key, &subscription);
    p.event(key, Intent::Created, subscription);
    Ok(())
}

/// Closes the subscriptions of an element instance or process definition for those events.
pub(crate) fn close_where(
    p: &mut Processing,
    owner: Key,
    is_meant: &dyn Fn(&str) -> bool,
) -> Result<()> {
    for (key, subscription) in subscriptions::of(p.txn, owner)? {
        if is_meant(&subscription.catch_event_id) {
            subscriptions::delete(p.txn, key, &subscription);
            p.event(key, Intent::Deleted, subscription);
        }
    }
    Ok(())
}

/// Has a signal broadcast after the command at hand.
pub(crate) fn schedule_broadcast(p: &mut Processing, signal_name: &str, variables: String) {
    let signal = values::Signal {
        signal_name: signal_name.to_owned(),
        variables,
        ..values::Signal::default()
    };
    p.follow_up(Command::new(Key::NONE, SignalIntent::Broadcast, signal));
}

/// Triggers the next of what waits for a signal, and has the rest triggered after that.
pub(crate) fn trigger_next(p: &mut Processing, key: Key, signal: &values::Signal) -> Result<()> {
    let room = limits::CORRELATION_BYTES_MAX / (signal.variables.len() + 1);
    let count = room.clamp(1, limits::SIGNALLED_MAX);
    let found = subscriptions::to(p.txn, &signal.signal_name, Key(signal.reached), count)?;
    let may_be_more = found.len() == count;
    let mut reached = signal.reached;
    for (subscription_key, subscription) in found {
        if subscription_key.0 > signal.up_to {
            return Ok(());
        }
        trigger(p, signal, &subscription)?;
        reached = subscription_key.0;
    }
    if may_be_more {
        let rest = values::Signal {
            reached,
            ..signal.clone()
        };
        p.follow_up(Command::new(key, SignalIntent::Broadcast, rest));
    }
    Ok(())
}

fn trigger(
    p: &mut Processing,
    signal: &values::Signal,
    subscription: &values::SignalSubscription,
) -> Result<()> {
    let instance = Key(subscription.catch_event_instance_key);
    if !instance.is_some() {
        return match signal.is_distributed {
            true => Ok(()),
            false => start(p, signal, subscription),
        };
    }
    let waits = p.existing_instance(instance)?;
    if !p.banned.contains(p.txn, waits.process_instance_key)? {
        // One that does not wait any more is about to end.
        events::trigger(p, instance, &subscription.catch_event_id, &signal.variables)?;
    }
    Ok(())
}

fn start(
    p: &mut Processing,
    signal: &values::Signal,
    subscription: &values::SignalSubscription,
) -> Result<()> {
    let definition = Key(subscription.process_definition_key);
    let definition = p
        .definitions
        .process(p.txn, definition)?
        .expect("start events belong to deployed definitions");
    let start = definition
        .element_by_id(&subscription.catch_event_id)
        .expect("a start event is an element of its definition")
        .index;
    instances::create(
        p,
        &definition,
        instances::Start::Event(start),
        &signal.variables,
    )?;
    Ok(())
}

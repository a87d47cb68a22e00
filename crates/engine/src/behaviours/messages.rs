//! Message subscriptions of element instances, and how a message finds one.
//!
//! A subscription has two sides: the element instance's partition, which knows the element, and the partition of the
//! correlation key, which knows the messages. Opening, correlating and closing go from one side to the other and back over
//! channels ([`super::channel`]), which lose and double nothing: there are no time-outs.
//!
//! ```text
//! element instance's side                     message's side
//! CREATING, OPENING      ── CREATE ────────▶  CREATED, waits
//! CREATED, OPEN          ◀─ CREATE ─────────  (or at once CORRELATE, if a message is buffered)
//!                        ◀─ CORRELATE ──────  CORRELATING
//! CORRELATED             ── CORRELATE ─────▶  CORRELATED: gone if interrupting, else waits
//! (does not take it)     ── REJECT ────────▶  REJECTED: another instance of the process may take the message
//! DELETING, CLOSING      ── DELETE ────────▶  DELETED
//! DELETED                ◀─ DELETE ─────────
//! MIGRATED               ── MIGRATE ───────▶  MIGRATED: waits for another process id
//! ```
//!
//! **Invariants**
//! - A message goes to one instance per process id, and to none after its deadline.
//! - A subscription to which a message is on its way (*busy*) gets no other one. One that refused a message stays busy: its
//!   element is about to end, and closes it.

use skep_protocol::{
    Command, Key, MessageBatchIntent, MessageSubscriptionIntent, PartitionId,
    ProcessMessageSubscriptionIntent, routing, values,
};
use skep_state::Read;

use crate::behaviours::{channel, distribution};
use crate::engine::Due;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::{
    message_subscriptions, messages, process_message_subscriptions as subscriptions,
};

/// Opens a subscription of an element instance, for the element `catch_element_id`: itself, a boundary event, or the start event
/// of an event sub-process.
pub(crate) fn open(
    p: &mut Processing,
    element_instance_key: Key,
    element_instance: &values::ProcessInstance,
    catch_element_id: &str,
    message_name: &str,
    correlation_key: &str,
    interrupting: bool,
) -> Result<()> {
    let target = routing::message_partition(correlation_key, p.config.partition_count);
    let key = p.next_key()?;
    let subscription = values::ProcessMessageSubscription {
        process_instance_key: element_instance.process_instance_key,
        element_instance_key: element_instance_key.0,
        bpmn_process_id: element_instance.bpmn_process_id.clone(),
        message_name: message_name.to_owned(),
        correlation_key: correlation_key.to_owned(),
        message_key: Key::NONE.0,
        variables: String::new(),
        interrupting,
        element_id: catch_element_id.to_owned(),
        state: subscriptions::OPENING,
        subscription_partition: target.0,
    };
    subscriptions::set(p.txn, key, &subscription);
    let create = to_message_side(key, &subscription, MessageSubscriptionIntent::Create);
    p.event(
        key,
        ProcessMessageSubscriptionIntent::Creating,
        subscription,
    );
    channel::send(p, target, create)
}

/// Closes the subscriptions of an element instance for those catch elements.
pub(crate) fn close_where(
    p: &mut Processing,
    element_instance_key: Key,
    catch_element: &dyn Fn(&str) -> bool,
) -> Result<()> {
    for (key, mut subscription) in subscriptions::of(p.txn, element_instance_key)? {
        if subscription.state == subscriptions::CLOSING || !catch_element(&subscription.element_id)
        {
            continue;
        }
        subscription.state = subscriptions::CLOSING;
        subscriptions::set(p.txn, key, &subscription);
        let target = PartitionId(subscription.subscription_partition);
        let delete = to_message_side(key, &subscription, MessageSubscriptionIntent::Delete);
        p.event(
            key,
            ProcessMessageSubscriptionIntent::Deleting,
            subscription,
        );
        channel::send(p, target, delete)?;
    }
    Ok(())
}

/// A subscription goes over to another catch element, of what its element instance has become.
pub(crate) fn migrate(
    p: &mut Processing,
    key: Key,
    mut subscription: values::ProcessMessageSubscription,
    bpmn_process_id: &str,
    catch_element_id: &str,
    interrupting: bool,
) -> Result<()> {
    bpmn_process_id.clone_into(&mut subscription.bpmn_process_id);
    catch_element_id.clone_into(&mut subscription.element_id);
    subscription.interrupting = interrupting;
    subscriptions::set(p.txn, key, &subscription);
    let target = PartitionId(subscription.subscription_partition);
    let mut migrate = to_message_side(key, &subscription, MessageSubscriptionIntent::Migrate);
    let intent = ProcessMessageSubscriptionIntent::Migrated;
    p.event(key, intent, subscription);
    if target == p.config.partition {
        return channel::send(p, target, migrate);
    }
    migrate.key = key;
    distribution::distribute(p, &migrate, &[target])
}

/// A command about a subscription, for the message's side.
pub(crate) fn to_message_side(
    key: Key,
    subscription: &values::ProcessMessageSubscription,
    intent: MessageSubscriptionIntent,
) -> Command {
    let value = values::MessageSubscription {
        process_instance_key: subscription.process_instance_key,
        element_instance_key: subscription.element_instance_key,
        bpmn_process_id: subscription.bpmn_process_id.clone(),
        message_name: subscription.message_name.clone(),
        correlation_key: subscription.correlation_key.clone(),
        message_key: subscription.message_key,
        variables: String::new(),
        interrupting: subscription.interrupting,
        correlating: false,
        process_subscription_key: key.0,
    };
    Command::new(Key::NONE, intent, value)
}

/// Sends a command about a subscription to the process instance's side.
pub(crate) fn send_to_process_side(
    p: &mut Processing,
    subscription: &values::MessageSubscription,
    intent: ProcessMessageSubscriptionIntent,
    variables: &str,
) -> Result<()> {
    let target = distribution::partition_of(Key(subscription.process_subscription_key));
    let value = values::ProcessMessageSubscription {
        process_instance_key: subscription.process_instance_key,
        element_instance_key: subscription.element_instance_key,
        bpmn_process_id: subscription.bpmn_process_id.clone(),
        message_name: subscription.message_name.clone(),
        correlation_key: subscription.correlation_key.clone(),
        message_key: subscription.message_key,
        variables: variables.to_owned(),
        interrupting: subscription.interrupting,
        element_id: String::new(),
        state: subscriptions::OPEN,
        subscription_partition: p.config.partition.0,
    };
    channel::send(
        p,
        target,
        Command::new(Key(subscription.process_subscription_key), intent, value),
    )
}

/// Sends a message to a waiting subscription.
pub(crate) fn correlate(
    p: &mut Processing,
    key: Key,
    message_key: Key,
    message: &values::Message,
) -> Result<()> {
    let mut subscription = message_subscriptions::get(p.txn, key)?
        .expect("a waiting subscription is found by its key");
    message_subscriptions::set_correlating(p.txn, key, &mut subscription, Some(message_key));
    messages::mark_correlated(p.txn, message_key, &subscription.bpmn_process_id)?;
    let value = values::MessageSubscription {
        variables: message.variables.clone(),
        ..subscription.clone()
    };
    p.event(key, MessageSubscriptionIntent::Correlating, value);
    send_to_process_side(
        p,
        &subscription,
        ProcessMessageSubscriptionIntent::Correlate,
        &message.variables,
    )
}

/// Sends the oldest buffered message to a waiting subscription, and tells whether there was one.
pub(crate) fn correlate_buffered(
    p: &mut Processing,
    key: Key,
    subscription: &values::MessageSubscription,
) -> Result<bool> {
    let (name, correlation_key) = (&subscription.message_name, &subscription.correlation_key);
    let oldest = messages::oldest_for(
        p.txn,
        p.now(),
        name,
        correlation_key,
        &subscription.bpmn_process_id,
    )?;
    match oldest {
        Some((message_key, message)) => correlate(p, key, message_key, &message).map(|()| true),
        None => Ok(false),
    }
}

/// Adds to what is due: the messages that are past their deadline.
pub(crate) fn due(state: &dyn Read, now: i64, due: &mut Due) -> Result<()> {
    let (keys, next) = messages::expired(state, now, limits::EXPIRE_MESSAGES_MAX)?;
    if !keys.is_empty() {
        let batch = values::MessageBatch {
            message_keys: keys.iter().map(|key| key.0).collect(),
        };
        due.commands
            .push(Command::new(Key::NONE, MessageBatchIntent::Expire, batch));
    }
    due.next = match (due.next, next) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(())
}

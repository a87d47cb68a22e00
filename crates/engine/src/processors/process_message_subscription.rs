//! PROCESS_MESSAGE_SUBSCRIPTION: the process instance's side of a subscription. All commands come from the message's side.

use skep_protocol::{
    Command, Intent, Key, MessageSubscriptionIntent, PartitionId, ProcessMessageSubscriptionIntent,
    RecordValue, Rejection, values,
};

use crate::behaviours::events::{self, Trigger};
use crate::behaviours::{channel, messages as correlation};
use crate::processing::{Processing, Result};
use crate::tables::process_message_subscriptions as subscriptions;

/// Evaluates a PROCESS_MESSAGE_SUBSCRIPTION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessMessageSubscription(value) = &command.value else {
        unreachable!(
            "a PROCESS_MESSAGE_SUBSCRIPTION command carries a process message subscription"
        );
    };
    let found = subscriptions::get(p.txn, Key(value.element_instance_key), command.key)?;
    match command.intent {
        Intent::ProcessMessageSubscription(ProcessMessageSubscriptionIntent::Create) => {
            opened(p, command, value, found)
        }
        Intent::ProcessMessageSubscription(ProcessMessageSubscriptionIntent::Correlate) => {
            correlate(p, command, value, found)
        }
        Intent::ProcessMessageSubscription(ProcessMessageSubscriptionIntent::Delete) => {
            deleted(p, command, found)
        }
        intent => unreachable!(
            "{} is no command about a process message subscription",
            intent.name()
        ),
    }
}

type Found = Option<values::ProcessMessageSubscription>;

/// The message's side knows of the subscription.
fn opened(
    p: &mut Processing,
    command: &Command,
    value: &values::ProcessMessageSubscription,
    found: Found,
) -> Result<()> {
    match found {
        Some(mut subscription) if subscription.state == subscriptions::OPENING => {
            subscription.state = subscriptions::OPEN;
            subscriptions::set(p.txn, command.key, &subscription);
            p.event(
                command.key,
                ProcessMessageSubscriptionIntent::Created,
                subscription,
            );
        }
        Some(subscription) => {
            let state = if subscription.state == subscriptions::CLOSING {
                "closing"
            } else {
                "open"
            };
            let reason = format!(
                "Expected to open process message subscription '{}', but it is {state}",
                command.key
            );
            p.reject(command, Rejection::invalid_state(reason));
        }
        None => {
            not_found(p, command, "open");
            close_orphan(p, command, value)?;
        }
    }
    Ok(())
}

/// The message's side knows of a subscription that is gone here. Within one partition that can be: the command to close it may
/// be evaluated before the one to open it, if that had to wait for room ([`crate::limits::FOLLOW_UPS_MAX`]).
fn close_orphan(
    p: &mut Processing,
    command: &Command,
    value: &values::ProcessMessageSubscription,
) -> Result<()> {
    let delete =
        correlation::to_message_side(command.key, value, MessageSubscriptionIntent::Delete);
    channel::send(p, PartitionId(value.subscription_partition), delete)
}

/// A message has come: the element takes it, or the message's side is told that it does not.
fn correlate(
    p: &mut Processing,
    command: &Command,
    value: &values::ProcessMessageSubscription,
    found: Found,
) -> Result<()> {
    let is_gone = found.is_none();
    let taken = match found {
        Some(subscription) if subscription.state != subscriptions::CLOSING => {
            take(p, command.key, value, subscription)?
        }
        _ => false,
    };
    let intent = match taken {
        true => MessageSubscriptionIntent::Correlate,
        false => {
            not_found(p, command, "correlate");
            MessageSubscriptionIntent::Reject
        }
    };
    let answer = correlation::to_message_side(command.key, value, intent);
    channel::send(p, PartitionId(value.subscription_partition), answer)?;
    if is_gone {
        close_orphan(p, command, value)?;
    }
    Ok(())
}

/// Gives the message to the element. A subscription that ends with it is gone before, so that what the message causes does not
/// close it.
fn take(
    p: &mut Processing,
    key: Key,
    value: &values::ProcessMessageSubscription,
    mut subscription: values::ProcessMessageSubscription,
) -> Result<bool> {
    let before = subscription.clone();
    match subscription.interrupting {
        true => subscriptions::delete(p.txn, key, &subscription),
        false => {
            subscription.state = subscriptions::OPEN;
            subscriptions::set(p.txn, key, &subscription);
        }
    }
    let element_instance = Key(subscription.element_instance_key);
    match events::trigger(
        p,
        element_instance,
        &subscription.element_id,
        &value.variables,
    )? {
        Trigger::Accepted => {
            subscription.message_key = value.message_key;
            subscription.variables.clone_from(&value.variables);
            p.event(
                key,
                ProcessMessageSubscriptionIntent::Correlated,
                subscription,
            );
            Ok(true)
        }
        Trigger::Refused => {
            subscriptions::set(p.txn, key, &before);
            Ok(false)
        }
    }
}

/// The message's side knows that the subscription is over.
fn deleted(p: &mut Processing, command: &Command, found: Found) -> Result<()> {
    match found {
        Some(subscription) => {
            subscriptions::delete(p.txn, command.key, &subscription);
            p.event(
                command.key,
                ProcessMessageSubscriptionIntent::Deleted,
                subscription,
            );
        }
        None => not_found(p, command, "close"),
    }
    Ok(())
}

fn not_found(p: &mut Processing, command: &Command, action: &str) {
    let reason = format!(
        "Expected to {action} process message subscription '{}', but it is not open",
        command.key
    );
    p.reject(command, Rejection::not_found(reason));
}

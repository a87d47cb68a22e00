//! MESSAGE_SUBSCRIPTION: the message's side of a subscription. All commands come from the process instance's side, and name the
//! subscription by the key that it has there.

use skep_protocol::{
    Command, Intent, Key, MessageSubscriptionIntent, ProcessMessageSubscriptionIntent, RecordValue,
    Rejection, values,
};

use crate::behaviours::{distribution, messages as correlation};
use crate::processing::{Processing, Result};
use crate::tables::{message_subscriptions as subscriptions, messages};

/// Evaluates a MESSAGE_SUBSCRIPTION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::MessageSubscription(value) = &command.value else {
        unreachable!("a MESSAGE_SUBSCRIPTION command carries a message subscription");
    };
    match command.intent {
        Intent::MessageSubscription(MessageSubscriptionIntent::Create) => create(p, command, value),
        Intent::MessageSubscription(MessageSubscriptionIntent::Correlate) => {
            correlated(p, command, value)
        }
        Intent::MessageSubscription(MessageSubscriptionIntent::Reject) => {
            rejected(p, command, value)
        }
        Intent::MessageSubscription(MessageSubscriptionIntent::Delete) => delete(p, command, value),
        Intent::MessageSubscription(MessageSubscriptionIntent::Migrate) => {
            migrate(p, command, value)
        }
        intent => unreachable!(
            "{} is no command about a message subscription",
            intent.name()
        ),
    }
}

/// Opens the subscription. A buffered message is sent to it at once, which says as well that it is open.
fn create(
    p: &mut Processing,
    command: &Command,
    value: &values::MessageSubscription,
) -> Result<()> {
    if subscriptions::of_process_key(p.txn, value.process_subscription_key)?.is_some() {
        let reason = format!(
            "Expected to open a new message subscription for element with key '{}' and message name '{}', but there is \
             already a message subscription for that element key and message name opened",
            value.element_instance_key, value.message_name
        );
        p.reject(command, Rejection::invalid_state(reason));
        return correlation::send_to_process_side(
            p,
            value,
            ProcessMessageSubscriptionIntent::Create,
            "",
        );
    }
    let key = p.next_key()?;
    subscriptions::insert(p.txn, key, value);
    p.event(key, MessageSubscriptionIntent::Created, value.clone());
    if correlation::correlate_buffered(p, key, value)? {
        return Ok(());
    }
    correlation::send_to_process_side(p, value, ProcessMessageSubscriptionIntent::Create, "")
}

/// The instance has taken the message.
fn correlated(
    p: &mut Processing,
    command: &Command,
    value: &values::MessageSubscription,
) -> Result<()> {
    let Some((key, mut subscription)) =
        subscriptions::of_process_key(p.txn, value.process_subscription_key)?
    else {
        not_found(p, command, value, "correlate");
        return Ok(());
    };
    p.event(
        key,
        MessageSubscriptionIntent::Correlated,
        subscription.clone(),
    );
    if subscription.interrupting {
        subscriptions::delete(p.txn, key, &subscription);
        return Ok(());
    }
    subscriptions::set_correlating(p.txn, key, &mut subscription, None);
    correlation::correlate_buffered(p, key, &subscription)?;
    Ok(())
}

/// The instance has not taken the message: the next one of the same process that waits gets it. The subscription that refused
/// is closed already, or stays busy until it is.
fn rejected(
    p: &mut Processing,
    command: &Command,
    value: &values::MessageSubscription,
) -> Result<()> {
    let message_key = Key(value.message_key);
    let process_id = &value.bpmn_process_id;
    let buffered = messages::get(p.txn, message_key)?;
    let Some(message) = buffered.filter(|message| message.deadline > p.now()) else {
        let reason = format!(
            "Expected to correlate message with key '{message_key}' again, but it has expired"
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    if !messages::is_correlated(p.txn, message_key, process_id)? {
        let reason = format!(
            "Expected to correlate message with key '{message_key}' again, but it did not go to process '{process_id}'"
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    }
    messages::unmark_correlated(p.txn, message_key, process_id);
    p.event(
        Key(value.process_subscription_key),
        MessageSubscriptionIntent::Rejected,
        value.clone(),
    );
    match subscriptions::waiting_of(
        p.txn,
        &value.message_name,
        &value.correlation_key,
        process_id,
    )? {
        Some(next) => correlation::correlate(p, next, message_key, &message),
        None => Ok(()),
    }
}

/// The instance is one of another process now. A message that is on its way to it counts as one for both.
fn migrate(
    p: &mut Processing,
    command: &Command,
    value: &values::MessageSubscription,
) -> Result<()> {
    let found = subscriptions::of_process_key(p.txn, value.process_subscription_key)?;
    match found {
        Some((key, before)) => move_to(p, key, before, value)?,
        None => not_found(p, command, value, "migrate"),
    }
    match command.key.is_some() {
        true => distribution::acknowledge(p, command),
        false => Ok(()),
    }
}

fn move_to(
    p: &mut Processing,
    key: Key,
    before: values::MessageSubscription,
    value: &values::MessageSubscription,
) -> Result<()> {
    let after = values::MessageSubscription {
        bpmn_process_id: value.bpmn_process_id.clone(),
        interrupting: value.interrupting,
        ..before.clone()
    };
    if before.correlating && before.bpmn_process_id != after.bpmn_process_id {
        messages::mark_correlated(p.txn, Key(before.message_key), &after.bpmn_process_id)?;
    }
    subscriptions::replace(p.txn, key, &before, &after);
    p.event(key, MessageSubscriptionIntent::Migrated, after);
    Ok(())
}

/// Closes the subscription. The other side is told even if there is none, so that it does not wait.
fn delete(
    p: &mut Processing,
    command: &Command,
    value: &values::MessageSubscription,
) -> Result<()> {
    match subscriptions::of_process_key(p.txn, value.process_subscription_key)? {
        Some((key, subscription)) => {
            subscriptions::delete(p.txn, key, &subscription);
            p.event(key, MessageSubscriptionIntent::Deleted, subscription);
        }
        None => not_found(p, command, value, "close"),
    }
    correlation::send_to_process_side(p, value, ProcessMessageSubscriptionIntent::Delete, "")
}

fn not_found(
    p: &mut Processing,
    command: &Command,
    value: &values::MessageSubscription,
    action: &str,
) {
    let reason = format!(
        "Expected to {action} message subscription for element with key '{}' and message name '{}', but no such message \
         subscription exists",
        value.element_instance_key, value.message_name
    );
    p.reject(command, Rejection::not_found(reason));
}

//! MESSAGE and MESSAGE_BATCH: publication and expiry.

use skep_protocol::{
    Command, Intent, Key, MessageBatchIntent, MessageIntent, RecordValue, Rejection, RejectionType,
    values,
};

use crate::behaviours::{message_starts, messages as correlation};
use crate::json::Document;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::{message_subscriptions, messages};

/// Evaluates a MESSAGE or MESSAGE_BATCH command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    match (command.intent, &command.value) {
        (Intent::Message(MessageIntent::Publish), RecordValue::Message(message)) => {
            publish(p, command, message)
        }
        (Intent::Message(MessageIntent::Expire), RecordValue::Message(_)) => expire(p, command),
        (Intent::MessageBatch(MessageBatchIntent::Expire), RecordValue::MessageBatch(batch)) => {
            expire_batch(p, batch)
        }
        (intent, _) => unreachable!("{} is no command about a message", intent.name()),
    }
}

/// Whom a new message goes to.
struct Receivers {
    subscriptions: Vec<(Key, String)>,
    starts: Vec<(Key, values::MessageStartEventSubscription)>,
}

fn publish(p: &mut Processing, command: &Command, message: &values::Message) -> Result<()> {
    if messages::is_duplicate(p.txn, message)? {
        let reason = format!(
            "Expected to publish a new message with id '{}', but a message with that id was already published",
            message.message_id
        );
        p.reject(command, Rejection::already_exists(reason));
        return Ok(());
    }
    if let Err(error) = Document::parse(&message.variables) {
        p.reject(
            command,
            Rejection::invalid_argument(format!(
                "Expected the variables to be a JSON object, but {error}"
            )),
        );
        return Ok(());
    }
    let receivers = receivers(p, message)?;
    if let Err(rejection) = check_size(message, &receivers) {
        p.reject(command, rejection);
        return Ok(());
    }
    let key = p.next_key()?;
    let deadline = p.now().saturating_add(message.time_to_live);
    let message = values::Message {
        deadline,
        ..message.clone()
    };
    p.event(key, MessageIntent::Published, message.clone());
    p.respond(key, MessageIntent::Published, without_variables(&message));
    let is_buffered = message.time_to_live > 0;
    if is_buffered {
        messages::insert(p.txn, key, &message);
    }
    for (subscription, _) in receivers.subscriptions {
        correlation::correlate(p, subscription, key, &message)?;
    }
    for (start, subscription) in receivers.starts {
        message_starts::start(p, start, subscription, key, &message)?;
    }
    if !is_buffered {
        p.event(key, MessageIntent::Expired, without_variables(&message));
    }
    Ok(())
}

/// One waiting instance of each process; a new instance only of those that have none waiting.
fn receivers(p: &Processing, message: &values::Message) -> Result<Receivers> {
    let mut subscriptions = Vec::new();
    for key in message_subscriptions::waiting(p.txn, &message.name, &message.correlation_key)? {
        let subscription = message_subscriptions::get(p.txn, key)?
            .expect("a waiting subscription is found by its key");
        subscriptions.push((key, subscription.bpmn_process_id));
    }
    let taken: Vec<String> = subscriptions
        .iter()
        .map(|(_, process_id)| process_id.clone())
        .collect();
    let starts = message_starts::matching(p, message, &taken)?;
    Ok(Receivers {
        subscriptions,
        starts,
    })
}

fn check_size(
    message: &values::Message,
    receivers: &Receivers,
) -> std::result::Result<(), Rejection> {
    let count = receivers.subscriptions.len() + receivers.starts.len();
    let bytes = message.variables.len().saturating_mul(count);
    if bytes <= limits::CORRELATION_BYTES_MAX {
        return Ok(());
    }
    Err(Rejection::new(
        RejectionType::ExceededBatchRecordSize,
        format!(
            "Expected to correlate message '{}' with {count} processes, but its variables would take {bytes} bytes, more than {}. \
             Publish it with fewer variables",
            message.name,
            limits::CORRELATION_BYTES_MAX
        ),
    ))
}

fn without_variables(message: &values::Message) -> values::Message {
    values::Message {
        variables: String::new(),
        ..message.clone()
    }
}

fn expire(p: &mut Processing, command: &Command) -> Result<()> {
    if !expire_one(p, command.key)? {
        let reason = format!(
            "Expected to expire message with key '{}', but no such message was found",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
    }
    Ok(())
}

/// What is gone already was expired by an earlier command.
fn expire_batch(p: &mut Processing, batch: &values::MessageBatch) -> Result<()> {
    for key in &batch.message_keys {
        expire_one(p, Key(*key))?;
    }
    Ok(())
}

fn expire_one(p: &mut Processing, key: Key) -> Result<bool> {
    let Some(message) = messages::get(p.txn, key)? else {
        return Ok(false);
    };
    messages::delete(p.txn, key, &message)?;
    p.event(key, MessageIntent::Expired, without_variables(&message));
    Ok(true)
}

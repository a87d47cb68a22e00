//! One record of every value type, with every field set.

#![allow(dead_code, reason = "each test uses a part")]

mod instances;
mod resources;

use skep_protocol::values::*;
use skep_protocol::*;

fn text(text: &str) -> String {
    text.to_owned()
}

/// Intents and values.
pub fn all() -> Vec<(Intent, RecordValue)> {
    let mut all = instances::all();
    all.extend(messages());
    all.extend(events());
    all.extend(resources::all());
    all.push((
        CheckpointIntent::Created.into(),
        Checkpoint {
            checkpoint_id: 7,
            checkpoint_position: 12,
            failure_reason: text("internal"),
        }
        .into(),
    ));
    all
}

fn messages() -> Vec<(Intent, RecordValue)> {
    let message = Message {
        name: text("paid"),
        correlation_key: text("order-1"),
        message_id: text("m-1"),
        time_to_live: 60_000,
        deadline: 1_795_527_464_123,
        variables: text("{\"amount\":3}"),
    };
    let subscription = MessageSubscription {
        process_instance_key: 1,
        element_instance_key: 2,
        bpmn_process_id: text("order"),
        message_name: text("paid"),
        correlation_key: text("order-1"),
        message_key: 3,
        variables: text("{\"amount\":3}"),
        interrupting: true,
        correlating: true,
        process_subscription_key: 4,
    };
    let process_subscription = ProcessMessageSubscription {
        process_instance_key: 1,
        element_instance_key: 2,
        bpmn_process_id: text("order"),
        message_name: text("paid"),
        correlation_key: text("order-1"),
        message_key: 3,
        variables: text("{\"amount\":3}"),
        interrupting: true,
        element_id: text("wait"),
        state: 1,
        subscription_partition: 2,
    };
    let start = MessageStartEventSubscription {
        process_definition_key: 5,
        bpmn_process_id: text("order"),
        start_event_id: text("start"),
        message_name: text("paid"),
        process_instance_key: 6,
        correlation_key: text("order-1"),
        message_key: 3,
        variables: text("{\"amount\":3}"),
    };
    let timer = Timer {
        element_instance_key: 2,
        process_instance_key: 1,
        process_definition_key: 5,
        due_date: 1_795_527_464_123,
        target_element_id: text("later"),
        repetitions: 3,
    };
    let batch = MessageBatch {
        message_keys: vec![3, 4],
    };
    vec![
        (MessageIntent::Published.into(), message.into()),
        (MessageBatchIntent::Expire.into(), batch.into()),
        (
            MessageSubscriptionIntent::Correlating.into(),
            subscription.into(),
        ),
        (
            ProcessMessageSubscriptionIntent::Correlated.into(),
            process_subscription.into(),
        ),
        (
            MessageStartEventSubscriptionIntent::Correlated.into(),
            start.into(),
        ),
        (TimerIntent::Created.into(), timer.into()),
    ]
}

fn events() -> Vec<(Intent, RecordValue)> {
    let escalation = Escalation {
        process_instance_key: 1,
        escalation_code: text("late"),
        throw_element_id: text("throw"),
        catch_element_id: text("catch"),
    };
    let signal = Signal {
        signal_name: text("alarm"),
        variables: text("{\"level\":9}"),
        is_distributed: true,
        up_to: 8,
        reached: 7,
    };
    let subscription = SignalSubscription {
        signal_name: text("alarm"),
        process_definition_key: 5,
        bpmn_process_id: text("order"),
        catch_event_id: text("catch"),
        catch_event_instance_key: 2,
    };
    let compensation = CompensationSubscription {
        process_instance_key: 1,
        process_definition_key: 5,
        compensable_activity_id: text("book"),
        compensable_activity_instance_key: 2,
        compensable_activity_scope_key: 3,
        throw_event_id: text("undo"),
        throw_event_instance_key: 4,
        compensation_handler_id: text("unbook"),
        compensation_handler_instance_key: 6,
        variables: text("{\"seat\":\"4A\"}"),
    };
    vec![
        (EscalationIntent::Escalated.into(), escalation.into()),
        (SignalIntent::Broadcasted.into(), signal.into()),
        (
            SignalSubscriptionIntent::Created.into(),
            subscription.into(),
        ),
        (
            CompensationSubscriptionIntent::Triggered.into(),
            compensation.into(),
        ),
    ]
}

//! The message's side alone: partition 1 of 2, with the process instance's side played by the test.

use skep_protocol::{
    Command, Key, MessageBatchIntent, MessageIntent, MessageSubscriptionIntent, PartitionId,
    ProcessMessageSubscriptionIntent as ProcessSide, RecordValue, RejectionType, routing, values,
};

use super::world::{World, trail};
use crate::behaviours::messages;
use crate::engine::{Due, Input};
use crate::tables::prefix;
use crate::{Outcome, limits};

/// A correlation key that belongs to partition 1 of 2.
fn correlation_key() -> String {
    let keys = (0..).map(|number| format!("key-{number}"));
    keys.into_iter()
        .find(|key| routing::message_partition(key, 2) == PartitionId(1))
        .unwrap()
}

struct Side {
    world: World,
    /// Commands that partition 2 has sent.
    sent: u64,
}

fn message(name: &str, id: &str, time_to_live: i64) -> values::Message {
    values::Message {
        name: name.to_owned(),
        correlation_key: correlation_key(),
        message_id: id.to_owned(),
        time_to_live,
        deadline: -1,
        variables: format!("{{\"of\":\"{name}\"}}"),
    }
}

/// The subscription `number` of partition 2, of an instance of `process`.
fn subscription(number: u64, process: &str, interrupting: bool) -> values::MessageSubscription {
    values::MessageSubscription {
        process_instance_key: Key::new(PartitionId(2), 1000 + number).0,
        element_instance_key: Key::new(PartitionId(2), 2000 + number).0,
        bpmn_process_id: process.to_owned(),
        message_name: "m".to_owned(),
        correlation_key: correlation_key(),
        message_key: -1,
        variables: String::new(),
        interrupting,
        correlating: false,
        process_subscription_key: Key::new(PartitionId(2), number).0,
    }
}

impl Side {
    fn new() -> Side {
        Side {
            world: World::new(2, 0),
            sent: 0,
        }
    }

    fn publish(&mut self, message: values::Message) -> Key {
        self.world
            .client(1, Command::new(Key::NONE, MessageIntent::Publish, message))
            .unwrap()
            .key
    }

    /// Publishes message `m`; tells which subscriptions of partition 2 get it.
    fn publish_m(&mut self, time_to_live: i64) -> (Key, Vec<u64>) {
        let publish = Command::new(
            Key::NONE,
            MessageIntent::Publish,
            message("m", "", time_to_live),
        );
        let outcome = self.world.evaluate(
            1,
            Input::Client {
                command: publish,
                request: None,
            },
        );
        let published = outcome
            .records
            .iter()
            .find(|record| record.intent == MessageIntent::Published.into())
            .unwrap();
        (published.key, sent(&outcome, ProcessSide::Correlate))
    }

    fn receive(
        &mut self,
        intent: MessageSubscriptionIntent,
        value: values::MessageSubscription,
    ) -> Outcome {
        self.sent += 1;
        self.world
            .from(2, 1, self.sent, Command::new(Key::NONE, intent, value))
    }

    /// Opens a subscription; tells which subscriptions of partition 2 get a message.
    fn open(&mut self, number: u64, process: &str, interrupting: bool) -> Vec<u64> {
        let outcome = self.receive(
            MessageSubscriptionIntent::Create,
            subscription(number, process, interrupting),
        );
        let correlated = sent(&outcome, ProcessSide::Correlate);
        assert_eq!(
            sent(&outcome, ProcessSide::Create).is_empty(),
            !correlated.is_empty(),
            "either open or with a message"
        );
        correlated
    }

    fn answer(
        &mut self,
        intent: MessageSubscriptionIntent,
        number: u64,
        process: &str,
        message: Key,
    ) -> Vec<u64> {
        let value = values::MessageSubscription {
            message_key: message.0,
            ..subscription(number, process, true)
        };
        sent(&self.receive(intent, value), ProcessSide::Correlate)
    }

    fn due(&self) -> Due {
        let mut due = Due::default();
        messages::due(self.world.content(1), self.world.time, &mut due).unwrap();
        due
    }

    fn buffered(&self) -> usize {
        self.world.content(1).count(prefix::MESSAGES)
    }
}

/// Subscriptions of partition 2 that such a command is sent to.
fn sent(outcome: &Outcome, intent: ProcessSide) -> Vec<u64> {
    let of = outcome
        .sends
        .iter()
        .filter(|send| send.command.intent == intent.into());
    of.map(|send| send.command.key.counter()).collect()
}

const NOBODY: [u64; 0] = [];
const CORRELATE: MessageSubscriptionIntent = MessageSubscriptionIntent::Correlate;
const REJECT: MessageSubscriptionIntent = MessageSubscriptionIntent::Reject;

#[test]
fn an_id_is_unique_per_name_and_correlation_key_while_buffered() {
    let mut side = Side::new();
    let key = side.publish(message("m", "id", 1000));
    let publish = |message| Command::new(Key::NONE, MessageIntent::Publish, message);
    let rejection = side
        .world
        .client(1, publish(message("m", "id", 1000)))
        .unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::AlreadyExists);
    assert_eq!(
        rejection.reason,
        "Expected to publish a new message with id 'id', but a message with that id was already published"
    );
    side.publish(message("m", "other", 1000));
    side.publish(message("other", "id", 1000));
    side.publish(values::Message {
        correlation_key: "another".to_owned(),
        ..message("m", "id", 1000)
    });
    side.publish(message("m", "", 1000));
    side.publish(message("m", "", 1000));
    let expire = Command::new(key, MessageIntent::Expire, values::Message::default());
    side.world.evaluate(1, Input::Internal(expire.clone()));
    side.publish(message("m", "id", 1000));
    let outcome = side.world.evaluate(1, Input::Internal(expire));
    assert_eq!(trail(&outcome), [">MESSAGE EXPIRE", "-MESSAGE EXPIRE"]);
}

#[test]
fn a_message_without_time_to_live_correlates_now_or_never() {
    for time_to_live in [0, -5] {
        let mut side = Side::new();
        let (_, correlated) = side.publish_m(time_to_live);
        assert_eq!(correlated, NOBODY);
        assert_eq!(
            side.world.partition(1).events(MessageIntent::Expired).len(),
            1
        );
        assert_eq!(side.buffered(), 0);
        assert_eq!(side.open(1, "p", true), NOBODY, "it is gone");
        assert_eq!(side.publish_m(time_to_live).1, [1]);
        assert_eq!(
            side.world.content(1).count(prefix::CORRELATED_MESSAGES),
            0,
            "nothing of it is left"
        );
    }
}

#[test]
fn due_messages_expire_and_others_are_looked_at_later() {
    let mut side = Side::new();
    let start = side.world.time;
    for time_to_live in [300, 100, 200] {
        side.publish(message(
            "m",
            "id".repeat(time_to_live as usize / 100).as_str(),
            time_to_live,
        ));
    }
    assert_eq!(
        (side.due().commands, side.due().next),
        (Vec::new(), Some(start + 100))
    );
    side.world.time = start + 200;
    let due = side.due();
    assert_eq!(due.next, Some(start + 300));
    assert_eq!(due.commands.len(), 1);
    assert_eq!(due.commands[0].intent, MessageBatchIntent::Expire.into());
    for _ in 0..2 {
        side.world
            .evaluate(1, Input::Internal(due.commands[0].clone()));
    }
    assert_eq!(
        side.world.partition(1).events(MessageIntent::Expired).len(),
        2
    );
    assert_eq!((side.buffered(), side.due().commands.len()), (1, 0));
    side.world.time = start + 300;
    let last = side.due();
    assert_eq!(last.next, None);
    side.world
        .evaluate(1, Input::Internal(last.commands[0].clone()));
    for table in prefix::MESSAGES..=prefix::CORRELATED_MESSAGES {
        assert_eq!(side.world.content(1).count(table), 0, "table {table}");
    }
}

#[test]
fn expiry_is_bounded() {
    let mut side = Side::new();
    for _ in 0..=limits::EXPIRE_MESSAGES_MAX {
        side.publish(message("m", "", 1));
    }
    side.world.time += 1;
    let due = side.due();
    let RecordValue::MessageBatch(batch) = &due.commands[0].value else {
        panic!()
    };
    assert_eq!(batch.message_keys.len(), limits::EXPIRE_MESSAGES_MAX);
    assert_eq!(due.next, Some(side.world.time), "the rest is due as well");
}

#[test]
fn a_message_goes_to_the_longest_waiting_instance_of_each_process() {
    let mut side = Side::new();
    for (number, process) in [(3, "p"), (1, "p"), (2, "q")] {
        assert_eq!(side.open(number, process, true), NOBODY);
    }
    let (_, mut first) = side.publish_m(0);
    first.sort_unstable();
    assert_eq!(first, [2, 3], "in the order in which they came to wait");
    assert_eq!(side.publish_m(0).1, [1]);
    assert_eq!(side.publish_m(0).1, NOBODY);
}

#[test]
fn a_new_subscription_gets_the_oldest_message_that_its_process_did_not_get() {
    let mut side = Side::new();
    let (first, _) = side.publish_m(1000);
    let (second, _) = side.publish_m(1000);
    assert_eq!(side.open(1, "p", true), [1]);
    assert_eq!(side.open(2, "p", true), [2]);
    assert_eq!(
        side.open(3, "p", true),
        NOBODY,
        "both went to an instance of p"
    );
    assert_eq!(side.open(4, "q", true), [4], "and to none of q");
    let correlating = side
        .world
        .partition(1)
        .events(MessageSubscriptionIntent::Correlating);
    let messages: Vec<i64> = correlating
        .iter()
        .map(|record| match &record.value {
            RecordValue::MessageSubscription(value) => value.message_key,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(messages, [first.0, second.0, first.0]);
}

#[test]
fn a_message_past_its_deadline_is_not_correlated_although_it_is_still_there() {
    let mut side = Side::new();
    side.publish_m(100);
    side.world.time += 100;
    assert_eq!(side.buffered(), 1);
    assert_eq!(side.open(1, "p", true), NOBODY);
}

#[test]
fn a_busy_subscription_gets_nothing_until_it_has_answered() {
    let mut side = Side::new();
    side.open(1, "p", false);
    let (first, correlated) = side.publish_m(1000);
    assert_eq!(correlated, [1]);
    assert_eq!(side.publish_m(1000).1, NOBODY, "it is busy");
    assert_eq!(
        side.answer(CORRELATE, 1, "p", first),
        [1],
        "the next one was buffered"
    );
    assert_eq!(side.publish_m(0).1, NOBODY);
}

#[test]
fn an_interrupting_subscription_ends_with_its_message() {
    let mut side = Side::new();
    side.open(1, "p", true);
    let (message, _) = side.publish_m(0);
    assert_eq!(side.answer(CORRELATE, 1, "p", message), NOBODY);
    for table in prefix::MESSAGE_SUBSCRIPTIONS..=prefix::MESSAGE_SUBSCRIPTIONS_BY_PROCESS_KEY {
        assert_eq!(side.world.content(1).count(table), 0, "table {table}");
    }
}

#[test]
fn a_refused_message_goes_to_the_next_instance_of_the_process() {
    let mut side = Side::new();
    side.open(1, "p", true);
    side.open(2, "p", true);
    let (message, correlated) = side.publish_m(1000);
    assert_eq!(correlated, [1]);
    assert_eq!(side.answer(REJECT, 1, "p", message), [2]);
    assert_eq!(
        side.answer(REJECT, 2, "p", message),
        NOBODY,
        "nobody is left"
    );
    assert_eq!(side.open(3, "p", true), [3], "it was buffered again");
    assert_eq!(side.answer(CORRELATE, 3, "p", message), NOBODY);
    assert_eq!(side.open(4, "p", true), NOBODY, "and is taken now");
}

#[test]
fn a_refused_message_that_is_gone_goes_nowhere() {
    let mut side = Side::new();
    side.open(1, "p", true);
    side.open(2, "p", true);
    let (never_buffered, _) = side.publish_m(0);
    assert_eq!(side.answer(REJECT, 1, "p", never_buffered), NOBODY);
    let (expired, correlated) = side.publish_m(100);
    assert_eq!(correlated, [2]);
    side.world.time += 100;
    side.open(3, "p", true);
    assert_eq!(side.answer(REJECT, 2, "p", expired), NOBODY);
}

#[test]
fn a_closed_subscription_is_gone_and_closing_is_always_answered() {
    let mut side = Side::new();
    side.open(1, "p", true);
    for events in [
        ">MESSAGE_SUBSCRIPTION DELETE|MESSAGE_SUBSCRIPTION DELETED",
        ">MESSAGE_SUBSCRIPTION DELETE|-MESSAGE_SUBSCRIPTION DELETE",
    ] {
        let outcome = side.receive(
            MessageSubscriptionIntent::Delete,
            subscription(1, "p", true),
        );
        assert_eq!(trail(&outcome).join("|"), events);
        assert_eq!(sent(&outcome, ProcessSide::Delete), [1]);
    }
    assert_eq!(side.publish_m(0).1, NOBODY);
}

#[test]
fn a_subscription_closed_while_a_message_is_on_its_way_passes_it_on() {
    let mut side = Side::new();
    side.open(1, "p", true);
    side.open(2, "p", true);
    let (message, correlated) = side.publish_m(1000);
    assert_eq!(correlated, [1]);
    side.receive(
        MessageSubscriptionIntent::Delete,
        subscription(1, "p", true),
    );
    assert_eq!(side.answer(REJECT, 1, "p", message), [2]);
}

#[test]
fn a_subscription_is_opened_once() {
    let mut side = Side::new();
    side.open(1, "p", true);
    let outcome = side.receive(
        MessageSubscriptionIntent::Create,
        subscription(1, "p", true),
    );
    assert_eq!(
        trail(&outcome),
        [
            ">MESSAGE_SUBSCRIPTION CREATE",
            "-MESSAGE_SUBSCRIPTION CREATE"
        ]
    );
    assert_eq!(
        sent(&outcome, ProcessSide::Create),
        [1],
        "and said to be open again"
    );
}

#[test]
fn a_message_that_would_grow_too_large_by_its_receivers_is_refused() {
    let mut side = Side::new();
    let bytes = 1 << 20;
    let fit = limits::CORRELATION_BYTES_MAX / bytes;
    let large = values::Message {
        variables: format!("{{\"x\":\"{}\"}}", "x".repeat(bytes - 8)),
        ..message("m", "", 0)
    };
    let publish = Command::new(Key::NONE, MessageIntent::Publish, large);
    for number in 0..=fit as u64 {
        side.open(number + 1, &format!("p{number}"), false);
    }
    let rejection = side.world.client(1, publish.clone()).unwrap_err();
    assert_eq!(
        rejection.rejection_type,
        RejectionType::ExceededBatchRecordSize
    );
    side.receive(
        MessageSubscriptionIntent::Delete,
        subscription(1, "p0", false),
    );
    side.world.client(1, publish).unwrap();
    assert_eq!(
        side.world
            .partition(1)
            .events(MessageSubscriptionIntent::Correlating)
            .len(),
        fit
    );
}

#[test]
fn variables_are_a_json_object() {
    let mut side = Side::new();
    for variables in ["[]", "1", "{", "{\"a\":}"] {
        let publish = values::Message {
            variables: variables.to_owned(),
            ..message("m", "", 0)
        };
        let publish = Command::new(Key::NONE, MessageIntent::Publish, publish);
        let rejection = side.world.client(1, publish).unwrap_err();
        assert_eq!(
            rejection.rejection_type,
            RejectionType::InvalidArgument,
            "{variables}"
        );
    }
}

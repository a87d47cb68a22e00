//! The process instance's side of subscriptions, as far as no element takes a message.

use skep_protocol::{
    Command, Key, MessageSubscriptionIntent, PartitionId, Position,
    ProcessMessageSubscriptionIntent as ProcessSide, RecordType, RecordValue, routing, values,
};

use super::content::Content;
use super::evaluate::Evaluator;
use super::world::{World, trail};
use crate::behaviours::messages;
use crate::tables::{prefix, process_message_subscriptions as subscriptions};
use crate::{Outcome, engine::Input};

const ELEMENT: Key = Key((1 << 51) + 7000);

/// A correlation key that belongs to that partition of 2.
fn correlation_key(partition: u32) -> String {
    let mut keys = (0..).map(|number| format!("key-{number}"));
    keys.find(|key| routing::message_partition(key, 2) == PartitionId(partition))
        .unwrap()
}

fn in_partition_1(
    content: &mut Content,
    act: impl FnOnce(&mut crate::processing::Processing),
) -> Outcome {
    let mut evaluator = Evaluator::new(1, 2);
    let mut p = evaluator.begin(content, 0, Position(1));
    act(&mut p);
    p.finish()
}

fn open(content: &mut Content, catch_element: &str, correlation_key: &str) -> Outcome {
    let instance = values::ProcessInstance {
        process_instance_key: (1 << 51) + 6000,
        bpmn_process_id: "p".to_owned(),
        ..Default::default()
    };
    in_partition_1(content, |p| {
        messages::open(
            p,
            ELEMENT,
            &instance,
            catch_element,
            "m",
            correlation_key,
            true,
        )
        .unwrap();
    })
}

fn close(content: &mut Content, catch_element: &str) -> Outcome {
    in_partition_1(content, |p| {
        messages::close_where(p, ELEMENT, &|id| id == catch_element).unwrap()
    })
}

fn states(content: &Content) -> Vec<(String, u32)> {
    let found = subscriptions::of(content, ELEMENT).unwrap();
    found
        .into_iter()
        .map(|(_, subscription)| (subscription.element_id, subscription.state))
        .collect()
}

/// What partition 2 says of the subscription with that key.
fn answer(world: &mut World, number: u64, key: Key, intent: ProcessSide) -> Outcome {
    let value = values::ProcessMessageSubscription {
        element_instance_key: ELEMENT.0,
        message_key: 5,
        subscription_partition: 2,
        ..Default::default()
    };
    world.from(2, 1, number, Command::new(key, intent, value))
}

fn asked(outcome: &Outcome) -> Vec<(u32, MessageSubscriptionIntent, i64)> {
    let of = |send: &crate::Send| {
        let RecordValue::MessageSubscription(value) = &send.command.value else {
            panic!("{send:?}")
        };
        let intents = [
            MessageSubscriptionIntent::Create,
            MessageSubscriptionIntent::Correlate,
            MessageSubscriptionIntent::Reject,
            MessageSubscriptionIntent::Delete,
        ];
        let intent = intents
            .into_iter()
            .find(|intent| send.command.intent == (*intent).into())
            .unwrap();
        (send.target.0, intent, value.process_subscription_key)
    };
    outcome.sends.iter().map(of).collect()
}

#[test]
fn a_subscription_opens_and_closes_with_the_messages_side() {
    let mut world = World::new(2, 0);
    let content = &mut world.partitions[0].content;
    let outcome = open(content, "catch", &correlation_key(2));
    assert_eq!(trail(&outcome), ["PROCESS_MESSAGE_SUBSCRIPTION CREATING"]);
    let key = outcome.records[0].key;
    assert_eq!(
        asked(&outcome),
        [(2, MessageSubscriptionIntent::Create, key.0)]
    );
    assert_eq!(
        states(content),
        [("catch".to_owned(), subscriptions::OPENING)]
    );

    let outcome = answer(&mut world, 1, key, ProcessSide::Create);
    assert_eq!(
        trail(&outcome)[1..],
        ["PROCESS_MESSAGE_SUBSCRIPTION CREATED"]
    );
    assert_eq!(
        states(world.content(1)),
        [("catch".to_owned(), subscriptions::OPEN)]
    );
    let outcome = answer(&mut world, 2, key, ProcessSide::Create);
    assert_eq!(
        trail(&outcome)[1..],
        ["-PROCESS_MESSAGE_SUBSCRIPTION CREATE"],
        "it is open"
    );

    let content = &mut world.partitions[0].content;
    let outcome = close(content, "catch");
    assert_eq!(trail(&outcome), ["PROCESS_MESSAGE_SUBSCRIPTION DELETING"]);
    assert_eq!(
        asked(&outcome),
        [(2, MessageSubscriptionIntent::Delete, key.0)]
    );
    assert_eq!(
        states(content),
        [("catch".to_owned(), subscriptions::CLOSING)]
    );
    assert!(
        close(content, "catch").records.is_empty(),
        "it is closing already"
    );

    for (number, expected) in [
        (3, "PROCESS_MESSAGE_SUBSCRIPTION DELETED"),
        (4, "-PROCESS_MESSAGE_SUBSCRIPTION DELETE"),
    ] {
        let outcome = answer(&mut world, number, key, ProcessSide::Delete);
        assert_eq!(trail(&outcome)[1..], [expected]);
    }
    assert_eq!(states(world.content(1)), []);
}

#[test]
fn subscriptions_are_closed_for_the_elements_that_are_named() {
    let mut content = Content::default();
    for element in ["boundary", "event-sub-process"] {
        open(&mut content, element, &correlation_key(2));
    }
    close(&mut content, "event-sub-process");
    let expected = [
        ("boundary".to_owned(), subscriptions::OPENING),
        ("event-sub-process".to_owned(), subscriptions::CLOSING),
    ];
    assert_eq!(states(&content), expected);
    let outcome = in_partition_1(&mut content, |p| {
        messages::close_where(p, ELEMENT, &|_| true).unwrap()
    });
    assert_eq!(asked(&outcome).len(), 1);
}

#[test]
fn a_message_for_a_subscription_that_is_closing_is_refused() {
    let mut world = World::new(2, 0);
    let content = &mut world.partitions[0].content;
    let key = open(content, "catch", &correlation_key(2)).records[0].key;
    close(content, "catch");
    let outcome = answer(&mut world, 1, key, ProcessSide::Correlate);
    assert_eq!(
        trail(&outcome)[1..],
        ["-PROCESS_MESSAGE_SUBSCRIPTION CORRELATE"]
    );
    assert_eq!(
        asked(&outcome),
        [(2, MessageSubscriptionIntent::Reject, key.0)]
    );
}

#[test]
fn the_messages_side_closes_what_is_gone_here() {
    let key = Key((1 << 51) + 8000);
    let cases: [(ProcessSide, &[MessageSubscriptionIntent]); 3] = [
        (ProcessSide::Create, &[MessageSubscriptionIntent::Delete]),
        (
            ProcessSide::Correlate,
            &[
                MessageSubscriptionIntent::Reject,
                MessageSubscriptionIntent::Delete,
            ],
        ),
        (ProcessSide::Delete, &[]),
    ];
    for (intent, expected) in cases {
        let mut world = World::new(2, 0);
        let outcome = answer(&mut world, 1, key, intent);
        assert_eq!(
            outcome.records.last().unwrap().record_type,
            RecordType::CommandRejection
        );
        let asked: Vec<_> = asked(&outcome)
            .into_iter()
            .map(|(_, intent, _)| intent)
            .collect();
        assert_eq!(asked, expected, "{intent:?}");
    }
}

#[test]
fn a_subscription_of_the_own_partition_needs_no_channel() {
    let mut content = Content::default();
    let outcome = open(&mut content, "catch", &correlation_key(1));
    assert_eq!(
        trail(&outcome),
        [
            "PROCESS_MESSAGE_SUBSCRIPTION CREATING",
            ">MESSAGE_SUBSCRIPTION CREATE"
        ]
    );
    assert!(outcome.sends.is_empty());
}

#[test]
fn nothing_is_left_of_subscriptions_that_were_opened_and_closed_whatever_the_network_does() {
    for seed in 0..30 {
        let mut world = World::faulty(2, seed);
        for count in 0..4 {
            let content = &mut world.partitions[0].content;
            // Not sent by the world: they are found in the outbox.
            open(content, "catch", &correlation_key(2));
            if count == 1 {
                world.settle();
            }
            close(&mut world.partitions[0].content, "catch");
        }
        world.settle();
        let left = [
            (1, prefix::PROCESS_MESSAGE_SUBSCRIPTIONS),
            (1, prefix::OUTBOX),
            (2, prefix::MESSAGE_SUBSCRIPTIONS),
            (2, prefix::WAITING_MESSAGE_SUBSCRIPTIONS),
            (2, prefix::MESSAGE_SUBSCRIPTIONS_BY_PROCESS_KEY),
            (2, prefix::OUTBOX),
        ];
        for (partition, table) in left {
            assert_eq!(
                world.content(partition).count(table),
                0,
                "seed {seed} partition {partition} table {table}"
            );
        }
        let other = world.partition(2);
        assert_eq!(
            other.events(MessageSubscriptionIntent::Created).len(),
            4,
            "seed {seed}"
        );
        assert_eq!(
            other.events(MessageSubscriptionIntent::Deleted).len(),
            4,
            "seed {seed}"
        );
        let publish = values::Message {
            name: "m".to_owned(),
            correlation_key: correlation_key(2),
            ..Default::default()
        };
        let publish = Command::new(Key::NONE, skep_protocol::MessageIntent::Publish, publish);
        let outcome = world.evaluate(2, Input::Internal(publish));
        assert!(outcome.sends.is_empty(), "seed {seed}");
    }
}

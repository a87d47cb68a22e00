//! Messages (19.3, 19.6 to 19.12).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{
    Key, MessageStartEventSubscriptionIntent, ProcessMessageSubscriptionIntent, RecordValue,
};

use crate::harness::Harness;
use crate::helpers::values_of;

fn catching(name: &str, key: &str) -> String {
    ProcessBuilder::new("p")
        .start()
        .message_catch("wait", name, key)
        .end()
        .xml()
}

fn starting(tasks: &str) -> String {
    ProcessBuilder::new("p")
        .message_start("start", "m")
        .service_task("task", tasks)
        .end()
        .xml()
}

/// Names in the message start event subscriptions to which something has happened.
fn starts(harness: &Harness, intent: MessageStartEventSubscriptionIntent) -> Vec<String> {
    let events = harness.events(intent).into_iter();
    let starts = events.filter_map(|record| match &record.value {
        RecordValue::MessageStartEventSubscription(start) => Some(start.message_name.clone()),
        _ => None,
    });
    starts.collect()
}

#[test]
fn the_name_of_a_message_comes_from_an_expression() {
    let mut harness = Harness::with(&catching("=\"order-\" + kind", "=key"));
    harness.create("p", r#"{"kind":"new","key":"k"}"#);
    harness.publish("order-old", "k", "{}");
    assert!(!harness.happened("wait COMPLETED"));
    harness.publish("order-new", "k", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn names_and_keys_of_the_wrong_type_are_incidents_and_open_nothing() {
    for variables in [
        r#"{"key":"k"}"#,
        r#"{"kind":5,"key":"k"}"#,
        r#"{"kind":"n"}"#,
        r#"{"kind":"n","key":true}"#,
        r#"{"kind":"n","key":[1]}"#,
    ] {
        let mut harness = Harness::with(&catching("=kind", "=key"));
        let instance = harness.create("p", variables);
        let (incident, value) = harness.incidents()[0].clone();
        assert_eq!(
            value.error_type(),
            IncidentErrorType::ExtractValueError,
            "{variables}"
        );
        let opened = harness.events(ProcessMessageSubscriptionIntent::Creating);
        assert!(opened.is_empty());
        harness
            .set_variables(instance, r#"{"kind":"n","key":"k"}"#, false)
            .unwrap();
        harness.resolve(incident).unwrap();
        harness.publish("n", "k", "{}");
        assert!(harness.happened("p COMPLETED"));
        harness.advance(1_001);
        harness.assert_clean();
    }
}

#[test]
fn a_number_is_a_key_by_its_digits() {
    for (number, key) in [("123", "123"), ("-4", "-4"), ("1.5", "1.5")] {
        let mut harness = Harness::with(&catching("m", "=key"));
        harness.create("p", &format!(r#"{{"key":{number}}}"#));
        harness.publish("m", key, "{}");
        assert!(harness.happened("p COMPLETED"), "{number}");
    }
}

#[test]
fn a_message_goes_to_one_instance_of_a_process_whatever_the_versions() {
    let mut harness = Harness::with(&catching("m", "=key"));
    harness.create("p", r#"{"key":"k"}"#);
    let second = ProcessBuilder::new("p")
        .start()
        .message_catch("wait", "m", "=key")
        .end_at("changed")
        .xml();
    harness.deploy(&second);
    harness.create("p", r#"{"key":"k"}"#);
    harness.publish("m", "k", "{}");
    assert_eq!(harness.count("p COMPLETED"), 1);
    assert!(
        !harness.happened("changed COMPLETED"),
        "the first has waited longer"
    );
    harness.publish("m", "k", "{}");
    assert!(harness.happened("changed COMPLETED"));
}

#[test]
fn one_message_is_for_one_event_of_an_instance() {
    let xml = ProcessBuilder::new("p")
        .start()
        .message_catch("one", "m", "=key")
        .message_catch("two", "m", "=key")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"key":"k"}"#);
    harness.publish("m", "k", "{}");
    assert!(harness.happened("one COMPLETED"));
    assert!(!harness.happened("two COMPLETED"));
    harness.publish("m", "k", "{}");
    assert!(harness.happened("two COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn the_oldest_message_comes_first() {
    let mut harness = Harness::with(&catching("m", "=key"));
    harness.publish("m", "k", r#"{"n":1}"#);
    harness.publish("m", "k", r#"{"n":2}"#);
    let brought = |harness: &Harness| {
        let correlated: Vec<values::ProcessMessageSubscription> =
            values_of(harness, ProcessMessageSubscriptionIntent::Correlated);
        correlated.last().unwrap().variables.clone()
    };
    harness.create("p", r#"{"key":"k"}"#);
    assert_eq!(brought(&harness), r#"{"n":1}"#);
    harness.create("p", r#"{"key":"k"}"#);
    assert_eq!(brought(&harness), r#"{"n":2}"#);
}

#[test]
fn a_subscription_keeps_its_key_from_its_opening_to_its_end() {
    let mut harness = Harness::with(&catching("m", "=key"));
    harness.create("p", r#"{"key":"k"}"#);
    harness.publish("m", "k", "{}");
    let keys: Vec<Key> = [
        ProcessMessageSubscriptionIntent::Creating,
        ProcessMessageSubscriptionIntent::Created,
        ProcessMessageSubscriptionIntent::Correlated,
    ]
    .into_iter()
    .map(|intent| harness.events(intent)[0].key)
    .collect();
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_message_starts_an_instance_at_its_own_event_only() {
    let xml = ProcessBuilder::new("p")
        .message_start("one", "a")
        .end_at("end-one")
        .message_start("two", "b")
        .end_at("end-two")
        .start_at("none")
        .end_at("end-none")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.publish("b", "", "{}");
    assert!(harness.happened("end-two COMPLETED"));
    assert!(!harness.happened("one ACTIVATING"));
    assert!(!harness.happened("none ACTIVATING"));
    harness.publish("a", "", "{}");
    assert!(harness.happened("end-one COMPLETED"));
    harness.create("p", "{}");
    assert!(harness.happened("end-none COMPLETED"));
    assert_eq!(harness.count("p COMPLETED"), 3);
    assert_eq!(
        starts(&harness, MessageStartEventSubscriptionIntent::Correlated),
        ["b", "a"]
    );
}

#[test]
fn the_start_event_maps_what_the_message_brings() {
    let xml = ProcessBuilder::new("p")
        .message_start("start", "m")
        .output("=x + 1", "y")
        .service_task("task", "work")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.publish("m", "k", r#"{"x":1}"#);
    assert_eq!(harness.variables(harness.key_of("p")), ["y=2"]);
}

#[test]
fn only_the_latest_version_is_started() {
    let mut harness = Harness::with(&starting("first"));
    harness.deploy(&starting("second"));
    let deleted = starts(&harness, MessageStartEventSubscriptionIntent::Deleted);
    assert_eq!(deleted, ["m"]);
    harness.publish("m", "", "{}");
    assert!(harness.activate("first", 1).is_empty());
    harness.work("second", "{}");
    assert_eq!(harness.count("p COMPLETED"), 1);
    let without = ProcessBuilder::new("p").start().end().xml();
    harness.deploy(&without);
    harness.publish("m", "", "{}");
    assert_eq!(harness.count("p ACTIVATED"), 1, "nothing waits for it");
}

#[test]
fn what_is_deployed_again_unchanged_keeps_its_subscriptions() {
    let mut harness = Harness::with(&starting("work"));
    harness.deploy(&starting("work"));
    let created = starts(&harness, MessageStartEventSubscriptionIntent::Created);
    assert_eq!(created.len(), 1);
    assert!(starts(&harness, MessageStartEventSubscriptionIntent::Deleted).is_empty());
}

#[test]
fn a_message_that_waited_for_its_key_starts_the_version_that_is_the_latest_then() {
    let mut harness = Harness::with(&starting("first"));
    harness.publish("m", "k", r#"{"n":1}"#);
    harness.publish("m", "k", r#"{"n":2}"#);
    harness.deploy(&starting("second"));
    harness.work("first", "{}");
    let jobs = harness.activate("second", 10);
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].1.variables.contains(r#""n":2"#));
    assert!(harness.activate("first", 1).is_empty());
}

#[test]
fn the_name_of_a_start_event_may_be_an_expression_without_variables() {
    let xml = ProcessBuilder::new("p")
        .message_start("start", "=\"a\" + \"b\"")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.publish("ab", "", "{}");
    assert!(harness.happened("p COMPLETED"));
    let with_variable = ProcessBuilder::new("q")
        .message_start("start", "=a")
        .end()
        .xml();
    assert!(harness.try_deploy(&with_variable).is_err());
}

#[test]
fn a_message_starts_one_process_and_reaches_an_instance_of_another() {
    let mut harness = Harness::with(&starting("work"));
    let other = ProcessBuilder::new("q")
        .start()
        .message_catch("wait", "m", "=key")
        .end()
        .xml();
    harness.deploy(&other);
    harness.create("q", r#"{"key":"k"}"#);
    harness.publish("m", "k", "{}");
    assert!(harness.happened("q COMPLETED"));
    assert!(harness.happened("p ACTIVATED"));
}

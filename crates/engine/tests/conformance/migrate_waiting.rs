//! Migration of what waits for events: catch events, gateways, event sub-processes, and what can be compensated (23.1).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{
    CompensationSubscriptionIntent, Intent, Key, MessageSubscriptionIntent,
    ProcessMessageSubscriptionIntent, RejectionType, SignalSubscriptionIntent, TimerIntent,
};

use crate::harness::Harness;
use crate::helpers::broadcast;
use crate::migrate::{assert_refused, latest, migrate, prepared};

/// Ids of elements and of what they become.
type Mapping<'a> = &'a [(&'a str, &'a str)];

const SIGNAL: &str = r#"<bpmn:signal id="signal" name="alarm"/>"#;
const BY_SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="signal"/>"#;

fn timer(kind: &str, time: &str) -> String {
    format!(
        "<bpmn:timerEventDefinition><bpmn:{kind}>{time}</bpmn:{kind}></bpmn:timerEventDefinition>"
    )
}

fn count(harness: &Harness, intent: impl Into<Intent>) -> usize {
    harness.events(intent).len()
}

#[test]
fn a_message_catch_event_keeps_its_message_and_waits_for_the_new_process() {
    let process = |id: &str, element: &str, message: &str| {
        let builder = ProcessBuilder::new(id).start();
        [
            builder.message_catch(element, message, "=key").end().xml(),
            ProcessBuilder::new(id)
                .start()
                .receive_task(element, message, "=key")
                .end()
                .xml(),
        ]
    };
    let (from, to) = (process("p", "a", "m"), process("q", "b", "other"));
    for (from, to) in from.iter().zip(&to) {
        let (mut harness, instance, target) = prepared(from, to, r#"{"key":"k"}"#);
        migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
        for intent in [
            Intent::from(ProcessMessageSubscriptionIntent::Migrated),
            MessageSubscriptionIntent::Migrated.into(),
        ] {
            assert_eq!(count(&harness, intent), 1, "{}", intent.name());
        }
        assert_eq!(
            count(&harness, ProcessMessageSubscriptionIntent::Deleting),
            0
        );
        harness.publish("other", "k", "{}");
        assert!(!harness.happened("b COMPLETED"));
        harness.publish("m", "k", "{}");
        assert!(harness.happened("q COMPLETED"));
    }
}

#[test]
fn a_message_that_one_process_has_taken_comes_to_the_instance_that_is_of_another_now() {
    let process = |id: &str| {
        ProcessBuilder::new(id)
            .start()
            .message_catch("a", "m", "=key")
            .end()
            .xml()
    };
    let (mut harness, first, target) = prepared(&process("p"), &process("q"), r#"{"key":"k"}"#);
    harness.create("p", r#"{"key":"k"}"#);
    migrate(&mut harness, first, target, &[("a", "a")]).unwrap();
    harness.publish("m", "k", "{}");
    assert!(harness.happened("p COMPLETED") && harness.happened("q COMPLETED"));
}

#[test]
fn timer_and_signal_catch_events_keep_what_they_wait_for() {
    let timed = |id: &str, element: &str, time: &str| {
        ProcessBuilder::new(id)
            .start()
            .timer_catch(element, time)
            .end()
            .xml()
    };
    let (from, to) = (timed("p", "a", "PT10S"), timed("q", "b", "PT1H"));
    let (mut harness, instance, target) = prepared(&from, &to, "{}");
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    assert_eq!(count(&harness, TimerIntent::Migrated), 1);
    harness.advance(10_000);
    assert!(harness.happened("q COMPLETED"));

    let signalled = |id: &str, element: &str| {
        ProcessBuilder::new(id)
            .start()
            .element("intermediateCatchEvent", element, BY_SIGNAL)
            .end()
            .definitions(SIGNAL)
            .xml()
    };
    let (from, to) = (signalled("p", "a"), signalled("q", "b"));
    let (mut harness, instance, target) = prepared(&from, &to, "{}");
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    let (created, migrated) = (
        harness.events(SignalSubscriptionIntent::Created)[0].key,
        harness.events(SignalSubscriptionIntent::Migrated)[0].key,
    );
    assert_eq!(created, migrated);
    broadcast(&mut harness, "alarm", "{}").unwrap();
    assert!(harness.happened("q COMPLETED"));
    harness.assert_clean();
}

/// A gateway before a timer and a message.
fn gateway(id: &str, prefix: &str, message: &str) -> String {
    ProcessBuilder::new(id)
        .start()
        .element("eventBasedGateway", &format!("{prefix}-gateway"), "")
        .timer_catch(&format!("{prefix}-timer"), "PT1S")
        .service_task("late", "late")
        .end()
        .move_to(&format!("{prefix}-gateway"))
        .message_catch(&format!("{prefix}-message"), message, "=key")
        .service_task("told", "told")
        .end()
        .xml()
}

#[test]
fn an_event_based_gateway_keeps_its_mapped_events_and_opens_the_others_anew() {
    let (from, to) = (gateway("p", "a", "m"), gateway("q", "b", "n"));
    let mapping = [("a-gateway", "b-gateway"), ("a-timer", "b-timer")];
    let started = |harness: &mut Harness, instance, target| {
        migrate(harness, instance, target, &mapping).unwrap();
        assert_eq!(count(harness, TimerIntent::Migrated), 1);
        assert_eq!(count(harness, ProcessMessageSubscriptionIntent::Deleted), 1);
        assert_eq!(count(harness, ProcessMessageSubscriptionIntent::Created), 2);
    };
    let (mut harness, instance, target) = prepared(&from, &to, r#"{"key":"k"}"#);
    started(&mut harness, instance, target);
    harness.publish("m", "k", "{}");
    harness.advance(1_000);
    harness.work("late", "{}");
    assert!(harness.happened("q COMPLETED"));

    let (mut harness, instance, target) = prepared(&from, &to, r#"{"key":"k"}"#);
    started(&mut harness, instance, target);
    harness.publish("n", "k", "{}");
    harness.work("told", "{}");
    assert!(harness.happened("b-message COMPLETED") && harness.happened("q COMPLETED"));
    harness.advance(2_000);
    assert!(!harness.happened("b-timer ACTIVATED"));
}

#[test]
fn an_exclusive_gateway_with_an_incident_goes_on_in_the_target() {
    let process = |id: &str, element: &str, condition: &str| {
        ProcessBuilder::new(id)
            .start()
            .exclusive_gateway(element)
            .condition(condition)
            .end()
            .xml()
    };
    let (from, to) = (process("p", "a", "=x"), process("q", "b", "=true"));
    let (mut harness, instance, target) = prepared(&from, &to, "{}");
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    assert!(harness.happened("q COMPLETED"));
    harness.assert_clean();
}

/// A task, and an event sub-process that waits for a time.
fn handled(id: &str, prefix: &str, time: &str, interrupting: bool) -> String {
    let name = |name: &str| format!("{prefix}-{name}");
    ProcessBuilder::new(id)
        .start()
        .service_task(&name("task"), "work")
        .end()
        .event_sub_process(
            &name("handler"),
            &name("begin"),
            &timer("timeDuration", time),
            interrupting,
        )
        .service_task(&name("handle"), "handle")
        .end()
        .leave()
        .xml()
}

#[test]
fn the_start_of_an_event_sub_process_is_kept_if_mapped_and_else_opened_anew() {
    let (from, to) = (
        handled("p", "a", "PT10S", false),
        handled("q", "b", "PT1H", true),
    );
    let both = [("a-task", "b-task"), ("a-begin", "b-begin")];
    for (mapping, due) in [(&both[..], 10_000), (&both[..1], 3_600_000)] {
        let (mut harness, instance, target) = prepared(&from, &to, "{}");
        migrate(&mut harness, instance, target, mapping).unwrap();
        harness.advance(due - 1);
        assert!(!harness.happened("b-handler ACTIVATED"));
        harness.advance(1);
        assert!(harness.happened("b-handler ACTIVATED"));
        assert!(
            harness.happened("b-task TERMINATED"),
            "the target interrupts"
        );
        harness.work("handle", "{}");
        assert!(harness.happened("q COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn an_active_event_sub_process_goes_on_and_what_it_has_interrupted_stays_so() {
    let (from, to) = (
        handled("p", "a", "PT10S", true),
        handled("q", "b", "PT1S", true),
    );
    for mapping in [
        &[
            ("a-handler", "b-handler"),
            ("a-handle", "b-handle"),
            ("a-begin", "b-begin"),
        ][..],
        &[("a-handler", "b-handler"), ("a-handle", "b-handle")][..],
    ] {
        let mut harness = Harness::with(&from);
        let instance = harness.create("p", "{}");
        harness.advance(10_000);
        harness.deploy(&to);
        let target = latest(&harness);
        migrate(&mut harness, instance, target, mapping).unwrap();
        harness.advance(10_000);
        assert_eq!(
            harness.count("b-handler ACTIVATED"),
            0,
            "it has begun before"
        );
        assert_eq!(count(&harness, TimerIntent::Created), 1);
        harness.work("handle", "{}");
        assert!(harness.happened("q COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn an_element_whose_output_cannot_be_mapped_keeps_its_boundary_events() {
    let process = |id: &str, element: &str, time: &str, output: &str| {
        ProcessBuilder::new(id)
            .start()
            .service_task(element, "work")
            .output(output, "out")
            .timer_boundary(&format!("{element}-late"), element, "timeDuration", time)
            .end_at(&format!("{element}-end"))
            .move_to(element)
            .end()
            .xml()
    };
    let failing = r#"=assert(x, x > 1, "too small")"#;
    let (from, to) = (
        process("p", "a", "PT10S", failing),
        process("q", "b", "PT1H", "=1"),
    );
    let (mut harness, instance, target) = prepared(&from, &to, r#"{"x":1}"#);
    harness.work("work", "{}");
    assert_eq!(harness.incidents().len(), 1);
    migrate(
        &mut harness,
        instance,
        target,
        &[("a", "b"), ("a-late", "b-late")],
    )
    .unwrap();
    assert_eq!(count(&harness, TimerIntent::Migrated), 1);
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    assert_eq!(count(&harness, TimerIntent::Canceled), 1);
    assert!(harness.happened("q COMPLETED"));
    harness.assert_clean();
}

/// A task with two boundary events, and another with one.
fn bounded(id: &str, prefix: &str, messages: [&str; 2], key: &str) -> String {
    let name = |name: &str| format!("{prefix}-{name}");
    ProcessBuilder::new(id)
        .start()
        .service_task(&name("task"), "work")
        .message_boundary(&name("one"), &name("task"), messages[0], key)
        .end_at(&name("one-end"))
        .timer_boundary(&name("two"), &name("task"), "timeDuration", "PT1H")
        .end_at(&name("two-end"))
        .message_boundary(&name("three"), &name("task"), messages[1], key)
        .end_at(&name("three-end"))
        .move_to(&name("task"))
        .service_task(&name("other"), "other")
        .timer_boundary(&name("far"), &name("other"), "timeDuration", "PT1H")
        .end_at(&name("far-end"))
        .move_to(&name("other"))
        .end()
        .xml()
}

#[test]
fn events_that_cannot_stay_with_their_element_are_refused() {
    let from = bounded("p", "a", ["m", "n"], "=1");
    let to = bounded("q", "b", ["m", "x"], "=1");
    let failing = bounded("q", "b", ["y", "z"], "=nothing");
    let cases: [(&str, Mapping, &str); 5] = [
        (
            &to,
            &[("a-task", "b-task"), ("a-two", "b-far")],
            "has a catch event with id 'a-two' that is mapped to a catch event with id 'b-far'. These mappings detach",
        ),
        (
            &to,
            &[
                ("a-task", "b-task"),
                ("a-one", "b-one"),
                ("a-three", "b-one"),
            ],
            "There are multiple mapping instructions that target this catch event: 'a-one', 'a-three'.",
        ),
        (
            &to,
            &[("a-task", "b-task"), ("a-one", "b-two")],
            "These catch events have different event types: 'MESSAGE' and 'TIMER'.",
        ),
        (
            &to,
            &[("a-task", "b-task"), ("a-three", "b-three")],
            "attempts to subscribe to a message it is already subscribed to with name 'm'.",
        ),
        (
            &failing,
            &[("a-task", "b-task")],
            "is mapped to element with id 'b-task' that must be subscribed to a catch event. Failed to extract the correlation key",
        ),
    ];
    for (to, mapping, expected) in cases {
        let kind = RejectionType::InvalidState;
        assert_refused(&from, to, mapping, kind, expected);
    }
}

#[test]
fn events_behind_a_gateway_that_have_begun_and_end_events_are_not_migrated() {
    let process = |id: &str| {
        ProcessBuilder::new(id)
            .start()
            .element("eventBasedGateway", "gateway", "")
            .timer_catch("timer", "PT1S")
            .output("=assert(x, x = 1)", "out")
            .end()
            .move_to("gateway")
            .timer_catch("never", "PT1H")
            .end()
            .xml()
    };
    let refused = |mut harness: Harness, instance: Key, to: &str, mapping: &[(&str, &str)]| {
        harness.deploy(to);
        let target = latest(&harness);
        let rejection = migrate(&mut harness, instance, target, mapping).unwrap_err();
        rejection.reason
    };
    let mut harness = Harness::with(&process("p"));
    let instance = harness.create("p", r#"{"x":2}"#);
    harness.advance(1_000);
    assert_eq!(harness.incidents().len(), 1);
    let reason = refused(harness, instance, &process("q"), &[("timer", "timer")]);
    assert!(
        reason.contains("attached to an event-based gateway"),
        "{reason}"
    );

    let failing = |id: &str| {
        ProcessBuilder::new(id)
            .start()
            .element(
                "endEvent",
                "end",
                r#"<bpmn:errorEventDefinition errorRef="e"/>"#,
            )
            .definitions(r#"<bpmn:error id="e" errorCode="E"/>"#)
            .xml()
    };
    let mut harness = Harness::with(&failing("p"));
    let instance = harness.create("p", "{}");
    let reason = refused(harness, instance, &failing("q"), &[("end", "end")]);
    let expected = "'end' has an unsupported type. The migration of a END_EVENT is not supported.";
    assert!(reason.contains(expected), "{reason}");
}

/// A process that is started by a message.
fn started(id: &str, element: &str) -> String {
    ProcessBuilder::new(id)
        .message_start(&format!("{id}-begin"), id)
        .service_task(element, element)
        .end()
        .xml()
}

#[test]
fn a_correlation_key_goes_along_and_is_free_where_it_was() {
    let mut harness = Harness::with(&started("p", "a"));
    harness.deploy(&started("q", "b"));
    let target = latest(&harness);
    harness.publish("p", "k", "{}");
    harness.publish("p", "k", "{}");
    assert_eq!(harness.count("a ACTIVATED"), 1);
    let first = harness.key_of("p");
    migrate(&mut harness, first, target, &[("a", "b")]).unwrap();
    assert_eq!(harness.count("a ACTIVATED"), 2, "the next begins");
    harness.publish("q", "k", "{}");
    assert_eq!(harness.count("b ACTIVATED"), 0, "the key is taken");
    let second = harness.key_of("p");
    let rejection = migrate(&mut harness, second, target, &[("a", "b")]).unwrap_err();
    let expected = format!(
        "Expected to migrate process instance '{second}' but target process definition '{target}' has an active instance triggered \
         by a message start event with correlation key 'k'. Only one instance per correlation key is allowed for message start \
         events."
    );
    assert_eq!(rejection.reason, expected);
    assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
    let job = harness.activate("a", 1)[0].0;
    harness.complete(job, "{}").unwrap();
    assert_eq!(harness.count("b ACTIVATED"), 1, "the key is free again");
}

/// An activity that can be undone, then a task and what undoes it.
fn compensated(id: &str, prefix: &str, undone: bool) -> String {
    let name = |name: &str| format!("{prefix}-{name}");
    let builder = ProcessBuilder::new(id)
        .start()
        .service_task(&name("done"), "done")
        .service_task(&name("task"), "task");
    if !undone {
        return builder.end().xml();
    }
    builder
        .element(
            "endEvent",
            &name("end"),
            "<bpmn:compensateEventDefinition/>",
        )
        .compensated_by(&name("done"), &name("undo"), &name("undo"))
        .xml()
}

#[test]
fn what_has_completed_is_undone_by_the_handler_of_the_target_if_it_is_mapped() {
    let waiting = |to: &str, mapping: &[(&str, &str)]| {
        let mut harness = Harness::with(&compensated("p", "a", true));
        let instance = harness.create("p", "{}");
        harness.work("done", "{}");
        harness.deploy(to);
        let target = latest(&harness);
        migrate(&mut harness, instance, target, mapping).unwrap();
        harness.work("task", "{}");
        harness
    };
    let to = compensated("q", "b", true);
    for of_activity in [("a-done", "b-done"), ("undo-a-done", "undo-b-done")] {
        let mut harness = waiting(&to, &[("a-task", "b-task"), of_activity]);
        harness.work("b-undo", "{}");
        assert!(harness.happened("q COMPLETED"));
        harness.assert_clean();
    }
    for to in [to, compensated("q", "b", false)] {
        let harness = waiting(&to, &[("a-task", "b-task")]);
        assert_eq!(count(&harness, CompensationSubscriptionIntent::Deleted), 1);
        assert!(harness.happened("q COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn an_activity_under_way_that_can_be_undone_before_or_after_is_refused() {
    for (undone_before, which) in [
        (true, "active element with id 'a-done'"),
        (false, "target element with id 'b-done'"),
    ] {
        let mut harness = Harness::with(&compensated("p", "a", undone_before));
        let instance = harness.create("p", "{}");
        harness.deploy(&compensated("q", "b", !undone_before));
        let target = latest(&harness);
        let rejection =
            migrate(&mut harness, instance, target, &[("a-done", "b-done")]).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
        let expected =
            format!("{which} has one or more boundary events of types 'COMPENSATION'. Migrating");
        assert!(rejection.reason.contains(&expected), "{}", rejection.reason);
        harness.work("done", "{}");
        harness.work("task", "{}");
    }
}

//! Timer start events (20.6 to 20.9).

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::Input;
use skep_protocol::{Key, RecordValue, TimerIntent, values};

use crate::harness::{Harness, START};
use crate::helpers::values_of;

fn process(kind: &str, time: &str) -> String {
    ProcessBuilder::new("p")
        .timer_start("start", kind, time)
        .service_task("task", "work")
        .end()
        .xml()
}

#[test]
fn a_timer_is_of_the_definition_and_of_no_instance() {
    let harness = Harness::with(&process("timeCycle", "R3/PT10S"));
    let created = values_of::<values::Timer>(&harness, TimerIntent::Created);
    let [timer] = &created[..] else {
        panic!("{created:?}")
    };
    assert_eq!(timer.element_instance_key, -1);
    assert_eq!(timer.process_instance_key, -1);
    assert!(Key(timer.process_definition_key).is_some());
    assert_eq!(timer.target_element_id, "start");
    assert_eq!(timer.due_date, START + 10_000);
    assert_eq!(timer.repetitions, 3);
}

#[test]
fn a_cycle_starts_as_many_instances_as_it_says_and_does_not_drift() {
    let mut harness = Harness::with(&process("timeCycle", "R3/PT10S"));
    for round in 1..=4 {
        harness.time = START + round * 10_000 + 700;
        harness.settle();
        assert_eq!(harness.count("p ACTIVATED") as i64, round.min(3));
    }
    let due: Vec<i64> = values_of::<values::Timer>(&harness, TimerIntent::Triggered)
        .iter()
        .map(|timer| timer.due_date - START)
        .collect();
    assert_eq!(due, [10_000, 20_000, 30_000]);
    assert_eq!(harness.due().next, None);
    for (job, _) in harness.activate("work", 10) {
        harness.complete(job, "{}").unwrap();
    }
    harness.assert_clean();
}

#[test]
fn an_instance_begins_at_the_event_whose_time_has_come() {
    let xml = ProcessBuilder::new("p")
        .timer_start("early", "timeDuration", "PT1S")
        .end_at("early-end")
        .timer_start("late", "timeDuration", "PT1M")
        .end_at("late-end")
        .start_at("none")
        .end_at("none-end")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.advance(1_000);
    assert!(harness.happened("early-end COMPLETED"));
    assert!(!harness.happened("late ACTIVATING"));
    assert!(!harness.happened("none ACTIVATING"));
    harness.create("p", "{}");
    assert!(harness.happened("none-end COMPLETED"));
    assert_eq!(harness.count("early ACTIVATING"), 1);
    harness.advance(59_000);
    assert!(harness.happened("late-end COMPLETED"));
    assert_eq!(harness.count("p COMPLETED"), 3);
    harness.assert_clean();
}

#[test]
fn a_date_that_is_past_comes_at_once_and_only_once() {
    let mut harness = Harness::with(&process("timeDate", "2020-01-01T00:00:00Z"));
    harness.settle();
    assert_eq!(harness.count("p ACTIVATED"), 1);
    harness.advance(1_000_000);
    assert_eq!(harness.count("p ACTIVATED"), 1);
}

#[test]
fn a_date_that_is_to_come_is_waited_for() {
    // Ten seconds after the harness begins.
    let mut harness = Harness::with(&process("timeDate", "2023-11-14T22:13:30Z"));
    assert_eq!(harness.due().next, Some(START + 10_000));
    harness.advance(10_000);
    assert_eq!(harness.count("p ACTIVATED"), 1);
}

#[test]
fn times_come_from_expressions_without_variables() {
    for (kind, time, millis) in [
        ("timeCycle", "=cycle(2, duration(\"PT5S\"))", 5_000),
        ("timeDate", "=now() + duration(\"PT7S\")", 7_000),
        ("timeDuration", "=\"PT9S\"", 9_000),
    ] {
        let mut harness = Harness::with(&process(kind, time));
        assert_eq!(harness.due().next, Some(START + millis), "{time}");
        harness.advance(millis);
        assert_eq!(harness.count("p ACTIVATED"), 1, "{time}");
    }
}

#[test]
fn cron_comes_at_its_times_and_not_at_all_if_it_never_does() {
    // The harness begins at 22:13:20.
    let mut harness = Harness::with(&process("timeCycle", "0 0/15 * * * *"));
    for (at, expected) in [(100_000, 1), (900_000, 2), (900_000, 3)] {
        assert_eq!(harness.due().next, Some(harness.time + at));
        harness.advance(at);
        assert_eq!(harness.count("p ACTIVATED"), expected);
    }
    let harness = Harness::with(&process("timeCycle", "0 0 0 30 2 *"));
    assert!(harness.events(TimerIntent::Created).is_empty());
    assert_eq!(harness.due().next, None);
}

#[test]
fn a_new_version_replaces_the_timers_of_the_one_before() {
    let mut harness = Harness::with(&process("timeCycle", "R/PT10S"));
    harness.deploy(&process("timeCycle", "R2/PT20S"));
    let canceled = values_of::<values::Timer>(&harness, TimerIntent::Canceled);
    assert_eq!(canceled.len(), 1);
    assert_eq!(canceled[0].due_date, START + 10_000);
    harness.advance(10_000);
    assert!(!harness.happened("p ACTIVATED"));
    harness.advance(10_000);
    assert_eq!(harness.count("p ACTIVATED"), 1);
    let versions: Vec<i32> = harness
        .records
        .iter()
        .filter_map(|record| match &record.value {
            RecordValue::ProcessInstance(value) => Some(value.version),
            _ => None,
        })
        .collect();
    assert!(versions.iter().all(|&version| version == 2));
    let without = ProcessBuilder::new("p").start().end().xml();
    harness.deploy(&without);
    assert_eq!(
        values_of::<values::Timer>(&harness, TimerIntent::Canceled).len(),
        2
    );
    assert_eq!(harness.due().next, None);
}

#[test]
fn a_duplicate_leaves_the_timers_as_they_are() {
    let xml = process("timeCycle", "R/PT10S");
    let mut harness = Harness::with(&xml);
    harness.advance(4_000);
    harness.deploy(&xml);
    assert_eq!(harness.events(TimerIntent::Created).len(), 1);
    assert!(harness.events(TimerIntent::Canceled).is_empty());
    assert_eq!(harness.due().next, Some(START + 10_000));
}

#[test]
fn a_timer_that_was_replaced_is_refused() {
    let mut harness = Harness::with(&process("timeDuration", "PT1S"));
    harness.time += 1_000;
    let command = harness.due().commands[0].clone();
    let replaced = ProcessBuilder::new("p").start().end().xml();
    harness.deploy(&replaced);
    let outcome = harness.process(Input::Internal(command));
    assert!(outcome.records[1].rejection.is_some());
    assert!(!harness.happened("p ACTIVATED"));
}

#[test]
fn times_that_are_none_are_refused_with_their_element() {
    for (kind, time) in [
        ("timeCycle", "every day"),
        ("timeCycle", "=5"),
        ("timeDate", "tomorrow"),
        ("timeDate", "=\"tomorrow\""),
        ("timeDuration", "=duration(\"PT1S\") + missing"),
        ("timeDuration", "soon"),
    ] {
        let refused = Harness::new().try_deploy(&process(kind, time));
        let reason = refused.unwrap_err().reason;
        assert!(reason.contains("start"), "{time}: {reason}");
    }
}

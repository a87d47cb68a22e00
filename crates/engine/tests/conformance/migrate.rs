//! Process instances that go on with another definition.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{MappingInstruction, ProcessInstanceMigration};
use skep_protocol::{
    Command, IncidentIntent, JobIntent, Key, ProcessInstanceMigrationIntent, ProcessIntent,
    RejectionType, ResponseResult, TimerIntent, UserTaskIntent, VariableIntent, values,
};

use crate::harness::Harness;
use crate::helpers::{delete, refusal, values_of};

fn task(process: &str, id: &str, job_type: &str) -> String {
    ProcessBuilder::new(process)
        .start()
        .service_task(id, job_type)
        .service_task("after", "after")
        .end()
        .xml()
}

/// Key of the definition deployed last.
pub fn latest(harness: &Harness) -> Key {
    harness.events(ProcessIntent::Created).last().unwrap().key
}

pub fn migrate(
    harness: &mut Harness,
    instance: Key,
    target: Key,
    mapping: &[(&str, &str)],
) -> ResponseResult {
    let mapping = mapping.iter().map(|(source, target)| MappingInstruction {
        source_element_id: (*source).to_owned(),
        target_element_id: (*target).to_owned(),
    });
    let value = ProcessInstanceMigration {
        process_instance_key: instance.0,
        target_process_definition_key: target.0,
        mapping_instructions: mapping.collect(),
    };
    let intent = ProcessInstanceMigrationIntent::Migrate;
    harness.ask(Command::new(instance, intent, value))
}

/// An instance of `from`, and the key of `to`.
pub fn prepared(from: &str, to: &str, variables: &str) -> (Harness, Key, Key) {
    let mut harness = Harness::with(from);
    let deployed: Vec<values::Process> = values_of(&harness, ProcessIntent::Created);
    let instance = harness.create(&deployed[0].bpmn_process_id, variables);
    harness.deploy(to);
    let target = latest(&harness);
    (harness, instance, target)
}

#[test]
fn jobs_and_variables_keep_their_keys_and_the_instance_goes_on_in_the_target() {
    let (mut harness, instance, target) = prepared(
        &task("p", "a", "work"),
        &task("q", "b", "other"),
        r#"{"x":1}"#,
    );
    let (a, job) = (
        harness.key_of("a"),
        harness.events(JobIntent::Created)[0].key,
    );
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    let migrated = harness.trace();
    assert!(migrated.contains(&"q MIGRATED".to_owned()));
    assert!(migrated.contains(&"b MIGRATED".to_owned()));
    assert_eq!(harness.events(JobIntent::Migrated)[0].key, job);
    let moved: Vec<values::Job> = values_of(&harness, JobIntent::Migrated);
    // What it says for workers is not evaluated again.
    assert_eq!(moved[0].job_type, "work");
    let element = (moved[0].element_id.as_str(), moved[0].element_instance_key);
    assert_eq!(element, ("b", a.0));
    assert_eq!(moved[0].bpmn_process_id, "q");
    assert_eq!(moved[0].process_definition_key, target.0);
    assert_eq!(harness.events(VariableIntent::Migrated).len(), 1);
    assert_eq!(
        harness
            .events(ProcessInstanceMigrationIntent::Migrated)
            .len(),
        1
    );
    harness.work("work", "{}");
    harness.work("after", "{}");
    assert!(harness.happened("q COMPLETED"));
    assert_eq!(harness.variables(instance), Vec::<String>::new());
    harness.assert_clean();
}

#[test]
fn instances_count_for_the_definition_that_they_went_to() {
    let (mut harness, instance, target) =
        prepared(&task("p", "a", "work"), &task("q", "b", "other"), "{}");
    let source = harness.events(ProcessIntent::Created)[0].key;
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    delete(&mut harness, source).unwrap();
    let (kind, _) = refusal(delete(&mut harness, target));
    assert_eq!(kind, RejectionType::InvalidState);
}

#[test]
fn incidents_and_native_user_tasks_move_along() {
    let process = |id: &str, element: &str, assignee: &str| {
        ProcessBuilder::new(id)
            .start()
            .element("userTask", element, "")
            .extension(&format!(
                r#"<zeebe:userTask/><zeebe:assignmentDefinition assignee="{assignee}"/>"#
            ))
            .end()
            .xml()
    };
    let (mut harness, instance, target) =
        prepared(&process("p", "a", "eve"), &process("q", "b", "bob"), "{}");
    let user_task = harness.events(UserTaskIntent::Created)[0].key;
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    let moved: Vec<values::UserTask> = values_of(&harness, UserTaskIntent::Migrated);
    let task = (moved[0].element_id.as_str(), moved[0].assignee.as_str());
    assert_eq!(task, ("b", "eve"));
    let complete = values::UserTask::default();
    harness
        .ask(Command::new(user_task, UserTaskIntent::Complete, complete))
        .unwrap();
    assert!(harness.happened("q COMPLETED"));

    let failing = process("p", "a", "=1");
    let (mut harness, instance, target) = prepared(&failing, &process("q", "b", "bob"), "{}");
    let incident = harness.incidents()[0].0;
    migrate(&mut harness, instance, target, &[("a", "b")]).unwrap();
    assert_eq!(harness.events(IncidentIntent::Migrated)[0].key, incident);
    harness.resolve(incident).unwrap();
    assert!(harness.happened("b ACTIVATED"));
}

#[test]
fn scopes_and_boundary_events_move_along() {
    let process = |id: &str, sub: &str, element: &str, boundary: &str, time: &str| {
        ProcessBuilder::new(id)
            .start()
            .sub_process(sub)
            .start()
            .service_task(element, "work")
            .timer_boundary(boundary, element, "timeDuration", time)
            .service_task("late", "late")
            .end()
            .move_to(element)
            .end()
            .leave()
            .end()
            .xml()
    };
    let (from, to) = (
        process("p", "s", "a", "ba", "PT10S"),
        process("q", "t", "b", "bb", "PT1H"),
    );
    let (mut harness, instance, target) = prepared(&from, &to, "{}");
    let mapping = [("s", "t"), ("a", "b"), ("ba", "bb")];
    migrate(&mut harness, instance, target, &mapping).unwrap();
    assert_eq!(harness.events(TimerIntent::Migrated).len(), 1);
    harness.advance(10_000);
    assert!(harness.happened("bb ACTIVATED"), "it is due when it was");
    harness.work("late", "{}");
    assert!(harness.happened("q COMPLETED"));
    harness.assert_clean();

    let (mut harness, instance, target) = prepared(&from, &to, "{}");
    migrate(&mut harness, instance, target, &mapping[..2]).unwrap();
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    harness.advance(20_000);
    assert!(!harness.happened("bb ACTIVATED"));
    harness.advance(3_600_000);
    assert!(
        harness.happened("bb ACTIVATED"),
        "that of the target is opened"
    );
}

#[test]
fn message_boundary_events_keep_their_correlation_key() {
    let process = |id: &str, element: &str, boundary: &str| {
        ProcessBuilder::new(id)
            .start()
            .service_task(element, "work")
            .message_boundary(boundary, element, "m", "=key")
            .service_task("caught", "caught")
            .end()
            .move_to(element)
            .end()
            .xml()
    };
    let (mut harness, instance, target) = prepared(
        &process("p", "a", "ba"),
        &process("q", "b", "bb"),
        r#"{"key":"one"}"#,
    );
    harness
        .set_variables(instance, r#"{"key":"two"}"#, false)
        .unwrap();
    migrate(&mut harness, instance, target, &[("a", "b"), ("ba", "bb")]).unwrap();
    harness.publish("m", "two", "{}");
    assert!(!harness.happened("bb ACTIVATED"));
    harness.publish("m", "one", "{}");
    assert!(harness.happened("bb ACTIVATED"));
    harness.work("caught", "{}");
    assert!(harness.happened("q COMPLETED"));
}

#[test]
fn a_called_instance_can_be_migrated_and_returns_to_its_caller() {
    let caller = ProcessBuilder::new("caller")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="p"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&task("p", "a", "work"));
    harness.deploy(&caller);
    harness.create("caller", "{}");
    let called = harness.key_of("p");
    harness.deploy(&task("q", "b", "other"));
    let target = latest(&harness);
    migrate(&mut harness, called, target, &[("a", "b")]).unwrap();
    harness.work("work", "{}");
    harness.work("after", "{}");
    assert!(harness.happened("caller COMPLETED"));
    harness.assert_clean();
}

fn user_task(element: &str, marker: &str) -> String {
    ProcessBuilder::new("u")
        .start()
        .element("userTask", element, "")
        .extension(marker)
        .end()
        .xml()
}

pub fn assert_refused(
    from: &str,
    to: &str,
    mapping: &[(&str, &str)],
    kind: RejectionType,
    expected: &str,
) {
    let (mut harness, instance, target) = prepared(from, to, "{}");
    let (found, reason) = refusal(migrate(&mut harness, instance, target, mapping));
    assert_eq!(found, kind, "{reason}");
    let lead = format!("Expected to migrate process instance '{instance}' but");
    assert!(reason.starts_with(&lead), "{reason}");
    assert!(reason.contains(expected), "{reason}");
}

#[test]
fn a_mapping_that_makes_no_sense_is_refused() {
    let (from, to) = (task("p", "a", "work"), task("q", "b", "other"));
    let cases: [(&[(&str, &str)], &str); 3] = [
        (
            &[("a", "b"), ("a", "after")],
            "duplicate source element ids '[a]'",
        ),
        (&[("x", "b")], "non-existing source element id 'x'"),
        (&[("a", "x")], "non-existing target element id 'x'"),
    ];
    for (mapping, expected) in cases {
        let kind = RejectionType::InvalidArgument;
        assert_refused(&from, &to, mapping, kind, expected);
    }
}

#[test]
fn an_element_that_cannot_go_on_is_refused() {
    let (from, to) = (task("p", "a", "work"), task("q", "b", "other"));
    let kind = RejectionType::InvalidState;
    let expected = "no mapping instruction defined for active element with id 'a'";
    assert_refused(&from, &to, &[], kind, expected);
    let mapping = [("a", "b")];
    let expected = "id 'a' and type 'SERVICE_TASK' is mapped to an element with id 'b' and different type 'USER_TASK'";
    assert_refused(&from, &user_task("b", ""), &mapping, kind, expected);
    let in_scope = ProcessBuilder::new("q")
        .start()
        .sub_process("sub")
        .start()
        .service_task("b", "b")
        .end()
        .leave()
        .end()
        .xml();
    let expected = "expected to be 'q' but was 'sub'";
    assert_refused(&from, &in_scope, &mapping, kind, expected);
    let (from, to) = (user_task("a", ""), user_task("b", "<zeebe:userTask/>"));
    let expected = "implementation 'job worker' is mapped to an user task with id 'b' and different implementation 'zeebe user task'";
    assert_refused(&from, &to, &mapping, kind, expected);
}

/// A task repeated for three items.
fn repeated(process: &str, id: &str, job_type: &str, sequential: bool) -> String {
    ProcessBuilder::new(process)
        .start()
        .service_task(id, job_type)
        .multi_instance(
            sequential,
            r#"inputCollection="=[1,2,3]" inputElement="item" outputCollection="out" outputElement="=item * 10""#,
        )
        .timer_boundary(&format!("{id}-late"), id, "timeDuration", "PT1H")
        .end()
        .move_to(id)
        .service_task("after", "after")
        .end()
        .xml()
}

#[test]
fn repetitions_go_on_in_the_target_with_what_has_been_done() {
    for sequential in [false, true] {
        let (from, to) = (
            repeated("p", "a", "work", sequential),
            repeated("q", "b", "other", sequential),
        );
        let mut harness = Harness::with(&from);
        let instance = harness.create("p", "{}");
        let first = harness.activate("work", 1)[0].0;
        harness.complete(first, "{}").unwrap();
        harness.deploy(&to);
        let target = latest(&harness);
        let mapping = [("a", "b"), ("a-late", "b-late")];
        migrate(&mut harness, instance, target, &mapping).unwrap();
        assert_eq!(harness.events(TimerIntent::Migrated).len(), 1);
        let begun = harness.activate("work", 10);
        for (job, _) in &begun {
            harness.complete(*job, "{}").unwrap();
        }
        // The third has begun where the instance was then.
        assert_eq!(begun.len(), if sequential { 1 } else { 2 });
        if sequential {
            harness.work("other", "{}");
        }
        assert_eq!(harness.variables(instance), ["out=[10,20,30]"]);
        harness.work("after", "{}");
        assert!(harness.happened("q COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn a_repeated_activity_stays_as_it_is_repeated() {
    let kind = RejectionType::InvalidState;
    let parallel = repeated("p", "a", "work", false);
    let expected = "active element with id 'a' has a different loop characteristics than the target element with id 'b'. \
                    Both elements must have either sequential or parallel loop characteristics.";
    let sequential = repeated("q", "b", "other", true);
    assert_refused(&parallel, &sequential, &[("a", "b")], kind, expected);
    let expected = "id 'a' and type 'MULTI_INSTANCE_BODY' is mapped to an element with id 'b' and different type 'SERVICE_TASK'";
    assert_refused(
        &parallel,
        &task("q", "b", "other"),
        &[("a", "b")],
        kind,
        expected,
    );
    let expected = "id 'a' and type 'SERVICE_TASK' is mapped to an element with id 'b' and different type 'MULTI_INSTANCE_BODY'";
    let (from, to) = (task("p", "a", "work"), repeated("q", "b", "other", false));
    assert_refused(&from, &to, &[("a", "b")], kind, expected);
}

#[test]
fn repeated_scopes_keep_what_is_in_them() {
    let process = |id: &str, sub: &str, element: &str| {
        ProcessBuilder::new(id)
            .start()
            .sub_process(sub)
            .start()
            .service_task(element, "work")
            .end()
            .leave()
            .multi_instance(false, r#"inputCollection="=[1,2]""#)
            .end()
            .xml()
    };
    let (mut harness, instance, target) =
        prepared(&process("p", "s", "a"), &process("q", "t", "b"), "{}");
    migrate(&mut harness, instance, target, &[("s", "t"), ("a", "b")]).unwrap();
    assert_eq!(harness.count("t MIGRATED"), 3);
    assert_eq!(harness.count("b MIGRATED"), 2);
    for (job, _) in harness.activate("work", 10) {
        harness.complete(job, "{}").unwrap();
    }
    assert!(harness.happened("q COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_token_that_waits_at_a_join_keeps_the_instance_where_it_is() {
    let process = |id: &str, element: &str| {
        ProcessBuilder::new(id)
            .start()
            .parallel_gateway("fork")
            .service_task(element, "work")
            .parallel_gateway("join")
            .end()
            .move_to("fork")
            .connect_to("join")
            .xml()
    };
    let kind = RejectionType::InvalidState;
    let expected =
        "a concurrent command was executed on the process instance. Please retry the migration.";
    let (from, to) = (process("p", "a"), process("q", "b"));
    assert_refused(&from, &to, &[("a", "b")], kind, expected);
}

#[test]
fn what_does_not_exist_is_not_found() {
    let (from, to) = (task("p", "a", "work"), task("q", "b", "other"));
    let (mut harness, instance, target) = prepared(&from, &to, "{}");
    let (kind, reason) = refusal(migrate(&mut harness, Key(99), target, &[]));
    assert_eq!(kind, RejectionType::NotFound);
    let expected = "no process instance found with key '99'";
    assert!(reason.ends_with(expected), "{reason}");
    let (kind, reason) = refusal(migrate(&mut harness, instance, Key(99), &[]));
    assert_eq!(kind, RejectionType::NotFound);
    let expected = "no process definition found with key '99'";
    assert!(reason.ends_with(expected), "{reason}");
}

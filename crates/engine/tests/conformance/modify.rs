//! Tokens moved by hand.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{
    ActivateInstruction, ProcessInstanceModification, TerminateInstruction, VariableInstruction,
};
use skep_protocol::{
    Command, JobIntent, Key, ProcessInstanceModificationIntent, ProcessMessageSubscriptionIntent,
    RecordValue, RejectionType, ResponseResult,
};

use crate::harness::Harness;

fn activate(element: &str) -> ActivateInstruction {
    ActivateInstruction {
        element_id: element.to_owned(),
        ..Default::default()
    }
}

fn within(element: &str, ancestor: Key) -> ActivateInstruction {
    ActivateInstruction {
        ancestor_scope_key: ancestor.0,
        ..activate(element)
    }
}

fn with(element: &str, variables: &[(&str, &str)]) -> ActivateInstruction {
    let instruction = |(scope, document): &(&str, &str)| VariableInstruction {
        element_id: (*scope).to_owned(),
        variables: (*document).to_owned(),
    };
    ActivateInstruction {
        variable_instructions: variables.iter().map(instruction).collect(),
        ..activate(element)
    }
}

fn modify(
    harness: &mut Harness,
    instance: Key,
    activate: &[ActivateInstruction],
    terminate: &[Key],
) -> ResponseResult {
    let terminate = terminate.iter().map(|key| TerminateInstruction {
        element_instance_key: key.0,
    });
    let value = ProcessInstanceModification {
        process_instance_key: instance.0,
        terminate_instructions: terminate.collect(),
        activate_instructions: activate.to_vec(),
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    harness.ask(Command::new(instance, intent, value))
}

fn refusal(answer: ResponseResult) -> (RejectionType, String) {
    let rejection = answer.unwrap_err();
    (rejection.rejection_type, rejection.reason)
}

/// Two tasks in a row, then a sub-process with a task and one in an inner sub-process.
fn nested() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .service_task("b", "b")
        .sub_process("outer")
        .start()
        .service_task("c", "c")
        .sub_process("inner")
        .start()
        .service_task("d", "d")
        .end()
        .leave()
        .end()
        .leave()
        .end()
        .xml()
}

#[test]
fn a_token_is_moved_from_one_task_to_another() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    modify(&mut harness, instance, &[activate("b")], &[a]).unwrap();
    assert_eq!(
        harness
            .events(ProcessInstanceModificationIntent::Modified)
            .len(),
        1
    );
    assert_eq!(harness.events(JobIntent::Canceled).len(), 1);
    assert!(harness.happened("a TERMINATED"));
    assert!(!harness.happened("a COMPLETED"));
    harness.work("b", "{}");
    harness.work("c", "{}");
    harness.work("d", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn missing_scopes_are_activated_without_their_start_events_and_shared() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    modify(
        &mut harness,
        instance,
        &[activate("d"), activate("c")],
        &[a],
    )
    .unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 1);
    assert_eq!(harness.count("inner ACTIVATED"), 1);
    match &harness.events(ProcessInstanceModificationIntent::Modified)[0].value {
        RecordValue::ProcessInstanceModification(modified) => {
            let scopes = &modified.activate_instructions[0].ancestor_scope_keys;
            let expected = [instance, harness.key_of("outer"), harness.key_of("inner")];
            assert_eq!(*scopes, expected.map(|key| key.0));
        }
        other => panic!("{other:?}"),
    }
    harness.work("d", "{}");
    harness.work("c", "{}");
    harness.work("d", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_existing_scope_is_used_and_a_chosen_ancestor_gets_new_ones() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    harness.work("b", "{}");
    let outer = harness.key_of("outer");
    modify(&mut harness, instance, &[activate("d")], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 1);
    modify(&mut harness, instance, &[within("d", outer)], &[]).unwrap();
    assert_eq!(harness.count("inner ACTIVATED"), 2);
    let (kind, reason) = refusal(modify(&mut harness, instance, &[activate("d")], &[]));
    assert_eq!(kind, RejectionType::InvalidArgument);
    assert!(
        reason.contains("more than one active instance: 'd'"),
        "{reason}"
    );
    modify(&mut harness, instance, &[within("d", instance)], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 2);
}

#[test]
fn variables_are_there_before_the_element_begins() {
    let inside = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .sub_process("sub")
        .start()
        .element("serviceTask", "b", "")
        .extension(r#"<zeebe:taskDefinition type="=global + local + own"/>"#)
        .message_boundary("caught", "b", "m", "=local")
        .end()
        .leave()
        .end()
        .xml();
    let mut harness = Harness::with(&inside);
    let instance = harness.create("p", "{}");
    let variables = [
        ("", r#"{"global":"x"}"#),
        ("sub", r#"{"local":"y"}"#),
        ("b", r#"{"own":"z"}"#),
    ];
    modify(&mut harness, instance, &[with("b", &variables)], &[]).unwrap();
    assert!(harness.incidents().is_empty(), "{:?}", harness.incidents());
    assert_eq!(harness.activate("xyz", 1).len(), 1);
    assert_eq!(harness.variables(instance), [r#"global="x""#]);
    assert_eq!(harness.variables(harness.key_of("sub")), [r#"local="y""#]);
    assert_eq!(
        harness
            .events(ProcessMessageSubscriptionIntent::Created)
            .len(),
        1
    );
}

#[test]
fn what_is_terminated_takes_empty_scopes_with_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    harness.work("b", "{}");
    harness.work("c", "{}");
    let d = harness.key_of("d");
    modify(&mut harness, instance, &[activate("a")], &[d]).unwrap();
    for scope in ["inner", "outer"] {
        assert!(harness.happened(&format!("{scope} TERMINATED")), "{scope}");
    }
    assert_eq!(harness.active(), ["p", "a"]);
    let a = harness.key_of("a");
    modify(&mut harness, instance, &[], &[a]).unwrap();
    assert!(harness.happened("p TERMINATED"));
    harness.assert_clean();
}

#[test]
fn a_scope_stays_if_something_else_is_in_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    modify(&mut harness, instance, &[activate("c"), activate("c")], &[]).unwrap();
    let c = harness.key_of("c");
    modify(&mut harness, instance, &[], &[c]).unwrap();
    assert!(harness.active().contains(&"outer".to_owned()));
    modify(&mut harness, instance, &[activate("d")], &[]).unwrap();
    harness.work("c", "{}");
    assert_eq!(harness.active().iter().filter(|id| *id == "d").count(), 2);
}

#[test]
fn a_whole_instance_can_be_terminated_or_a_scope_with_all_that_is_in_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    modify(&mut harness, instance, &[activate("d")], &[]).unwrap();
    let (outer, d) = (harness.key_of("outer"), harness.key_of("d"));
    modify(&mut harness, instance, &[], &[d, outer]).unwrap();
    assert_eq!(harness.active(), ["p", "a"]);
    modify(&mut harness, instance, &[], &[instance]).unwrap();
    harness.assert_clean();
}

#[test]
fn an_interrupted_scope_goes_on_with_what_is_activated_in_it() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .end()
        .event_sub_process(
            "handler",
            "begin",
            r#"<bpmn:timerEventDefinition id="t"><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>"#,
            true,
        )
        .service_task("h", "h")
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    harness.advance(2_000);
    assert!(harness.happened("a TERMINATED"));
    modify(&mut harness, instance, &[activate("a")], &[]).unwrap();
    harness.work("a", "{}");
    assert!(!harness.happened("p COMPLETED"));
    harness.work("h", "{}");
    assert!(harness.happened("p COMPLETED"));
}

/// An instance that waits at `a`, in a process that has something of everything.
fn waiting_at_a() -> (Harness, Key, Key) {
    let xml = ProcessBuilder::new("p")
        .start_at("begin")
        .service_task("a", "a")
        .timer_boundary("boundary", "a", "timeDuration", "PT1H")
        .end_at("late")
        .move_to("a")
        .sub_process("many")
        .start()
        .service_task("one", "one")
        .end()
        .leave()
        .multi_instance(false, r#"inputCollection="=[1,2]""#)
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    (harness, instance, a)
}

#[test]
fn instructions_that_cannot_be_followed_are_refused_as_a_whole() {
    let (mut harness, instance, a) = waiting_at_a();
    let cases = [
        (activate("x"), "element that could not be found: 'x'"),
        (
            activate("begin"),
            "elements with type 'START_EVENT' is not supported",
        ),
        (
            activate("boundary"),
            "elements with type 'BOUNDARY_EVENT' is not supported",
        ),
        (
            activate("flow_begin_a_0"),
            "elements with type 'SEQUENCE_FLOW' is not supported",
        ),
        (
            activate("one"),
            "inside a multi-instance subprocess is not supported",
        ),
        (
            within("a", Key(99)),
            "does not exist, or is not in an active state: '99'",
        ),
        (
            within("a", a),
            "is not an ancestor of the element to activate",
        ),
        (
            with("a", &[("many", "{}")]),
            "doesn't belong to the activating element's flow scope: 'many'",
        ),
        (
            with("a", &[("x", "{}")]),
            "scope element id that could not be found: 'x'",
        ),
    ];
    let before = harness.trace();
    let mut check = |activations: &[ActivateInstruction], terminations: &[Key], expected: &str| {
        let answer = modify(&mut harness, instance, activations, terminations);
        let (kind, reason) = refusal(answer);
        assert_eq!(kind, RejectionType::InvalidArgument, "{reason}");
        let lead = "Expected to modify instance of process 'p' but it contains one or more";
        assert!(reason.starts_with(lead), "{reason}");
        assert!(reason.contains(expected), "{reason}");
    };
    for (activation, expected) in cases {
        check(&[activate("a"), activation], &[a], expected);
    }
    check(
        &[],
        &[a, Key(99)],
        "element instance that could not be found: '99'",
    );
    assert_eq!(harness.trace(), before);
}

#[test]
fn only_process_instances_are_modified() {
    let (mut harness, _, a) = waiting_at_a();
    for key in [Key(99), a] {
        let (kind, reason) = refusal(modify(&mut harness, key, &[], &[]));
        assert_eq!(kind, RejectionType::NotFound);
        let expected = format!(
            "Expected to modify process instance but no process instance found with key '{key}'"
        );
        assert_eq!(reason, expected);
    }
}

#[test]
fn repetitions_and_their_body_can_be_terminated() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("many", "many")
        .multi_instance(false, r#"inputCollection="=[1,2,3]""#)
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let last = harness.key_of("many");
    modify(&mut harness, instance, &[], &[last]).unwrap();
    let jobs = harness.activate("many", 10);
    assert_eq!(jobs.len(), 2);
    for (job, _) in jobs {
        harness.complete(job, "{}").unwrap();
    }
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_called_instance_cannot_be_emptied() {
    let caller = ProcessBuilder::new("caller")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="p"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&nested());
    harness.deploy(&caller);
    let root = harness.create("caller", "{}");
    let (a, called) = (harness.key_of("a"), harness.key_of("p"));
    let (kind, reason) = refusal(modify(&mut harness, called, &[], &[a]));
    assert_eq!(kind, RejectionType::InvalidArgument);
    assert!(
        reason.contains("please modify the parent process instead"),
        "{reason}"
    );
    modify(&mut harness, called, &[activate("b")], &[a]).unwrap();
    let call = harness.key_of("call");
    modify(&mut harness, root, &[], &[call]).unwrap();
    assert!(harness.happened("caller TERMINATED"));
    harness.assert_clean();
}

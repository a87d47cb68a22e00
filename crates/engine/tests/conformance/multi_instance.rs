//! Multi-instance activities (10.1 to 10.11).

use skep_bpmn::builder::ProcessBuilder;
use skep_engine::{Input, limits};
use skep_protocol::values::{self, BpmnElementType, IncidentErrorType};
use skep_protocol::{
    Command, JobIntent, Key, ProcessInstanceCreationIntent, ProcessInstanceIntent, RecordValue,
};

use crate::harness::Harness;

const ITEMS: &str = r#"inputCollection="=items" inputElement="item""#;
const WITH_OUTPUT: &str = r#"inputCollection="=items" inputElement="item" outputCollection="results" outputElement="=result""#;

fn repeated(sequential: bool, attributes: &str) -> ProcessBuilder {
    repeated_until(sequential, attributes, "")
}

fn repeated_until(sequential: bool, attributes: &str, condition: &str) -> ProcessBuilder {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .multi_instance_until(sequential, attributes, condition)
}

fn with_after(builder: ProcessBuilder) -> Harness {
    Harness::with(&builder.service_task("after", "after").end().xml())
}

/// Activates the jobs there are and completes them in the order of `order`, each with a result made of its item.
fn complete_in(harness: &mut Harness, order: &[usize]) {
    let jobs = harness.activate("work", 100);
    assert_eq!(jobs.len(), order.len());
    for &index in order {
        let (job, value) = &jobs[index];
        let variables: serde_json::Value = serde_json::from_str(&value.variables).unwrap();
        let result = format!(r#"{{"result":"of {}"}}"#, variables["item"]);
        harness.complete(*job, &result).unwrap();
    }
}

/// Types of the instances of an element, in the order of an event.
fn types(harness: &Harness, intent: ProcessInstanceIntent) -> Vec<BpmnElementType> {
    let values = harness
        .events(intent)
        .into_iter()
        .map(|record| &record.value);
    let types = values.filter_map(|value| match value {
        RecordValue::ProcessInstance(value) if value.element_id == "task" => {
            Some(value.element_type())
        }
        _ => None,
    });
    types.collect()
}

#[test]
fn a_body_holds_a_repetition_per_item() {
    use BpmnElementType::{MultiInstanceBody, ServiceTask};
    for sequential in [false, true] {
        let mut harness = with_after(repeated(sequential, ITEMS));
        harness.create("p", r#"{"items":[1,2]}"#);
        let rounds = if sequential { vec![1, 1] } else { vec![2] };
        for count in rounds {
            let order: Vec<usize> = (0..count).collect();
            complete_in(&mut harness, &order);
        }
        let expected = [MultiInstanceBody, ServiceTask, ServiceTask];
        assert_eq!(
            types(&harness, ProcessInstanceIntent::ElementActivating),
            expected
        );
        let expected = [ServiceTask, ServiceTask, MultiInstanceBody];
        assert_eq!(
            types(&harness, ProcessInstanceIntent::ElementCompleted),
            expected
        );
        assert_eq!(harness.count("flow_task_after_1 SEQUENCE_FLOW_TAKEN"), 1);
        harness.work("after", "{}");
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn each_repetition_has_its_item_and_number_for_itself() {
    let mut harness = with_after(repeated(false, ITEMS));
    let instance = harness.create("p", r#"{"items":["a","b"]}"#);
    let jobs = harness.activate("work", 10);
    let own: Vec<Vec<String>> = jobs
        .iter()
        .map(|(_, job)| harness.variables(Key(job.element_instance_key)))
        .collect();
    assert_eq!(own[0], [r#"item="a""#, "loopCounter=1"]);
    assert_eq!(own[1], [r#"item="b""#, "loopCounter=2"]);
    for (job, _) in jobs {
        harness.complete(job, "{}").unwrap();
    }
    assert_eq!(harness.variables(instance), [r#"items=["a","b"]"#]);
}

#[test]
fn an_empty_list_is_passed_by_with_an_empty_output() {
    for sequential in [false, true] {
        let mut harness = with_after(repeated(sequential, WITH_OUTPUT));
        let instance = harness.create("p", r#"{"items":[]}"#);
        assert_eq!(harness.variables(instance), ["items=[]", "results=[]"]);
        harness.work("after", "{}");
        harness.assert_clean();
    }
}

#[test]
fn outputs_are_in_the_order_of_the_items() {
    let mut harness = with_after(repeated(false, WITH_OUTPUT));
    let instance = harness.create("p", r#"{"items":[1,2,3]}"#);
    complete_in(&mut harness, &[2, 0, 1]);
    assert_eq!(
        harness.variables(instance),
        ["items=[1,2,3]", r#"results=["of 1","of 2","of 3"]"#]
    );
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn the_variable_that_the_output_reads_begins_as_null_in_each_repetition() {
    let mut harness = with_after(repeated(true, WITH_OUTPUT));
    let instance = harness.create("p", r#"{"items":[1,2],"result":"outside"}"#);
    let job = harness.activate("work", 10).remove(0);
    assert_eq!(
        harness.variables(Key(job.1.element_instance_key)),
        ["item=1", "loopCounter=1", "result=null"]
    );
    harness.complete(job.0, "{}").unwrap();
    harness.work("work", r#"{"result":2}"#);
    assert_eq!(
        harness.variables(instance),
        ["items=[1,2]", r#"result="outside""#, "results=[null,2]"]
    );
}

#[test]
fn the_output_may_be_computed_from_what_was_mapped() {
    let attributes = r#"inputCollection="=items" inputElement="item" outputCollection="results" outputElement="=out.value + loopCounter""#;
    let builder = repeated(false, attributes)
        .input("=item.n", "n")
        .output("=n + more", "out.value");
    let mut harness = with_after(builder);
    let instance = harness.create("p", r#"{"items":[{"n":10},{"n":20}]}"#);
    for (job, value) in harness.activate("work", 10) {
        assert!(value.variables.contains(r#""n":"#));
        harness.complete(job, r#"{"more":5}"#).unwrap();
    }
    assert!(
        harness
            .variables(instance)
            .contains(&"results=[16,27]".to_owned())
    );
}

#[test]
fn a_condition_ends_it_early_and_the_rest_is_terminated() {
    let condition = "=numberOfCompletedInstances / numberOfInstances >= 0.5";
    let mut harness = with_after(repeated_until(false, ITEMS, condition));
    harness.create("p", r#"{"items":[1,2,3,4]}"#);
    let jobs = harness.activate("work", 10);
    harness.complete(jobs[0].0, "{}").unwrap();
    assert!(!harness.happened("after ACTIVATING"));
    harness.complete(jobs[3].0, "{}").unwrap();
    assert_eq!(harness.count("task TERMINATED"), 2);
    assert_eq!(harness.events(JobIntent::Canceled).len(), 2);
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn a_condition_stops_a_sequence_and_sees_the_item() {
    let mut harness = with_after(repeated_until(true, ITEMS, "=item = 2"));
    harness.create("p", r#"{"items":[1,2,3]}"#);
    harness.work("work", "{}");
    harness.work("work", "{}");
    harness.work("after", "{}");
    assert_eq!(harness.count("task ACTIVATED"), 3);
    harness.assert_clean();
}

#[test]
fn a_condition_sees_how_many_are_active_completed_and_terminated() {
    let condition = "=[numberOfInstances, numberOfActiveInstances, numberOfCompletedInstances, numberOfTerminatedInstances] = [3, 1, 2, 0]";
    let mut harness = with_after(repeated_until(false, ITEMS, condition));
    harness.create("p", r#"{"items":[1,2,3]}"#);
    let jobs = harness.activate("work", 10);
    harness.complete(jobs[0].0, "{}").unwrap();
    harness.complete(jobs[1].0, "{}").unwrap();
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn cancelling_ends_all_repetitions() {
    let mut harness = with_after(repeated(false, ITEMS));
    let instance = harness.create("p", r#"{"items":[1,2,3]}"#);
    harness.cancel(instance).unwrap();
    assert_eq!(harness.count("task TERMINATED"), 4);
    harness.assert_clean();
}

#[test]
fn an_error_boundary_event_belongs_to_the_body() {
    let builder = repeated(false, ITEMS)
        .end()
        .error_boundary("caught", "task", "E")
        .end_at("mended");
    let mut harness = Harness::with(&builder.xml());
    harness.create("p", r#"{"items":[1,2,3]}"#);
    let job = harness.activate("work", 1)[0].0;
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    assert_eq!(harness.count("task TERMINATED"), 4);
    assert_eq!(harness.count("caught ACTIVATED"), 1);
    assert!(harness.happened("mended COMPLETED"));
    harness.assert_clean();
}

#[test]
fn what_is_no_list_is_an_incident() {
    let mut harness = with_after(repeated(false, ITEMS));
    let instance = harness.create("p", r#"{"items":1}"#);
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    harness
        .set_variables(instance, r#"{"items":[1]}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn a_list_that_has_shrunk_is_an_incident_of_each_repetition_that_it_has_no_item_for() {
    let count = 20 * limits::FOLLOW_UPS_MAX;
    let items: Vec<usize> = (0..count).collect();
    let mut harness = with_after(repeated(false, ITEMS));
    harness.checks = false;
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        variables: format!("{{\"items\":{items:?}}}"),
        ..Default::default()
    };
    let intent = ProcessInstanceCreationIntent::Create;
    let command = Command::new(Key::NONE, intent, creation);
    // Some repetitions are left to begin when the list changes.
    harness.process(Input::Client {
        command,
        request: None,
    });
    let begun = harness.count("task ACTIVATED") - 1;
    assert!((1..count).contains(&begun));
    let instance = harness.key_of("p");
    harness
        .set_variables(
            instance,
            &format!("{{\"items\":[{}]}}", "0,".repeat(count - 2) + "0"),
            false,
        )
        .unwrap();
    let incidents = harness.incidents();
    assert_eq!(incidents.len(), 1);
    let (incident, value) = &incidents[0];
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    assert_eq!(value.element_instance_key, harness.key_of("task").0);
    harness
        .set_variables(instance, &format!("{{\"items\":{items:?}}}"), false)
        .unwrap();
    harness.resolve(*incident).unwrap();
    assert_eq!(harness.count("task ACTIVATED"), count + 1);
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_sequence_goes_on_for_as_long_as_its_list_is_by_then() {
    for (items, more) in [("[1]", 0), ("[1,2]", 1), ("[1,2,3,4]", 3)] {
        let mut harness = with_after(repeated(true, ITEMS));
        let instance = harness.create("p", r#"{"items":[1,2]}"#);
        let changed = format!(r#"{{"items":{items}}}"#);
        harness.set_variables(instance, &changed, false).unwrap();
        for _ in 0..=more {
            harness.work("work", "{}");
        }
        harness.work("after", "{}");
        assert!(harness.happened("p COMPLETED"), "{items}");
        harness.assert_clean();
    }
}

#[test]
fn a_list_of_a_sequence_that_is_none_any_more_is_an_incident_of_the_repetition_that_completes() {
    let mut harness = with_after(repeated(true, ITEMS));
    let instance = harness.create("p", r#"{"items":[1,2]}"#);
    harness
        .set_variables(instance, r#"{"items":"none"}"#, false)
        .unwrap();
    let first = harness.key_of("task");
    harness.work("work", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    assert_eq!(value.element_instance_key, first.0);
    harness
        .set_variables(instance, r#"{"items":[1,2]}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("work", "{}");
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn a_condition_of_a_sequence_counts_what_has_begun() {
    let mut harness = with_after(repeated_until(true, ITEMS, "=numberOfInstances = 2"));
    harness.create("p", r#"{"items":[1,2,3]}"#);
    harness.work("work", "{}");
    harness.work("work", "{}");
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn loop_variables_outlast_an_incident() {
    let builder = ProcessBuilder::new("p")
        .start()
        .service_task("task", "=type")
        .multi_instance(false, ITEMS);
    let mut harness = with_after(builder);
    let instance = harness.create("p", r#"{"items":[1]}"#);
    let repetition = harness.key_of("task");
    harness
        .set_variables(repetition, r#"{"item":7}"#, true)
        .unwrap();
    harness
        .set_variables(instance, r#"{"type":"work"}"#, false)
        .unwrap();
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    let job = harness.activate("work", 1).remove(0).1;
    assert!(job.variables.contains(r#""item":7"#), "{}", job.variables);
}

#[test]
fn outputs_that_cannot_be_collected_are_incidents() {
    for (results, after) in [("1", r#"["of 1"]"#), ("[]", r#"["of 1"]"#)] {
        let mut harness = with_after(repeated(false, WITH_OUTPUT));
        let instance = harness.create("p", r#"{"items":[1]}"#);
        let key = harness.events(ProcessInstanceIntent::ElementActivating);
        let body = key
            .into_iter()
            .find(|record| matches!(&record.value, RecordValue::ProcessInstance(value) if value.element_id == "task"))
            .unwrap()
            .key;
        let spoiled = format!(r#"{{"results":{results}}}"#);
        harness.set_variables(body, &spoiled, true).unwrap();
        complete_in(&mut harness, &[0]);
        let (incident, value) = harness.incidents()[0].clone();
        assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
        harness
            .set_variables(body, r#"{"results":[null]}"#, true)
            .unwrap();
        harness.resolve(incident).unwrap();
        assert!(
            harness
                .variables(instance)
                .contains(&format!("results={after}"))
        );
    }
}

#[test]
fn a_condition_that_is_no_condition_is_an_incident() {
    let mut harness = with_after(repeated_until(false, ITEMS, "=done"));
    let instance = harness.create("p", r#"{"items":[1,2],"done":1}"#);
    let jobs = harness.activate("work", 10);
    harness.complete(jobs[0].0, "{}").unwrap();
    let incident = harness.incidents()[0].0;
    harness
        .set_variables(instance, r#"{"done":true}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert_eq!(harness.count("task TERMINATED"), 1);
    harness.work("after", "{}");
    harness.assert_clean();
}

#[test]
fn outputs_of_repeated_calls_are_collected_though_each_call_has_a_copy_of_the_list() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("child", "child")
        .end();
    let xml = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .multi_instance(
            false,
            r#"inputCollection="=items" inputElement="item" outputCollection="prices" outputElement="=price""#,
        )
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&xml);
    harness.create("p", r#"{"items":[1,2]}"#);
    for (job, value) in harness.activate("child", 10) {
        let variables: serde_json::Value = serde_json::from_str(&value.variables).unwrap();
        let price = variables["item"].as_i64().unwrap() * 5;
        harness
            .complete(job, &format!(r#"{{"price":{price}}}"#))
            .unwrap();
    }
    let (_, value) = harness.activate("after", 1).remove(0);
    let variables: serde_json::Value = serde_json::from_str(&value.variables).unwrap();
    assert_eq!(variables["prices"], serde_json::json!([5, 10]));
}

#[test]
fn sub_processes_and_calls_are_repeated_with_all_that_is_in_them() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("child", "child")
        .end();
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .multi_instance(
            true,
            r#"inputCollection="=[item, item + 1]" inputElement="inner""#,
        )
        .end()
        .leave()
        .multi_instance(false, ITEMS)
        .end()
        .xml();
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&xml);
    harness.create("p", r#"{"items":[1,10]}"#);
    let mut seen = Vec::new();
    for _ in 0..2 {
        for (job, value) in harness.activate("child", 10) {
            let variables: serde_json::Value = serde_json::from_str(&value.variables).unwrap();
            seen.push(variables["inner"].as_i64().unwrap());
            harness.complete(job, "{}").unwrap();
        }
    }
    assert_eq!(seen, [1, 10, 2, 11]);
    assert_eq!(harness.count("call COMPLETED"), 6);
    assert_eq!(harness.count("sub COMPLETED"), 3);
    harness.assert_clean();
}

#[test]
fn thousands_of_items_are_begun_in_evaluations_of_bounded_size() {
    let mut harness = Harness::new();
    harness.checks = false;
    harness.deploy(&repeated(false, ITEMS).end().xml());
    let items = vec!["1"; 4_000].join(",");
    let creation = values::ProcessInstanceCreation {
        bpmn_process_id: "p".to_owned(),
        version: -1,
        variables: format!(r#"{{"items":[{items}]}}"#),
        ..Default::default()
    };
    let intent = skep_protocol::ProcessInstanceCreationIntent::Create;
    harness.process(Input::Client {
        command: Command::new(Key::NONE, intent, creation),
        request: None,
    });
    let mut largest = 0;
    while let Some(command) = harness.due().commands.into_iter().next() {
        let outcome = harness.process(Input::Internal(command));
        largest = largest.max(outcome.records.len());
    }
    assert_eq!(harness.count("task ACTIVATED"), 4_001);
    assert!(largest < 12_000, "{largest} records at once");
    // The list is read for each portion, which takes as long as it is long.
    let portions = harness.records.iter().filter(|record| {
        record.intent == skep_protocol::ProcessInstanceBatchIntent::Activate.into()
    });
    assert!(portions.count() <= skep_engine::limits::LIST_READINGS_MAX as usize);
    harness.cancel(harness.key_of("p")).unwrap();
    assert_eq!(harness.count("task TERMINATED"), 4_001);
    harness.assert_clean();
}

const MESSAGE: &str = r#"<bpmn:message id="message" name="go"><bpmn:extensionElements>
    <zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>"#;

fn publish(harness: &mut Harness, key: &str) {
    let message = values::Message {
        name: "go".to_owned(),
        correlation_key: key.to_owned(),
        variables: r#"{"answer":true}"#.to_owned(),
        ..Default::default()
    };
    let publish = Command::new(Key::NONE, skep_protocol::MessageIntent::Publish, message);
    harness.ask(publish).unwrap();
}

#[test]
fn each_repetition_of_a_receive_task_has_a_subscription() {
    let xml = ProcessBuilder::new("p")
        .definitions(MESSAGE)
        .start()
        .element("receiveTask", "wait", "")
        .attribute("messageRef", "message")
        .multi_instance(
            false,
            r#"inputCollection="=[&quot;a&quot;,&quot;b&quot;]" inputElement="key""#,
        )
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    publish(&mut harness, "b");
    assert_eq!(harness.count("wait COMPLETED"), 1);
    publish(&mut harness, "a");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_boundary_event_by_message_ends_all_repetitions_or_none() {
    for interrupting in [true, false] {
        let xml = repeated(false, ITEMS)
            .definitions(MESSAGE)
            .end()
            .boundary(
                "stop",
                "task",
                r#"<bpmn:messageEventDefinition messageRef="message"/>"#,
            )
            .attribute("cancelActivity", &interrupting.to_string())
            .end_at("stopped")
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", r#"{"items":[1,2],"key":"k"}"#);
        publish(&mut harness, "k");
        assert_eq!(harness.count("stopped COMPLETED"), 1);
        let terminated = harness.count("task TERMINATED");
        assert_eq!(terminated, if interrupting { 3 } else { 0 });
        for (job, _) in harness.activate("work", 10) {
            harness.complete(job, "{}").unwrap();
        }
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn each_repetition_of_a_sub_process_may_be_ended_by_itself() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .parallel_gateway("fork")
        .service_task("task", "work")
        .end()
        .move_to("fork")
        .timer_catch("late", "=if loopCounter = 1 then \"PT1S\" else \"PT1H\"")
        .element("endEvent", "cut", "<bpmn:terminateEventDefinition/>")
        .leave()
        .multi_instance(false, ITEMS)
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"items":[1,2]}"#);
    harness.advance(1_000);
    assert_eq!(harness.count("task TERMINATED"), 1);
    assert_eq!(harness.count("sub COMPLETED"), 1);
    harness.advance(3_600_000);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn errors_inside_and_outside_of_repetitions_are_caught_where_they_should() {
    let caught_inside = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .error_boundary("inside", "task", "E")
        .end()
        .leave()
        .multi_instance(false, ITEMS)
        .end()
        .error_boundary("outside", "sub", "E")
        .end();
    let mut harness = Harness::with(&caught_inside.xml());
    harness.create("p", r#"{"items":[1,2]}"#);
    let jobs = harness.activate("work", 10);
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness
        .report(jobs[0].0, JobIntent::ThrowError, error)
        .unwrap();
    assert!(harness.happened("inside COMPLETED") && !harness.happened("outside ACTIVATING"));
    harness.complete(jobs[1].0, "{}").unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn the_list_is_read_outside_of_what_is_mapped_into_each_repetition() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("scope")
        .start()
        .service_task("task", "work")
        .multi_instance(false, r#"inputCollection="=list" inputElement="item""#)
        .input("=[9]", "list")
        .input("=item + 1", "next")
        .end()
        .leave()
        .input("=[1,2]", "list")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"list":[7,8,9]}"#);
    let jobs = harness.activate("work", 10);
    let variables: Vec<String> = jobs.into_iter().map(|(_, job)| job.variables).collect();
    assert_eq!(variables.len(), 2);
    for (variables, next) in variables.iter().zip([r#""next":2"#, r#""next":3"#]) {
        assert!(variables.contains(next), "{variables}");
        assert!(variables.contains(r#""list":[9]"#), "{variables}");
    }
}

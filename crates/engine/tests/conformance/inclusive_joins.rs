//! Inclusive gateways that wait for several incoming sequence flows (9.5).

use skep_bpmn::builder::ProcessBuilder;

use crate::harness::Harness;

/// Three branches of which conditions choose, each with a task, and a join with a task behind it.
fn fork_and_join() -> ProcessBuilder {
    let mut process = ProcessBuilder::new("p")
        .start()
        .element("inclusiveGateway", "fork", "")
        .condition("=a")
        .service_task("a", "a")
        .element("inclusiveGateway", "join", "")
        .service_task("after", "after")
        .end();
    for branch in ["b", "c"] {
        process = process
            .move_to("fork")
            .condition(&format!("={branch}"))
            .service_task(branch, branch)
            .connect_to("join");
    }
    process
}

fn created(process: &ProcessBuilder, variables: &str) -> Harness {
    let mut harness = Harness::with(&process.xml());
    harness.create("p", variables);
    harness
}

#[test]
fn a_join_waits_for_those_branches_that_were_taken() {
    for (chosen, variables) in [
        (vec!["a"], r#"{"a":true,"b":false,"c":false}"#),
        (vec!["a", "c"], r#"{"a":true,"b":false,"c":true}"#),
        (vec!["a", "b", "c"], r#"{"a":true,"b":true,"c":true}"#),
    ] {
        let mut harness = created(&fork_and_join(), variables);
        for branch in chosen {
            assert!(!harness.happened("join ACTIVATING"));
            harness.work(branch, "{}");
        }
        assert_eq!(harness.count("join COMPLETED"), 1, "{variables}");
        harness.work("after", "{}");
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn a_token_that_ends_elsewhere_is_not_waited_for() {
    // One branch can go to the join or end.
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .element("inclusiveGateway", "join", "")
        .service_task("after", "after")
        .end()
        .move_to("fork")
        .service_task("task", "work")
        .exclusive_gateway("choice")
        .default_flow()
        .end_at("elsewhere")
        .move_to("choice")
        .condition("=come")
        .connect_to("join");
    for (come, event) in [("true", "join COMPLETED"), ("false", "elsewhere COMPLETED")] {
        let mut harness = created(&process, "{}");
        assert!(!harness.happened("join ACTIVATING"));
        harness.work("work", &format!(r#"{{"come":{come}}}"#));
        assert!(harness.happened(event));
        assert_eq!(harness.count("join COMPLETED"), 1);
        harness.work("after", "{}");
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn a_task_that_cannot_come_is_not_waited_for() {
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("slow", "slow")
        .end()
        .move_to("fork")
        .element("inclusiveGateway", "join", "")
        .service_task("after", "after")
        .end()
        .move_to("fork")
        .service_task("b", "b")
        .connect_to("join");
    let mut harness = created(&process, "{}");
    harness.work("b", "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    harness.work("after", "{}");
    harness.work("slow", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn more_tokens_by_one_flow_wait_for_the_next_round() {
    // Two tokens come by way of `many`, one by way of `b`.
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .exclusive_gateway("many")
        .element("inclusiveGateway", "join", "")
        .end()
        .move_to("fork")
        .connect_to("many")
        .move_to("fork")
        .service_task("b", "b")
        .connect_to("join");
    let mut harness = created(&process, "{}");
    assert!(!harness.happened("join ACTIVATING"));
    harness.work("b", "{}");
    assert_eq!(
        harness.count("join COMPLETED"),
        2,
        "each token is used once"
    );
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_loop_is_waited_for_while_a_token_is_in_it() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("inclusiveGateway", "join", "")
        .service_task("work", "work")
        .exclusive_gateway("again")
        .condition("=again")
        .connect_to("join")
        .move_to("again")
        .default_flow()
        .end();
    let mut harness = created(&process, "{}");
    assert_eq!(harness.count("join COMPLETED"), 1, "nothing else is there");
    harness.work("work", r#"{"again":true}"#);
    assert_eq!(harness.count("join COMPLETED"), 2);
    harness.work("work", r#"{"again":false}"#);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn boundary_events_lead_to_a_join_as_well() {
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .element("inclusiveGateway", "join", "")
        .end()
        .move_to("fork")
        .service_task("task", "work")
        .end()
        .timer_boundary("late", "task", "timeDuration", "PT1S")
        .connect_to("join");
    let mut harness = created(&process, "{}");
    assert!(!harness.happened("join ACTIVATING"), "the timer may come");
    harness.advance(1_000);
    assert_eq!(harness.count("join COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();

    let mut harness = created(&process, "{}");
    harness.work("work", "{}");
    assert_eq!(
        harness.count("join COMPLETED"),
        1,
        "it cannot come any more"
    );
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn tokens_that_wait_at_another_join_are_waited_for() {
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .element("inclusiveGateway", "join", "")
        .end()
        .move_to("fork")
        .parallel_gateway("inner")
        .connect_to("join")
        .move_to("fork")
        .service_task("task", "work")
        .connect_to("inner");
    let mut harness = created(&process, "{}");
    assert!(!harness.happened("join ACTIVATING"));
    harness.work("work", "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn link_events_lead_to_a_join_as_well() {
    let link = "<bpmn:linkEventDefinition name=\"l\"/>";
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .element("inclusiveGateway", "join", "")
        .end()
        .move_to("fork")
        .service_task("task", "work")
        .element("intermediateThrowEvent", "throw", link);
    let xml = process.xml().replace(
        "</bpmn:process>",
        &format!(
            "<bpmn:intermediateCatchEvent id=\"catch\">{link}</bpmn:intermediateCatchEvent>\
             <bpmn:sequenceFlow id=\"by-link\" sourceRef=\"catch\" targetRef=\"join\"/></bpmn:process>"
        ),
    );
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert!(!harness.happened("join ACTIVATING"));
    harness.work("work", "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_join_that_forks_chooses_by_its_conditions() {
    let process = fork_and_join()
        .move_to("join")
        .condition("=false")
        .end_at("never");
    let xml = process.xml();
    // The flow that was alone now needs a condition.
    let flow = "targetRef=\"after\">";
    let xml = xml.replacen(
        flow,
        &format!("{flow}<bpmn:conditionExpression>=true</bpmn:conditionExpression>"),
        1,
    );
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"a":true,"b":true,"c":false}"#);
    harness.work("a", "{}");
    harness.work("b", "{}");
    assert!(!harness.happened("never ACTIVATING"));
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn tokens_that_wait_end_with_their_instance() {
    let mut harness = Harness::with(&fork_and_join().xml());
    let instance = harness.create("p", r#"{"a":true,"b":true,"c":false}"#);
    harness.work("a", "{}");
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_join_in_a_sub_process_looks_at_its_own_scope_only() {
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("outer")
        .service_task("outside", "outside")
        .end()
        .move_to("outer")
        .sub_process("sub")
        .start()
        .parallel_gateway("fork")
        .element("inclusiveGateway", "join", "")
        .end()
        .move_to("fork")
        .exclusive_gateway("choice")
        .default_flow()
        .end()
        .move_to("choice")
        .condition("=false")
        .connect_to("join")
        .leave()
        .end();
    let mut harness = created(&process, "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    assert!(harness.happened("sub COMPLETED"));
    harness.work("outside", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

//! Sub-processes.

use skep_bpmn::builder::ProcessBuilder;

use crate::harness::Harness;

fn nested() -> String {
    ProcessBuilder::new("p")
        .start()
        .sub_process("outer")
        .start()
        .sub_process("inner")
        .start()
        .service_task("task", "work")
        .end()
        .leave()
        .end()
        .leave()
        .input("=a", "own")
        .end_at("end")
        .xml()
}

#[test]
fn a_sub_process_completes_when_nothing_is_left_in_it() {
    let mut harness = Harness::with(&nested());
    harness.create("p", r#"{"a":1}"#);
    harness.work("work", "{}");
    let trace = harness.trace();
    let at = |event: &str| {
        trace
            .iter()
            .position(|traced| traced == event)
            .expect(event)
    };
    assert!(at("task COMPLETED") < at("inner COMPLETING"));
    assert!(at("inner COMPLETED") < at("outer COMPLETING"));
    assert!(at("outer COMPLETED") < at("end ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn what_is_local_to_a_sub_process_goes_with_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", r#"{"a":1}"#);
    let job = harness.job("work");
    let outer = harness.key_of("outer");
    assert_eq!(harness.variables(outer), ["own=1"]);
    harness
        .set_variables(harness.key_of("task"), r#"{"own":2,"b":3}"#, false)
        .unwrap();
    assert_eq!(harness.variables(outer), ["own=2"]);
    assert_eq!(harness.variables(instance), ["a=1", "b=3"]);
    harness.complete(job, "{}").unwrap();
    assert!(harness.variables(outer).is_empty());
}

#[test]
fn a_sub_process_waits_for_all_of_its_branches() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .parallel_gateway("fork")
        .service_task("a", "a")
        .move_to("fork")
        .service_task("b", "b")
        .leave()
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.work("b", "{}");
    assert!(!harness.happened("sub COMPLETING"));
    harness.work("a", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

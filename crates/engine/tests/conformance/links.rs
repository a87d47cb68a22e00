//! Link events (15.7).

use skep_bpmn::builder::ProcessBuilder;

use crate::harness::Harness;

fn link(name: &str) -> String {
    format!("<bpmn:linkEventDefinition name=\"{name}\"/>")
}

#[test]
fn a_throw_event_goes_on_at_the_catch_event_of_its_name() {
    let xml = ProcessBuilder::new("p")
        .start()
        .element("intermediateThrowEvent", "throw", &link("a"))
        .move_to("p")
        .xml();
    // The catch event has no incoming flow, and so stands beside the path.
    let xml = xml.replace(
        "</bpmn:process>",
        &format!(
            "<bpmn:intermediateCatchEvent id=\"catch\">{}</bpmn:intermediateCatchEvent></bpmn:process>",
            link("a")
        ),
    );
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("throw COMPLETED") < at("catch ACTIVATING"));
    assert!(harness.happened("catch COMPLETED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn several_throw_events_lead_to_one_and_several_names_to_several() {
    let mut builder = ProcessBuilder::new("p").start().parallel_gateway("fork");
    for (id, name) in [("one", "a"), ("two", "a"), ("three", "b")] {
        builder = builder
            .move_to("fork")
            .element("intermediateThrowEvent", id, &link(name));
    }
    let catches = format!(
        "<bpmn:intermediateCatchEvent id=\"catch-a\">{}</bpmn:intermediateCatchEvent>\
         <bpmn:intermediateCatchEvent id=\"catch-b\">{}</bpmn:intermediateCatchEvent></bpmn:process>",
        link("a"),
        link("b")
    );
    let xml = builder.xml().replace("</bpmn:process>", &catches);
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert_eq!(harness.count("catch-a COMPLETED"), 2);
    assert_eq!(harness.count("catch-b COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_catch_event_of_another_scope_is_another_one() {
    let pair = |id: &str| {
        format!(
            "<bpmn:startEvent id=\"{id}-start\"/><bpmn:sequenceFlow id=\"{id}-flow\" sourceRef=\"{id}-start\" targetRef=\"{id}-throw\"/>\
             <bpmn:intermediateThrowEvent id=\"{id}-throw\">{definition}</bpmn:intermediateThrowEvent>\
             <bpmn:intermediateCatchEvent id=\"{id}-catch\">{definition}</bpmn:intermediateCatchEvent>",
            definition = link("a")
        )
    };
    let inner = format!(
        "<bpmn:subProcess id=\"sub\">{}</bpmn:subProcess>",
        pair("inner")
    );
    let outer = pair("outer").replace("targetRef=\"outer-throw\"", "targetRef=\"sub\"")
        + &inner
        + "<bpmn:sequenceFlow id=\"on\" sourceRef=\"sub\" targetRef=\"outer-throw\"/>";
    let xml = ProcessBuilder::new("p")
        .xml()
        .replace("</bpmn:process>", &format!("{outer}</bpmn:process>"));
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("inner-catch COMPLETED") < at("sub COMPLETED"));
    assert!(at("sub COMPLETED") < at("outer-throw ACTIVATING"));
    assert_eq!(harness.count("outer-catch COMPLETED"), 1);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

//! Execution listeners: which elements may have them, before or after their work.

use std::collections::BTreeSet;

use super::{Context, refuse_empty, require};
use crate::document::{FlowNode, Node, event_definitions, event_type, extensions, zeebe_children};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        let mut seen = BTreeSet::new();
        for listeners in extensions(node.node, "executionListeners") {
            for listener in zeebe_children(listeners, "executionListener") {
                check_one(node, listener, problems);
                let (event, job_type) =
                    (listener.attribute("eventType"), listener.attribute("type"));
                if job_type.is_some() && !seen.insert((event, job_type)) {
                    problems.add(node.node, format!("Multiple execution listeners with the same event type and job type '{}' are not allowed", quote(job_type.unwrap_or_default())));
                }
            }
        }
    }
}

fn check_one(node: &FlowNode<'_>, listener: Node<'_>, problems: &mut Problems) {
    require(listener, "type", problems);
    refuse_empty(listener, "retries", problems);
    match listener.attribute("eventType") {
        Some("start") if !allows_start(node) => problems.add(
            node.node,
            "Execution listeners of type 'start' are not supported by this element",
        ),
        Some("end") if !allows_end(node) => problems.add(
            node.node,
            "Execution listeners of type 'end' are not supported by this element",
        ),
        Some("start" | "end") => {}
        _ => problems.add(listener, "Attribute 'eventType' must be one of: start, end"),
    }
}

/// Start events and boundary events begin with what triggers them, and a job cannot come before it.
fn allows_start(node: &FlowNode<'_>) -> bool {
    !matches!(
        node.kind,
        Some(ElementType::StartEvent | ElementType::BoundaryEvent)
    )
}

/// Gateways have left already when they have chosen, an error ends the scope that the listener would
/// run in, and a compensation boundary event does not complete.
fn allows_end(node: &FlowNode<'_>) -> bool {
    let is =
        |kind| event_definitions(node.node).any(|definition| event_type(definition) == Some(kind));
    match node.kind {
        Some(
            ElementType::ExclusiveGateway
            | ElementType::InclusiveGateway
            | ElementType::ParallelGateway
            | ElementType::EventBasedGateway,
        ) => false,
        Some(ElementType::EndEvent) => !is(EventType::Error),
        Some(ElementType::BoundaryEvent) => !is(EventType::Compensation),
        _ => true,
    }
}

//! Events that wait side by side must be told apart: boundary events of one activity, event
//! sub-processes of one scope, catch events behind one gateway. (Timers always can be.)

use std::collections::BTreeSet;

use super::Context;
use crate::document::{FlowNode, Node, event_definitions, event_type, non_empty};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    let nodes = &context.draft.nodes;
    for node in nodes {
        let boundary_events = node.boundary_events.iter().map(|&index| &nodes[index]);
        check_siblings(context, node, boundary_events, "boundary events", problems);

        let starts = context
            .draft
            .children_of_kind(node, ElementType::EventSubProcess)
            .flat_map(|scope| {
                context
                    .draft
                    .children_of_kind(&nodes[scope], ElementType::StartEvent)
            })
            .map(|start| &nodes[start]);
        check_siblings(context, node, starts, "event sub-processes", problems);

        if node.kind == Some(ElementType::EventBasedGateway) {
            let events = node
                .outgoing
                .iter()
                .map(|&flow| &nodes[context.draft.flows[flow].target]);
            check_siblings(context, node, events, "events", problems);
        }
    }
}

fn check_siblings<'c, 'a: 'c>(
    context: &Context<'a>,
    owner: &FlowNode<'a>,
    siblings: impl Iterator<Item = &'c FlowNode<'a>>,
    what: &str,
    problems: &mut Problems,
) {
    let mut seen = BTreeSet::new();
    for definition in siblings.flat_map(|sibling| event_definitions(sibling.node)) {
        let Some(trigger) = trigger(context, definition) else {
            continue;
        };
        if seen.insert(trigger) {
            continue;
        }
        let (kind, name) = trigger;
        let message = if name.is_empty() {
            format!("Multiple {what} that catch every {kind} are not allowed")
        } else {
            format!(
                "Multiple {what} for the same {kind} '{}' are not allowed",
                quote(name)
            )
        };
        problems.add(owner.node, message);
    }
}

/// What a definition reacts to, if two with the same would be in each other's way.
fn trigger<'a>(context: &Context<'a>, definition: Node<'a>) -> Option<(&'static str, &'a str)> {
    let (kind, reference, name) = match event_type(definition)? {
        EventType::Message => ("message", "messageRef", "name"),
        EventType::Signal => ("signal", "signalRef", "name"),
        EventType::Error => ("error", "errorRef", "errorCode"),
        EventType::Escalation => ("escalation", "escalationRef", "escalationCode"),
        _ => return None,
    };
    let found = context.document.referred(definition, reference, kind);
    let name = found.and_then(|found| non_empty(found, name));
    match kind {
        // Without a name they are reported for that.
        "message" | "signal" => Some((kind, name?)),
        // Without a code they catch everything.
        _ => Some((kind, name.unwrap_or_default())),
    }
}

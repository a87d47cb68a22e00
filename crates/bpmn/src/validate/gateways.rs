//! Gateways, and the conditions of the flows that leave them.

use super::Context;
use crate::document::{FlowNode, Node, child, event_definitions, event_type, non_empty};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        match node.kind {
            Some(ElementType::ExclusiveGateway | ElementType::InclusiveGateway) => {
                check_forking(context, node, problems);
            }
            Some(kind) => {
                check_no_conditions(context, node, problems);
                if kind == ElementType::EventBasedGateway {
                    check_event_based(context, node, problems);
                }
            }
            None => {}
        }
    }
}

fn check_forking(context: &Context<'_>, gateway: &FlowNode<'_>, problems: &mut Problems) {
    let flows = || {
        gateway
            .outgoing
            .iter()
            .map(|&flow| &context.draft.flows[flow])
    };
    let default = gateway.node.attribute("default");
    if let Some(default) = default
        && !flows().any(|flow| names(default, flow.id))
    {
        problems.add(
            gateway.node,
            format!(
                "Default flow '{}' must start at this element",
                quote(default)
            ),
        );
    }
    if gateway.outgoing.len() < 2 {
        return;
    }
    for flow in flows() {
        let is_default = default.is_some_and(|default| names(default, flow.id));
        if !is_default && child(flow.node, "conditionExpression").is_none() {
            problems.add(flow.node, "Must have a condition or be default flow");
        }
    }
}

/// Whether a reference, which may be qualified by a prefix, is to this id.
pub(crate) fn names(reference: &str, id: &str) -> bool {
    reference == id
        || reference
            .rsplit_once(':')
            .is_some_and(|(_, local)| local == id)
}

fn check_no_conditions(context: &Context<'_>, node: &FlowNode<'_>, problems: &mut Problems) {
    let conditional = node
        .outgoing
        .iter()
        .any(|&flow| child(context.draft.flows[flow].node, "conditionExpression").is_some());
    if conditional {
        problems.add(
            node.node,
            "Conditional sequence flows are only supported at exclusive and inclusive gateways",
        );
    }
}

fn check_event_based(context: &Context<'_>, gateway: &FlowNode<'_>, problems: &mut Problems) {
    if gateway.outgoing.len() < 2 {
        problems.add(
            gateway.node,
            "Event-based gateway must have at least 2 outgoing sequence flows",
        );
    }
    let targets = || {
        gateway
            .outgoing
            .iter()
            .map(|&flow| &context.draft.nodes[context.draft.flows[flow].target])
    };
    if !targets().all(|target| is_event_to_wait_for(target.kind, target.node)) {
        problems.add(
            gateway.node,
            "Event-based gateway must only lead to intermediate catch events of type message, timer or signal",
        );
    }
    for target in targets().filter(|target| target.incoming.len() > 1) {
        if target.kind == Some(ElementType::IntermediateCatchEvent) {
            problems.add(target.node, "An event behind an event-based gateway must not have other incoming sequence flows");
        }
    }
    if let Some(kind) =
        non_empty(gateway.node, "eventGatewayType").filter(|kind| *kind != "Exclusive")
    {
        problems.add(
            gateway.node,
            format!(
                "Event-based gateways of type '{}' are not supported",
                quote(kind)
            ),
        );
    }
}

fn is_event_to_wait_for(kind: Option<ElementType>, node: Node<'_>) -> bool {
    kind == Some(ElementType::IntermediateCatchEvent)
        && event_definitions(node).all(|definition| {
            matches!(
                event_type(definition),
                Some(EventType::Message | EventType::Timer | EventType::Signal)
            )
        })
}

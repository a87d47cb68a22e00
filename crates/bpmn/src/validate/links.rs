//! Link events: throws and catches that belong together, within one scope.

use std::collections::BTreeSet;

use super::Context;
use crate::document::{FlowNode, Index, event_definitions, event_type, non_empty};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    let throws = links(context, ElementType::IntermediateThrowEvent, problems);
    let catches = links(context, ElementType::IntermediateCatchEvent, problems);
    let thrown: BTreeSet<_> = throws.iter().map(|link| (link.scope, link.name)).collect();
    let mut caught = BTreeSet::new();
    for link in &catches {
        if !caught.insert((link.scope, link.name)) {
            let name = quote(link.name);
            problems.add(link.event.node, format!("Multiple intermediate catch link events with the name '{name}' are not allowed in one scope"));
        }
        if !thrown.contains(&(link.scope, link.name)) {
            let name = quote(link.name);
            problems.add(
                link.event.node,
                format!(
                    "There is no intermediate throw link event for the link '{name}' in this scope"
                ),
            );
        }
    }
    for link in throws
        .iter()
        .filter(|link| !caught.contains(&(link.scope, link.name)))
    {
        let name = quote(link.name);
        problems.add(
            link.event.node,
            format!(
                "There is no intermediate catch link event for the link '{name}' in this scope"
            ),
        );
    }
}

struct Link<'c, 'a> {
    scope: Option<Index>,
    name: &'a str,
    event: &'c FlowNode<'a>,
}

fn links<'c, 'a>(
    context: &'c Context<'a>,
    kind: ElementType,
    problems: &mut Problems,
) -> Vec<Link<'c, 'a>> {
    let mut links = Vec::new();
    for (_, event) in context.draft.of_kind(kind) {
        for definition in event_definitions(event.node) {
            if event_type(definition) != Some(EventType::Link) {
                continue;
            }
            match non_empty(definition, "name") {
                Some(name) => links.push(Link {
                    scope: event.scope,
                    name,
                    event,
                }),
                None => problems.add(definition, "Link name must be present and not empty"),
            }
        }
    }
    links
}

//! What requires what, over all documents, without cycles.

use std::sync::Arc;

use skep_xml::{Problems, quote};

use super::shown;
use crate::model::Need;
use crate::read::{Draft, GraphNode, NodeKind, Reference, requirements, service_references};

/// The requirements of all nodes. A node's index counts through the documents.
pub(super) struct Graph {
    pub(super) needs: Vec<Vec<Need>>,
    /// Index of the first node of each document.
    offsets: Vec<usize>,
}

/// A node with the place of its document.
#[derive(Clone, Copy)]
struct Found {
    index: usize,
    draft: usize,
}

impl Graph {
    pub(super) fn of(drafts: &[Draft<'_>], problems: &mut Problems) -> Graph {
        let mut offsets = Vec::with_capacity(drafts.len());
        let mut next = 0;
        for draft in drafts {
            offsets.push(next);
            next += draft.nodes.len();
        }
        let mut graph = Graph {
            needs: Vec::with_capacity(next),
            offsets,
        };
        for (at, draft) in drafts.iter().enumerate() {
            for node in &draft.nodes {
                let needs = graph.needs_of(drafts, at, node, problems);
                graph.needs.push(needs);
            }
        }
        graph.refuse_cycles(drafts, problems);
        graph
    }

    /// The first node of a document.
    pub(super) fn offset(&self, draft: usize) -> usize {
        self.offsets[draft]
    }

    fn needs_of(
        &self,
        drafts: &[Draft<'_>],
        draft: usize,
        node: &GraphNode<'_>,
        problems: &mut Problems,
    ) -> Vec<Need> {
        if node.kind == NodeKind::Service {
            return self.needs_of_service(drafts, draft, node, problems);
        }
        let mut needs = Vec::new();
        for (xml, reference) in requirements(node.xml) {
            match self.find(drafts, draft, reference) {
                Some(found) => needs.push(need(drafts, draft, found, self.offsets[found.draft])),
                None => problems.add(xml, unknown(reference)),
            }
        }
        needs
    }

    /// Everything that a service is made of, so that a circle through it is seen.
    fn needs_of_service(
        &self,
        drafts: &[Draft<'_>],
        draft: usize,
        node: &GraphNode<'_>,
        problems: &mut Problems,
    ) -> Vec<Need> {
        let mut needs = Vec::new();
        for role in ["outputDecision", "encapsulatedDecision"] {
            for (xml, reference) in service_references(node.xml, role) {
                match self.find(drafts, draft, reference) {
                    Some(found) => {
                        needs.push(need(drafts, draft, found, self.offsets[found.draft]));
                    }
                    None => problems.add(xml, unknown(reference)),
                }
            }
        }
        needs
    }

    fn find(&self, drafts: &[Draft<'_>], from: usize, reference: Reference<'_>) -> Option<Found> {
        let draft = match reference.namespace {
            Some(namespace) if namespace != drafts[from].namespace => drafts
                .iter()
                .position(|draft| draft.namespace == namespace)?,
            _ => from,
        };
        let at = *drafts[draft].by_id.get(reference.id)?;
        Some(Found {
            index: self.offsets[draft] + at,
            draft,
        })
    }

    /// Goes through the graph in depth without recursion.
    fn refuse_cycles(&self, drafts: &[Draft<'_>], problems: &mut Problems) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Not,
            Open,
            Done,
        }
        let mut seen = vec![Seen::Not; self.needs.len()];
        for start in 0..self.needs.len() {
            if seen[start] != Seen::Not {
                continue;
            }
            seen[start] = Seen::Open;
            let mut path = vec![(start, 0)];
            while let Some((node, next)) = path.last_mut() {
                let Some(need) = self.needs[*node].get(*next) else {
                    seen[*node] = Seen::Done;
                    path.pop();
                    continue;
                };
                *next += 1;
                match seen[need.node] {
                    Seen::Not => {
                        seen[need.node] = Seen::Open;
                        path.push((need.node, 0));
                    }
                    Seen::Open => {
                        let xml = self.node(drafts, need.node);
                        let text = format!("'{}' requires itself, directly or not", shown(xml));
                        problems.add(xml.xml, text);
                        return;
                    }
                    Seen::Done => {}
                }
            }
        }
    }

    fn node<'d, 'a>(&self, drafts: &'d [Draft<'a>], index: usize) -> &'d GraphNode<'a> {
        let draft = self.offsets.partition_point(|offset| *offset <= index) - 1;
        &drafts[draft].nodes[index - self.offsets[draft]]
    }
}

fn unknown(reference: Reference<'_>) -> String {
    format!(
        "Refers to '{}', which does not exist{}",
        quote(reference.id),
        match reference.namespace {
            Some(namespace) => format!(" in the imported namespace '{}'", quote(namespace)),
            None => String::new(),
        }
    )
}

fn need(drafts: &[Draft<'_>], from: usize, found: Found, offset: usize) -> Need {
    let node = &drafts[found.draft].nodes[found.index - offset];
    let import = drafts[from]
        .imports
        .iter()
        .find(|import| found.draft != from && import.namespace == drafts[found.draft].namespace);
    // What a decision is called differs between tools: its variable's name, its own name, or its id.
    let mut names: Vec<Arc<str>> = vec![node.variable.into()];
    if import.is_none() && node.kind == NodeKind::Decision {
        for alias in [node.name, node.id] {
            if !names.iter().any(|name| **name == *alias) {
                names.push(alias.into());
            }
        }
    }
    Need {
        node: found.index,
        import: import
            .map(|import| import.name)
            .filter(|name| !name.is_empty())
            .map(Arc::from),
        names,
    }
}

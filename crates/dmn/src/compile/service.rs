//! Decision services: functions of the inputs that they declare.
//!
//! The decisions inside of a service are entries of one boxed expression, each of which sees those before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use skep_feel::{Boxed, Kind};
use skep_xml::Problems;

use super::{Compiler, shown};
use crate::model::Need;
use crate::read::{GraphNode, NodeKind, service_references};

/// A compiled service.
pub(super) struct Service<'a> {
    pub(super) function: Boxed<'a>,
    /// A call with the variables that are named like the parameters.
    pub(super) call: Boxed<'a>,
    /// Itself aside, what the decisions in it require from outside.
    pub(super) needs: Vec<Need>,
}

impl<'a> Compiler<'_, 'a> {
    pub(super) fn service(&self, node: &GraphNode<'a>, problems: &mut Problems) -> Service<'a> {
        let parameters = self.parameters(node);
        let given: BTreeSet<usize> = parameters.iter().copied().collect();
        let outputs = self.referenced(node, "outputDecision");
        let mut entries: Vec<(Arc<str>, Boxed<'a>)> = Vec::new();
        let mut needs: Vec<Need> = Vec::new();
        for inner in self.inner(&outputs, &given) {
            match (self.own(inner.index), inner.through) {
                (Some(own), _) if own.kind == NodeKind::Decision => {
                    let boxed = self.decision(own, problems);
                    entries.push((own.variable.into(), boxed));
                }
                // What comes from outside keeps the name under which the decisions in the service know it.
                (_, Some(need)) => needs.push(need.clone()),
                (_, None) => {}
            }
        }
        let names = |indices: &[usize]| -> Vec<Arc<str>> {
            let found = indices.iter().filter_map(|index| self.own(*index));
            found.map(|node| node.variable.into()).collect()
        };
        let result = match &names(&outputs)[..] {
            [] => {
                let text = format!(
                    "Decision service '{}' must have an output decision of its own model",
                    shown(node)
                );
                problems.add(node.xml, text);
                Boxed::Nothing
            }
            [only] => Boxed::Name(only.clone()),
            several => Boxed::Record(
                several
                    .iter()
                    .map(|name| (name.clone(), Boxed::Name(name.clone())))
                    .collect(),
            ),
        };
        let body = Boxed::With {
            entries,
            result: Box::new(result),
        };
        let arguments = names(&parameters);
        Service {
            function: Boxed::Function {
                parameters: self.typed_parameters(&parameters),
                body: Box::new(body.typed(self.result_kind(node))),
            },
            call: Boxed::Invocation {
                function: Box::new(Boxed::Name(node.variable.into())),
                arguments: arguments
                    .into_iter()
                    .map(|name| (name.clone(), Boxed::Name(name)))
                    .collect(),
            },
            needs,
        }
    }

    /// A node of this document.
    fn own(&self, index: usize) -> Option<&GraphNode<'a>> {
        let at = index.checked_sub(self.graph.offset(self.draft_index))?;
        self.draft.nodes.get(at)
    }

    fn referenced(&self, service: &GraphNode<'a>, role: &'static str) -> Vec<usize> {
        let own = service_references(service.xml, role);
        own.filter_map(|(_, reference)| self.draft.by_id.get(reference.id))
            .map(|at| at + self.graph.offset(self.draft_index))
            .collect()
    }

    /// Input data first, as positional calls have it.
    fn parameters(&self, service: &GraphNode<'a>) -> Vec<usize> {
        let mut parameters = self.referenced(service, "inputData");
        parameters.extend(self.referenced(service, "inputDecision"));
        parameters
    }

    fn typed_parameters(&self, parameters: &[usize]) -> Vec<(Arc<str>, Option<Kind>)> {
        let found = parameters.iter().filter_map(|index| self.own(*index));
        found
            .map(|node| (node.variable.into(), self.reader().declared(node.type_ref)))
            .collect()
    }

    /// The nodes that the outputs require beside what is given, each after those that it requires itself. The graph has no cycles.
    fn inner(&self, outputs: &[usize], given: &BTreeSet<usize>) -> Vec<Inner<'_>> {
        let mut ordered = Vec::new();
        let mut seen = given.clone();
        for output in outputs {
            if !seen.insert(*output) {
                continue;
            }
            let output = Inner {
                index: *output,
                through: None,
            };
            let mut path = vec![(output, 0)];
            while let Some((node, next)) = path.last_mut() {
                let index = node.index;
                let is_decision = self
                    .own(index)
                    .is_some_and(|own| own.kind == NodeKind::Decision);
                let need = self.graph.needs[index].get(*next).filter(|_| is_decision);
                let Some(need) = need else {
                    ordered.push(*node);
                    path.pop();
                    continue;
                };
                *next += 1;
                if seen.insert(need.node) {
                    let inner = Inner {
                        index: need.node,
                        through: Some(need),
                    };
                    path.push((inner, 0));
                }
            }
        }
        ordered
    }
}

/// A node inside of a service, and the requirement that led to it.
#[derive(Clone, Copy)]
struct Inner<'g> {
    index: usize,
    through: Option<&'g Need>,
}

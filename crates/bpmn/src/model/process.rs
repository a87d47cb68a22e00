//! A process: its elements, its sequence flows, and how to find them.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_feel::Expression;

use super::{Element, ElementIndex, ElementKind, Scope};

/// An executable process definition.
#[derive(Debug)]
pub struct Process {
    /// The BPMN process id.
    pub id: Arc<str>,
    /// The name given by the modeller.
    pub name: Option<Arc<str>>,
    /// Tag that bindings of other processes can refer to.
    pub version_tag: Option<Arc<str>>,
    /// All elements; the first one is the process itself.
    pub elements: Vec<Element>,
    /// All sequence flows.
    pub flows: Vec<Flow>,
    /// Forms embedded in the process, that user tasks refer to by `camunda-forms:bpmn:ID`.
    pub user_task_forms: Vec<UserTaskForm>,
    pub(crate) elements_by_id: BTreeMap<Arc<str>, ElementIndex>,
    pub(crate) flows_by_id: BTreeMap<Arc<str>, FlowIndex>,
}

/// Number of a sequence flow in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowIndex(pub u32);

/// A sequence flow.
#[derive(Debug)]
pub struct Flow {
    /// Its place in [`Process::flows`].
    pub index: FlowIndex,
    /// The id in the XML.
    pub id: Arc<str>,
    /// Where it comes from.
    pub source: ElementIndex,
    /// Where it leads to; always in the same flow scope as `source`.
    pub target: ElementIndex,
    /// Only on flows out of exclusive and inclusive gateways.
    pub condition: Option<Expression>,
}

/// A form embedded in the process.
#[derive(Debug, Clone)]
pub struct UserTaskForm {
    /// Name by which user tasks refer to it.
    pub id: Arc<str>,
    /// The form, as JSON text.
    pub text: Arc<str>,
}

impl Process {
    /// The index of the process among its own elements.
    pub const ROOT: ElementIndex = ElementIndex(0);

    /// The process as an element.
    #[must_use]
    pub fn root(&self) -> &Element {
        &self.elements[0]
    }

    /// # Panics
    /// If the index comes from another process.
    #[must_use]
    pub fn element(&self, index: ElementIndex) -> &Element {
        &self.elements[index.0 as usize]
    }

    /// # Panics
    /// If the index comes from another process.
    #[must_use]
    pub fn flow(&self, index: FlowIndex) -> &Flow {
        &self.flows[index.0 as usize]
    }

    /// The element of this id; sequence flows are found by [`Process::flow_by_id`].
    #[must_use]
    pub fn element_by_id(&self, id: &str) -> Option<&Element> {
        self.elements_by_id
            .get(id)
            .map(|&index| self.element(index))
    }

    /// The sequence flow of this id.
    #[must_use]
    pub fn flow_by_id(&self, id: &str) -> Option<&Flow> {
        self.flows_by_id.get(id).map(|&index| self.flow(index))
    }

    /// What the process itself contains.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        match &self.root().kind {
            ElementKind::Process(scope) => scope,
            _ => unreachable!("the first element of a process is the process"),
        }
    }

    /// The start event that a plain "create instance" begins at.
    #[must_use]
    pub fn none_start(&self) -> Option<&Element> {
        self.scope().none_start.map(|index| self.element(index))
    }

    /// The flow scopes around an element, from the innermost to the process.
    pub fn flow_scopes(&self, index: ElementIndex) -> impl Iterator<Item = &Element> {
        let mut next = self.element(index).flow_scope;
        std::iter::from_fn(move || {
            let scope = self.element(next?);
            next = scope.flow_scope;
            Some(scope)
        })
    }
}

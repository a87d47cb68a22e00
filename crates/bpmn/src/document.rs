//! The parts of BPMN in an XML tree: names, references, flow nodes and how they hang together.
//!
//! Owns the vocabulary (namespaces, element names) and the [`Draft`] of a process, which the rules
//! look at and the compiler turns into a model.
//!
//! Invariants of a draft:
//! - `nodes[0]` is the process; the scope of every other node has a lower index.
//! - Flows have both ends in `nodes`; those that do not are reported and left out.
//!
//! Names are matched by namespace and local name, never by prefix. What is in other namespaces is
//! ignored.

use std::collections::BTreeMap;

use crate::limits::{ELEMENTS_MAX, NAME_BYTES_MAX};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

pub(crate) const BPMN: &str = "http://www.omg.org/spec/BPMN/20100524/MODEL";
pub(crate) const ZEEBE: &str = "http://camunda.org/schema/zeebe/1.0";

/// Attributes that name something, and that are no expressions.
const NAMING: [&str; 6] = [
    "id",
    "target",
    "resultVariable",
    "outputCollection",
    "inputElement",
    "versionTag",
];

/// A node of the XML tree.
pub(crate) type Node<'a> = roxmltree::Node<'a, 'a>;

/// Number of a node in its draft.
pub(crate) type Index = usize;

/// A whole resource.
pub(crate) struct Document<'a> {
    pub(crate) definitions: Node<'a>,
    /// The first BPMN element with each id.
    by_id: BTreeMap<&'a str, Node<'a>>,
    /// Every further BPMN element with an id that was there before.
    pub(crate) duplicates: Vec<Node<'a>>,
}

impl<'a> Document<'a> {
    /// `None` if the root is no BPMN.
    pub(crate) fn new(tree: &'a roxmltree::Document<'a>) -> Option<Self> {
        let definitions = tree.root_element();
        if !is_bpmn(definitions, "definitions") {
            return None;
        }
        let mut document = Document {
            definitions,
            by_id: BTreeMap::new(),
            duplicates: Vec::new(),
        };
        for node in definitions.descendants().filter(|node| in_bpmn(*node)) {
            let Some(id) = node.attribute("id") else {
                continue;
            };
            if document.by_id.contains_key(id) {
                document.duplicates.push(node);
            } else {
                document.by_id.insert(id, node);
            }
        }
        Some(document)
    }

    /// Reports names that are too long.
    pub(crate) fn check_names(&self, problems: &mut Problems) {
        let elements = self.definitions.descendants().filter(Node::is_element);
        for node in elements {
            for name in NAMING {
                let bytes = node.attribute(name).map_or(0, str::len);
                if bytes > NAME_BYTES_MAX {
                    problems.add(
                        node,
                        format!("the attribute '{name}' has {bytes} bytes, at most {NAME_BYTES_MAX} are possible"),
                    );
                }
            }
        }
    }

    /// The processes that are meant to be executed.
    pub(crate) fn executable_processes(&self) -> impl Iterator<Item = Node<'a>> {
        children(self.definitions, "process")
            .filter(|process| flag(*process, "isExecutable", false))
    }

    /// The element that a reference names, which may be qualified by a prefix.
    pub(crate) fn find(&self, reference: &str) -> Option<Node<'a>> {
        let local = || {
            reference
                .rsplit_once(':')
                .and_then(|(_, local)| self.by_id.get(local))
        };
        self.by_id.get(reference).or_else(local).copied()
    }

    /// The element that an attribute of a node refers to, if it has the right name.
    pub(crate) fn referred(&self, node: Node<'a>, attribute: &str, name: &str) -> Option<Node<'a>> {
        self.find(node.attribute(attribute)?)
            .filter(|found| is_bpmn(*found, name))
    }
}

/// A process before it is checked.
pub(crate) struct Draft<'a> {
    pub(crate) nodes: Vec<FlowNode<'a>>,
    pub(crate) flows: Vec<DraftFlow<'a>>,
    by_id: BTreeMap<&'a str, Index>,
}

/// A flow node, or the process itself.
pub(crate) struct FlowNode<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) id: &'a str,
    /// `None` for what BPMN knows and Zeebe does not.
    pub(crate) kind: Option<ElementType>,
    pub(crate) scope: Option<Index>,
    pub(crate) children: Vec<Index>,
    pub(crate) boundary_events: Vec<Index>,
    pub(crate) attached_to: Option<Index>,
    /// Numbers in [`Draft::flows`].
    pub(crate) incoming: Vec<usize>,
    /// Numbers in [`Draft::flows`].
    pub(crate) outgoing: Vec<usize>,
    /// Nodes to which associations lead from here.
    pub(crate) associated: Vec<Index>,
}

/// A sequence flow.
pub(crate) struct DraftFlow<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) id: &'a str,
    pub(crate) source: Index,
    pub(crate) target: Index,
}

impl<'a> Draft<'a> {
    /// Finds the flow nodes and flows of a process, and reports ids and references that are missing.
    pub(crate) fn new(process: Node<'a>, problems: &mut Problems) -> Self {
        let mut draft = Draft {
            nodes: Vec::new(),
            flows: Vec::new(),
            by_id: BTreeMap::new(),
        };
        let mut index_by_node = BTreeMap::new();
        let mut flows = Vec::new();
        let mut associations = Vec::new();
        for node in process.descendants().filter(|node| in_bpmn(*node)) {
            let scope = node
                .parent()
                .and_then(|parent| index_by_node.get(&parent.id().get()))
                .copied();
            if node != process && scope.is_none_or(|scope| !draft.is_scope(scope)) {
                continue;
            }
            match part(node) {
                Part::SequenceFlow => flows.push(node),
                Part::Association => associations.push(node),
                Part::FlowNode(kind) => {
                    index_by_node.insert(node.id().get(), draft.nodes.len());
                    draft.add_node(node, kind, scope, problems);
                }
                Part::Other => {}
                Part::Unknown => problems.add(node, "is no element that BPMN knows at this place"),
            }
            if draft.nodes.len() > ELEMENTS_MAX {
                problems.add(process, format!("has more than {ELEMENTS_MAX} elements"));
                break;
            }
        }
        draft.attach_boundary_events(problems);
        draft.connect(&flows, problems);
        draft.associate(&associations);
        draft
    }

    fn add_node(
        &mut self,
        node: Node<'a>,
        kind: Option<ElementType>,
        scope: Option<Index>,
        problems: &mut Problems,
    ) {
        let id = non_empty(node, "id").unwrap_or_default();
        if id.is_empty() {
            problems.add(node, "the attribute 'id' is required and must not be empty");
        }
        let index = self.nodes.len();
        self.by_id.entry(id).or_insert(index);
        if let Some(scope) = scope {
            self.nodes[scope].children.push(index);
        }
        self.nodes.push(FlowNode {
            node,
            id,
            kind,
            scope,
            children: Vec::new(),
            boundary_events: Vec::new(),
            attached_to: None,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            associated: Vec::new(),
        });
    }

    fn attach_boundary_events(&mut self, problems: &mut Problems) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].kind != Some(ElementType::BoundaryEvent) {
                continue;
            }
            let (node, scope) = (self.nodes[index].node, self.nodes[index].scope);
            let Some(reference) = non_empty(node, "attachedToRef") else {
                problems.add(
                    node,
                    "Must be attached to an activity: 'attachedToRef' is required",
                );
                continue;
            };
            match self.resolve(reference) {
                Some(activity) if self.nodes[activity].scope == scope && activity != index => {
                    self.nodes[index].attached_to = Some(activity);
                    self.nodes[activity].boundary_events.push(index);
                }
                _ => problems.add(
                    node,
                    format!(
                        "Must be attached to an activity in the same scope, and there is no '{}'",
                        quote(reference)
                    ),
                ),
            }
        }
    }

    fn connect(&mut self, flows: &[Node<'a>], problems: &mut Problems) {
        for &node in flows {
            let id = non_empty(node, "id").unwrap_or_default();
            if id.is_empty() {
                problems.add(node, "the attribute 'id' is required and must not be empty");
            }
            let source = self.flow_end(node, "sourceRef", problems);
            let target = self.flow_end(node, "targetRef", problems);
            let (Some(source), Some(target)) = (source, target) else {
                continue;
            };
            if self.nodes[source].scope != self.nodes[target].scope {
                problems.add(node, "must not cross the border of a sub-process");
                continue;
            }
            let flow = self.flows.len();
            self.nodes[source].outgoing.push(flow);
            self.nodes[target].incoming.push(flow);
            self.flows.push(DraftFlow {
                node,
                id,
                source,
                target,
            });
        }
    }

    fn associate(&mut self, associations: &[Node<'a>]) {
        for node in associations {
            let end = |attribute| self.resolve(node.attribute(attribute)?);
            // Most associations lead to a text annotation, which is no flow node.
            if let (Some(source), Some(target)) = (end("sourceRef"), end("targetRef")) {
                self.nodes[source].associated.push(target);
            }
        }
    }

    fn flow_end(&self, node: Node<'a>, attribute: &str, problems: &mut Problems) -> Option<Index> {
        let Some(reference) = non_empty(node, attribute) else {
            problems.add(node, format!("the attribute '{attribute}' is required"));
            return None;
        };
        let end = self.resolve(reference).filter(|&index| index != 0);
        if end.is_none() {
            let reference = quote(reference);
            problems.add(
                node,
                format!(
                    "'{attribute}' refers to '{reference}', which is no flow node of this process"
                ),
            );
        }
        end
    }

    /// The node that a reference names, which may be qualified by a prefix.
    pub(crate) fn resolve(&self, reference: &str) -> Option<Index> {
        let local = || {
            reference
                .rsplit_once(':')
                .and_then(|(_, local)| self.by_id.get(local))
        };
        self.by_id.get(reference).or_else(local).copied()
    }

    pub(crate) fn is_scope(&self, index: Index) -> bool {
        matches!(
            self.nodes[index].kind,
            Some(ElementType::Process | ElementType::SubProcess | ElementType::EventSubProcess)
        )
    }

    /// Nodes of one kind, with their numbers.
    pub(crate) fn of_kind(
        &self,
        kind: ElementType,
    ) -> impl Iterator<Item = (Index, &FlowNode<'a>)> {
        self.nodes
            .iter()
            .enumerate()
            .filter(move |(_, node)| node.kind == Some(kind))
    }

    /// The children of a scope that are of one kind.
    pub(crate) fn children_of_kind(
        &self,
        scope: &FlowNode<'a>,
        kind: ElementType,
    ) -> impl Iterator<Item = Index> {
        scope
            .children
            .iter()
            .copied()
            .filter(move |&child| self.nodes[child].kind == Some(kind))
    }
}

/// What an element inside of a process is to us.
enum Part {
    SequenceFlow,
    Association,
    FlowNode(Option<ElementType>),
    Other,
    Unknown,
}

fn part(node: Node<'_>) -> Part {
    use ElementType as Type;
    let kind = match node.tag_name().name() {
        "process" => Type::Process,
        "subProcess" if flag(node, "triggeredByEvent", false) => Type::EventSubProcess,
        "subProcess" => Type::SubProcess,
        "startEvent" => Type::StartEvent,
        "intermediateCatchEvent" => Type::IntermediateCatchEvent,
        "intermediateThrowEvent" => Type::IntermediateThrowEvent,
        "boundaryEvent" => Type::BoundaryEvent,
        "endEvent" => Type::EndEvent,
        "serviceTask" => Type::ServiceTask,
        "sendTask" => Type::SendTask,
        "scriptTask" => Type::ScriptTask,
        "businessRuleTask" => Type::BusinessRuleTask,
        "userTask" => Type::UserTask,
        "receiveTask" => Type::ReceiveTask,
        "manualTask" => Type::ManualTask,
        "task" => Type::Task,
        "callActivity" => Type::CallActivity,
        "exclusiveGateway" => Type::ExclusiveGateway,
        "inclusiveGateway" => Type::InclusiveGateway,
        "parallelGateway" => Type::ParallelGateway,
        "eventBasedGateway" => Type::EventBasedGateway,
        "transaction" | "adHocSubProcess" | "complexGateway" | "implicitThrowEvent" | "event"
        | "callChoreography" | "choreographyTask" | "subChoreography" => {
            return Part::FlowNode(None);
        }
        "sequenceFlow" => return Part::SequenceFlow,
        "association" => return Part::Association,
        "group"
        | "textAnnotation"
        | "documentation"
        | "extensionElements"
        | "laneSet"
        | "dataObject"
        | "dataObjectReference"
        | "property"
        | "dataStoreReference"
        | "auditing"
        | "monitoring"
        | "ioSpecification"
        | "ioBinding"
        | "dataInputAssociation"
        | "dataOutputAssociation"
        | "incoming"
        | "outgoing"
        | "multiInstanceLoopCharacteristics"
        | "standardLoopCharacteristics"
        | "supportedInterfaceRef"
        | "resourceRole"
        | "performer"
        | "humanPerformer"
        | "potentialOwner"
        | "correlationSubscription"
        | "supports" => return Part::Other,
        _ => return Part::Unknown,
    };
    Part::FlowNode(Some(kind))
}

pub(crate) fn in_bpmn(node: Node<'_>) -> bool {
    node.is_element() && node.tag_name().namespace() == Some(BPMN)
}

pub(crate) fn is_bpmn(node: Node<'_>, name: &str) -> bool {
    in_bpmn(node) && node.tag_name().name() == name
}

/// BPMN children of one name.
pub(crate) fn children<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> {
    node.children().filter(move |child| is_bpmn(*child, name))
}

pub(crate) fn child<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    children(node, name).next()
}

/// Zeebe's extension elements of one name.
pub(crate) fn extensions<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> {
    children(node, "extensionElements").flat_map(move |elements| zeebe_children(elements, name))
}

pub(crate) fn extension<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    extensions(node, name).next()
}

/// Children of an extension element.
pub(crate) fn zeebe_children<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> {
    node.children().filter(move |child| {
        child.is_element()
            && child.tag_name().namespace() == Some(ZEEBE)
            && child.tag_name().name() == name
    })
}

/// The kind of an event definition; `None` for those that Zeebe does not know.
pub(crate) fn event_type(definition: Node<'_>) -> Option<EventType> {
    Some(match definition.tag_name().name() {
        "messageEventDefinition" => EventType::Message,
        "timerEventDefinition" => EventType::Timer,
        "signalEventDefinition" => EventType::Signal,
        "errorEventDefinition" => EventType::Error,
        "escalationEventDefinition" => EventType::Escalation,
        "linkEventDefinition" => EventType::Link,
        "compensateEventDefinition" => EventType::Compensation,
        "terminateEventDefinition" => EventType::Terminate,
        _ => return None,
    })
}

/// The event definitions of an event.
pub(crate) fn event_definitions(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.children()
        .filter(|child| in_bpmn(*child) && child.tag_name().name().ends_with("EventDefinition"))
}

/// An attribute that says something.
pub(crate) fn non_empty<'a>(node: Node<'a>, name: &str) -> Option<&'a str> {
    node.attribute(name).filter(|value| !value.is_empty())
}

/// An attribute of type `xsd:boolean`.
pub(crate) fn flag(node: Node<'_>, name: &str, default: bool) -> bool {
    match node.attribute(name).map(str::trim) {
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        _ => default,
    }
}

/// The text of an element, without what surrounds it.
pub(crate) fn content(node: Node<'_>) -> String {
    let text: String = node
        .children()
        .filter(|child| child.is_text())
        .filter_map(|child| child.text())
        .collect();
    text.trim().to_owned()
}

//! From a draft that keeps the rules to the model.
//!
//! Owns the reading of expressions and times, and the turning of names into indexes. What cannot be
//! read is reported, all of it; the model is built only if nothing was.
//!
//! Invariant: a function that gives `None` has reported a problem, or relies on a rule of `validate`
//! that would have.

mod events;
mod expressions;
mod tasks;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::document::{
    Document, Draft, DraftFlow, FlowNode, Index, child, content, event_definitions, event_type,
    extension, extensions, flag, non_empty, zeebe_children,
};
use crate::model::{
    Element, ElementIndex, ElementKind, ElementType, EventBasedGateway, EventType,
    ExecutionListener, Flow, FlowIndex, ForkingGateway, InputMapping, ListenerEvent, MultiInstance,
    OutputMapping, Path, Process, Scope, Text, UserTaskForm,
};
use crate::validate::gateways::names;
use skep_xml::Problems;

/// Builds the model of a process; `None` if there are problems.
pub(crate) fn compile(
    document: &Document<'_>,
    draft: &Draft<'_>,
    problems: &mut Problems,
) -> Option<Process> {
    let mut compiler = Compiler {
        document,
        draft,
        problems,
        link_catches: link_catches(draft),
        shared_texts: BTreeMap::new(),
    };
    // Collected in full before anything is given up, so that all problems are found.
    let elements: Vec<Option<Element>> = (0..draft.nodes.len())
        .map(|index| compiler.element(index))
        .collect();
    let flows: Vec<Option<Flow>> = (0..draft.flows.len())
        .map(|index| compiler.flow(index))
        .collect();
    let elements: Vec<Element> = elements.into_iter().collect::<Option<_>>()?;
    let flows: Vec<Flow> = flows.into_iter().collect::<Option<_>>()?;
    let root = &draft.nodes[0];
    Some(Process {
        id: elements[0].id.clone(),
        name: elements[0].name.clone(),
        version_tag: extension(root.node, "versionTag")
            .and_then(|tag| non_empty(tag, "value"))
            .map(Arc::from),
        user_task_forms: user_task_forms(root),
        elements_by_id: elements
            .iter()
            .map(|element| (element.id.clone(), element.index))
            .collect(),
        flows_by_id: flows
            .iter()
            .map(|flow| (flow.id.clone(), flow.index))
            .collect(),
        elements,
        flows,
    })
}

struct Compiler<'c, 'a> {
    document: &'c Document<'a>,
    draft: &'c Draft<'a>,
    problems: &'c mut Problems,
    /// The catch events of links, by scope and name.
    link_catches: BTreeMap<(Option<Index>, &'a str), ElementIndex>,
    /// Texts of messages, signals, errors and escalations, by XML node and attribute. Thousands of
    /// events may refer to one definition, and must not copy it thousands of times.
    shared_texts: BTreeMap<(u32, &'static str), Option<Text>>,
}

fn link_catches<'a>(draft: &Draft<'a>) -> BTreeMap<(Option<Index>, &'a str), ElementIndex> {
    let mut catches = BTreeMap::new();
    for (index, event) in draft.of_kind(ElementType::IntermediateCatchEvent) {
        for definition in event_definitions(event.node) {
            if event_type(definition) == Some(EventType::Link)
                && let Some(name) = non_empty(definition, "name")
            {
                catches.insert((event.scope, name), element_index(index));
            }
        }
    }
    catches
}

fn user_task_forms(process: &FlowNode<'_>) -> Vec<UserTaskForm> {
    extensions(process.node, "userTaskForm")
        .filter_map(|form| {
            let id = non_empty(form, "id")?;
            Some(UserTaskForm {
                id: id.into(),
                text: content(form).into(),
            })
        })
        .collect()
}

fn element_index(index: Index) -> ElementIndex {
    ElementIndex(u32::try_from(index).expect("a process has fewer elements than that"))
}

fn flow_index(index: usize) -> FlowIndex {
    FlowIndex(u32::try_from(index).expect("a document has fewer elements than that"))
}

fn element_indexes(indexes: &[Index]) -> Vec<ElementIndex> {
    indexes.iter().copied().map(element_index).collect()
}

fn flow_indexes(indexes: &[usize]) -> Vec<FlowIndex> {
    indexes.iter().copied().map(flow_index).collect()
}

impl<'a> Compiler<'_, 'a> {
    fn element(&mut self, index: Index) -> Option<Element> {
        let draft = self.draft;
        let node = &draft.nodes[index];
        // Each part is tried before any is missed.
        let inputs = self.inputs(node);
        let outputs = self.outputs(node);
        let listeners = self.listeners(node);
        let multi_instance = self.multi_instance(node);
        let kind = self.kind(index, node);
        Some(Element {
            index: element_index(index),
            id: node.id.into(),
            name: non_empty(node.node, "name").map(Arc::from),
            flow_scope: node.scope.map(element_index),
            incoming: flow_indexes(&node.incoming),
            outgoing: flow_indexes(&node.outgoing),
            boundary_events: element_indexes(&node.boundary_events),
            inputs: inputs?,
            outputs: outputs?,
            listeners: listeners?,
            multi_instance: multi_instance?,
            is_for_compensation: flag(node.node, "isForCompensation", false),
            kind: kind?,
        })
    }

    fn kind(&mut self, index: Index, node: &FlowNode<'a>) -> Option<ElementKind> {
        Some(match node.kind? {
            ElementType::Process => ElementKind::Process(self.scope(index)),
            ElementType::SubProcess => ElementKind::SubProcess(self.scope(index)),
            ElementType::EventSubProcess => ElementKind::EventSubProcess(self.scope(index)),
            ElementType::StartEvent => ElementKind::StartEvent(self.start_event(node)?),
            ElementType::IntermediateCatchEvent => {
                ElementKind::IntermediateCatchEvent(self.catch_event(node)?)
            }
            ElementType::IntermediateThrowEvent => {
                ElementKind::IntermediateThrowEvent(self.throw_event(node)?)
            }
            ElementType::BoundaryEvent => ElementKind::BoundaryEvent(self.boundary_event(node)?),
            ElementType::EndEvent => ElementKind::EndEvent(self.end_event(node)?),
            ElementType::ServiceTask => ElementKind::ServiceTask(self.job(node)?),
            ElementType::SendTask => ElementKind::SendTask(self.job(node)?),
            ElementType::ScriptTask => ElementKind::ScriptTask(self.script_task(node)?),
            ElementType::BusinessRuleTask => {
                ElementKind::BusinessRuleTask(self.business_rule_task(node)?)
            }
            ElementType::UserTask => ElementKind::UserTask(self.user_task(node)?),
            ElementType::ReceiveTask => ElementKind::ReceiveTask(self.message(node.node)?),
            ElementType::ManualTask => ElementKind::ManualTask,
            ElementType::Task => ElementKind::Task,
            ElementType::CallActivity => ElementKind::CallActivity(self.call_activity(node)?),
            ElementType::ExclusiveGateway => ElementKind::ExclusiveGateway(self.forking(node)),
            ElementType::InclusiveGateway => ElementKind::InclusiveGateway(self.forking(node)),
            ElementType::ParallelGateway => ElementKind::ParallelGateway,
            ElementType::EventBasedGateway => {
                let events = node
                    .outgoing
                    .iter()
                    .map(|&flow| self.draft.flows[flow].target);
                ElementKind::EventBasedGateway(EventBasedGateway {
                    events: events.map(element_index).collect(),
                })
            }
        })
    }

    fn scope(&self, index: Index) -> Scope {
        let node = &self.draft.nodes[index];
        let of_kind = |kind| -> Vec<ElementIndex> {
            self.draft
                .children_of_kind(node, kind)
                .map(element_index)
                .collect()
        };
        let none_start = self
            .draft
            .children_of_kind(node, ElementType::StartEvent)
            .find(|&start| {
                event_definitions(self.draft.nodes[start].node)
                    .next()
                    .is_none()
            });
        Scope {
            children: element_indexes(&node.children),
            start_events: of_kind(ElementType::StartEvent),
            none_start: none_start.map(element_index),
            event_sub_processes: of_kind(ElementType::EventSubProcess),
            inclusive_joins: of_kind(ElementType::InclusiveGateway)
                .into_iter()
                .filter(|gateway| self.draft.nodes[gateway.0 as usize].incoming.len() > 1)
                .collect(),
        }
    }

    fn forking(&self, gateway: &FlowNode<'a>) -> ForkingGateway {
        let default_flow = gateway.node.attribute("default").and_then(|default| {
            let mut flows = gateway.outgoing.iter();
            flows
                .find(|&&flow| names(default, self.draft.flows[flow].id))
                .copied()
        });
        ForkingGateway {
            default_flow: default_flow.map(flow_index),
        }
    }

    fn flow(&mut self, index: usize) -> Option<Flow> {
        let draft = self.draft;
        let flow: &DraftFlow<'a> = &draft.flows[index];
        let condition = match child(flow.node, "conditionExpression") {
            Some(condition) => Some(self.expression_of_content(condition, "conditionExpression")?),
            None => None,
        };
        Some(Flow {
            index: flow_index(index),
            id: flow.id.into(),
            source: element_index(flow.source),
            target: element_index(flow.target),
            condition,
        })
    }

    fn inputs(&mut self, node: &FlowNode<'a>) -> Option<Vec<InputMapping>> {
        let inputs =
            extensions(node.node, "ioMapping").flat_map(|mapping| zeebe_children(mapping, "input"));
        let inputs: Vec<Option<InputMapping>> = inputs
            .map(|input| {
                let source = self.text(input, "source")?;
                Some(InputMapping {
                    source,
                    target: path(non_empty(input, "target")?),
                })
            })
            .collect();
        inputs.into_iter().collect()
    }

    fn outputs(&mut self, node: &FlowNode<'a>) -> Option<Vec<OutputMapping>> {
        let outputs = extensions(node.node, "ioMapping")
            .flat_map(|mapping| zeebe_children(mapping, "output"));
        let outputs: Vec<Option<OutputMapping>> = outputs
            .map(|output| {
                let source = self.expression(output, "source")?;
                Some(OutputMapping {
                    source,
                    target: path(non_empty(output, "target")?),
                })
            })
            .collect();
        outputs.into_iter().collect()
    }

    fn listeners(&mut self, node: &FlowNode<'a>) -> Option<Vec<ExecutionListener>> {
        let listeners = extensions(node.node, "executionListeners")
            .flat_map(|listeners| zeebe_children(listeners, "executionListener"));
        let listeners: Vec<Option<ExecutionListener>> = listeners
            .map(|listener| {
                let event = match listener.attribute("eventType")? {
                    "start" => ListenerEvent::Start,
                    _ => ListenerEvent::End,
                };
                let (job_type, retries) = (self.text(listener, "type"), self.retries(listener));
                Some(ExecutionListener {
                    event,
                    job_type: job_type?,
                    retries: retries?,
                })
            })
            .collect();
        listeners.into_iter().collect()
    }

    /// The outer option is for problems, the inner one for activities that are executed once.
    #[expect(
        clippy::option_option,
        reason = "a problem is not the same as no multi-instance"
    )]
    fn multi_instance(&mut self, node: &FlowNode<'a>) -> Option<Option<MultiInstance>> {
        let Some(characteristics) = child(node.node, "multiInstanceLoopCharacteristics") else {
            return Some(None);
        };
        let looping = extension(characteristics, "loopCharacteristics")?;
        let completion_condition = child(characteristics, "completionCondition")
            .map(|condition| self.expression_of_content(condition, "completionCondition"));
        let input_collection = self.expression(looping, "inputCollection");
        let output_element =
            non_empty(looping, "outputElement").map(|_| self.expression(looping, "outputElement"));
        let output_element = match output_element {
            Some(parsed) => Some(parsed?),
            None => None,
        };
        let name = |attribute| non_empty(looping, attribute).map(Arc::from);
        Some(Some(MultiInstance {
            sequential: flag(characteristics, "isSequential", false),
            input_collection: input_collection?,
            input_element: name("inputElement"),
            output_collection: name("outputCollection"),
            output_element_variable: output_element
                .as_ref()
                .and_then(|expression| expressions::variable_of(expression.source())),
            output_element,
            completion_condition: match completion_condition {
                Some(parsed) => Some(parsed?),
                None => None,
            },
        }))
    }
}

fn path(text: &str) -> Path {
    text.split('.').map(Arc::from).collect()
}

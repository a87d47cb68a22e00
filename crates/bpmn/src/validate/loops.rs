//! Loops in which nothing ever waits.
//!
//! Such a loop would keep a partition busy for ever with one instance. A loop of gateways alone is
//! allowed, as in Zeebe; one that holds a task that passes through, a throw event or a call activity
//! is refused. A call activity leads into the called process if that is in the same resource: this
//! catches a process that calls itself.

use std::collections::{BTreeMap, VecDeque};

use crate::document::Draft;
use crate::model::{Element, ElementIndex, ElementKind, Process, Text, ThrowEvent};
use skep_xml::Problems;

pub(crate) fn check(processes: &[Process], drafts: &[Draft<'_>], problems: &mut Problems) {
    let graph = Graph::new(processes);
    let components = graph.components();
    let mut reported = vec![false; processes.len()];
    for vertex in 0..graph.elements.len() {
        let (process, element) = graph.elements[vertex];
        if reported[process] || !alone_is_refused(element) {
            continue;
        }
        if let Some(path) = graph.way_back(vertex, &components) {
            reported[process] = true;
            let ids: Vec<&str> = path
                .iter()
                .map(|&step| &*graph.elements[step].1.id)
                .collect();
            problems.add(
                drafts[process].nodes[0].node,
                format!(
                    "Processes are not allowed to contain a straight-through processing loop: {}",
                    ids.join(" > ")
                ),
            );
        }
    }
}

/// Whether an element is left in the same step in which it is entered.
fn passes_through(element: &Element) -> bool {
    // A listener is a job to wait for.
    element.listeners.is_empty()
        && match &element.kind {
            ElementKind::ManualTask
            | ElementKind::Task
            | ElementKind::ExclusiveGateway(_)
            | ElementKind::InclusiveGateway(_)
            | ElementKind::ParallelGateway
            | ElementKind::StartEvent(_)
            | ElementKind::EndEvent(_)
            | ElementKind::SubProcess(_)
            | ElementKind::CallActivity(_) => true,
            ElementKind::IntermediateThrowEvent(throw) => !matches!(throw, ThrowEvent::Message(_)),
            _ => false,
        }
}

fn alone_is_refused(element: &Element) -> bool {
    matches!(
        element.kind,
        ElementKind::ManualTask
            | ElementKind::Task
            | ElementKind::CallActivity(_)
            | ElementKind::IntermediateThrowEvent(_)
    )
}

/// What follows what without waiting, over all processes of a resource.
struct Graph<'a> {
    /// The number of its process and the element, for each vertex.
    elements: Vec<(usize, &'a Element)>,
    next: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(processes: &'a [Process]) -> Self {
        let mut elements = Vec::new();
        let mut vertices = BTreeMap::new();
        for (number, process) in processes.iter().enumerate() {
            for element in process
                .elements
                .iter()
                .filter(|element| passes_through(element))
            {
                vertices.insert((number, element.index), elements.len());
                elements.push((number, element));
            }
        }
        let by_id: BTreeMap<&str, usize> = processes
            .iter()
            .enumerate()
            .map(|(number, process)| (&*process.id, number))
            .collect();
        let next = elements
            .iter()
            .map(|&(number, element)| {
                let followers = followers(processes, &by_id, number, element);
                followers
                    .iter()
                    .filter_map(|follower| vertices.get(follower).copied())
                    .collect()
            })
            .collect();
        Graph { elements, next }
    }

    /// For each vertex, the number of the set of vertices that reach one another; found in time linear
    /// in the graph (Tarjan's algorithm, with a stack of its own instead of recursion).
    fn components(&self) -> Vec<usize> {
        let mut search = Search::new(self.elements.len());
        for root in 0..self.elements.len() {
            search.run(root, &self.next);
        }
        search.component
    }

    /// The shortest way from a vertex back to itself, both ends included.
    fn way_back(&self, start: usize, components: &[usize]) -> Option<Vec<usize>> {
        let mut came_from = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(vertex) = queue.pop_front() {
            for &next in &self.next[vertex] {
                if components[next] != components[start] || came_from.contains_key(&next) {
                    continue;
                }
                came_from.insert(next, vertex);
                if next == start {
                    return Some(unwind(start, &came_from));
                }
                queue.push_back(next);
            }
        }
        None
    }
}

fn unwind(start: usize, came_from: &BTreeMap<usize, usize>) -> Vec<usize> {
    let mut path = vec![start];
    let mut vertex = came_from[&start];
    while vertex != start {
        path.push(vertex);
        vertex = came_from[&vertex];
    }
    path.push(start);
    path.reverse();
    path
}

/// The elements that are entered when an element is left, or, for a scope, when it is entered.
fn followers(
    processes: &[Process],
    by_id: &BTreeMap<&str, usize>,
    number: usize,
    element: &Element,
) -> Vec<(usize, ElementIndex)> {
    let process = &processes[number];
    let targets = |element: &Element| -> Vec<(usize, ElementIndex)> {
        element
            .outgoing
            .iter()
            .map(|&flow| (number, process.flow(flow).target))
            .collect()
    };
    match &element.kind {
        ElementKind::SubProcess(scope) => scope
            .none_start
            .iter()
            .map(|&start| (number, start))
            .collect(),
        ElementKind::CallActivity(call) => {
            let Text::Static(id) = &call.process_id else {
                return Vec::new();
            };
            let Some(&called) = by_id.get(&**id) else {
                return Vec::new();
            };
            processes[called]
                .none_start()
                .map(|start| (called, start.index))
                .into_iter()
                .collect()
        }
        ElementKind::IntermediateThrowEvent(ThrowEvent::Link(catch)) => {
            // The catch event itself does not wait.
            targets(process.element(*catch))
        }
        _ if element.outgoing.is_empty() => {
            // The end of a path may be the end of the scope.
            let scope = element.flow_scope.map(|scope| process.element(scope));
            scope.map(targets).unwrap_or_default()
        }
        _ => targets(element),
    }
}

/// The state of Tarjan's search for strongly connected components.
struct Search {
    component: Vec<usize>,
    order: Vec<usize>,
    lowest: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    visited: usize,
    components: usize,
}

const UNVISITED: usize = usize::MAX;

impl Search {
    fn new(vertices: usize) -> Self {
        Search {
            component: vec![UNVISITED; vertices],
            order: vec![UNVISITED; vertices],
            lowest: vec![UNVISITED; vertices],
            on_stack: vec![false; vertices],
            stack: Vec::new(),
            visited: 0,
            components: 0,
        }
    }

    fn run(&mut self, root: usize, next: &[Vec<usize>]) {
        if self.order[root] != UNVISITED {
            return;
        }
        // Each entry is a vertex and how many of its followers have been looked at.
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((vertex, looked_at)) = path.last_mut() {
            let vertex = *vertex;
            if let Some(&follower) = next[vertex].get(*looked_at) {
                *looked_at += 1;
                if self.order[follower] == UNVISITED {
                    self.enter(follower);
                    path.push((follower, 0));
                } else if self.on_stack[follower] {
                    self.lowest[vertex] = self.lowest[vertex].min(self.order[follower]);
                }
                continue;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                self.lowest[parent] = self.lowest[parent].min(self.lowest[vertex]);
            }
            if self.lowest[vertex] == self.order[vertex] {
                self.close(vertex);
            }
        }
    }

    fn enter(&mut self, vertex: usize) {
        self.order[vertex] = self.visited;
        self.lowest[vertex] = self.visited;
        self.visited += 1;
        self.stack.push(vertex);
        self.on_stack[vertex] = true;
    }

    fn close(&mut self, root: usize) {
        while let Some(vertex) = self.stack.pop() {
            self.on_stack[vertex] = false;
            self.component[vertex] = self.components;
            if vertex == root {
                break;
            }
        }
        self.components += 1;
    }
}

//! From documents to a model: references, types, cycles, programs.

mod graph;
mod service;

use std::cell::Cell;
use std::sync::Arc;

use skep_feel::{Boxed, Expression, Kind, Types};
use skep_xml::{Problems, quote};

use crate::limits::{IMPORTS_MAX, MEMBER_NAMES_MAX, NAMES_TRIED_MAX, SERVICES_MAX};
use crate::model::{DecisionLogic, Logic, Model, Need, Node};
use crate::read::boxes::Reader;
use crate::read::types::{self, TypeTable};
use crate::read::{self, Draft, GraphNode, NodeKind, child};
use crate::{Dialect, Rejection};

use graph::Graph;

/// Reads a resource and those that it imports, and compiles them.
pub(crate) fn parse(
    resource_name: &str,
    xml: &[u8],
    imported: &[&[u8]],
    dialect: Dialect,
) -> Result<Model, Rejection> {
    let unreadable = |error| Rejection::unreadable(resource_name, error);
    let resources = std::iter::once(&xml).chain(imported);
    let texts: Result<Vec<_>, _> = resources.map(|bytes| skep_xml::text(bytes)).collect();
    let texts = texts.map_err(unreadable)?;
    let trees: Result<Vec<_>, _> = texts.iter().map(|text| skep_xml::tree(text)).collect();
    let trees = trees.map_err(unreadable)?;
    let mut problems = Problems::default();
    let mut drafts = Vec::with_capacity(trees.len());
    for tree in &trees {
        drafts.extend(Draft::read(tree, dialect, &mut problems));
    }
    let model = match problems.is_empty() {
        true => compile(&drafts, dialect, &mut problems),
        false => None,
    };
    match model {
        Some(model) if problems.is_empty() => Ok(model),
        _ => Err(Rejection::invalid(resource_name, problems.into_list())),
    }
}

/// What all nodes of one document share.
struct Shared {
    types: TypeTable,
    for_expressions: Types,
    /// Names of several words that may stand behind a point.
    members: Vec<Arc<str>>,
}

/// The drafts' nodes in one model; the first draft is the resource itself.
fn compile(drafts: &[Draft<'_>], dialect: Dialect, problems: &mut Problems) -> Option<Model> {
    let main = drafts.first()?;
    if drafts.len() > IMPORTS_MAX {
        let text = format!("Must not import more than {IMPORTS_MAX} models");
        problems.add(main.definitions, text);
        return None;
    }
    let graph = Graph::of(drafts, problems);
    let shared = shared(drafts, problems);
    if !problems.is_empty() {
        return None;
    }
    let of_kind = |kind: NodeKind| -> Vec<usize> {
        let own = main.nodes.iter().enumerate();
        own.filter(|(_, node)| node.kind == kind)
            .map(|(at, _)| at)
            .collect()
    };
    let services = of_kind(NodeKind::Service);
    if services.len() > SERVICES_MAX {
        let text = format!("Must not contain more than {SERVICES_MAX} decision services");
        problems.add(main.definitions, text);
    }
    if !problems.is_empty() {
        return None;
    }
    let mut nodes = Vec::new();
    let names_tried = Cell::new(0);
    for (at, draft) in drafts.iter().enumerate() {
        let compiler = Compiler {
            dialect,
            graph: &graph,
            draft,
            draft_index: at,
            shared: &shared[at],
            names_tried: &names_tried,
        };
        for node in &draft.nodes {
            nodes.push(compiler.node(node, nodes.len(), problems));
        }
    }
    Some(Model {
        id: main.id.into(),
        name: main.name.into(),
        namespace: main.namespace.into(),
        decisions: of_kind(NodeKind::Decision),
        services,
        nodes,
    })
}

/// Types of each draft; those of imports first, whatever their order.
fn shared(drafts: &[Draft<'_>], problems: &mut Problems) -> Vec<Shared> {
    let mut tables: Vec<Option<TypeTable>> = drafts.iter().map(|_| None).collect();
    for _ in drafts {
        for (at, draft) in drafts.iter().enumerate() {
            if tables[at].is_some() {
                continue;
            }
            let mut imports = Vec::new();
            let ready = draft.imports.iter().all(|import| {
                let other = drafts
                    .iter()
                    .position(|other| other.namespace == import.namespace);
                let Some(other) = other.filter(|other| *other != at) else {
                    return true;
                };
                let Some(table) = &tables[other] else {
                    return false;
                };
                imports.push((import.name, table));
                true
            });
            if ready {
                tables[at] = Some(TypeTable::of(draft, &imports, problems));
            }
        }
    }
    let mut shared = Vec::new();
    for (table, draft) in tables.into_iter().zip(drafts) {
        let Some(types) = table else {
            problems.add(
                draft.definitions,
                "Models must not import each other in a circle",
            );
            continue;
        };
        shared.push(Shared {
            for_expressions: types.for_expressions(),
            members: members(draft, &types),
            types,
        });
    }
    shared
}

/// Names of components, outputs and entries that are no single words.
fn members(draft: &Draft<'_>, types: &TypeTable) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = types.members.clone();
    let named = draft.definitions.descendants().filter(|node| {
        let inside_entry = |node: read::Node<'_>| {
            let parent = node.parent_element();
            parent.is_some_and(|parent| parent.tag_name().name() == "contextEntry")
        };
        match node.tag_name().name() {
            "output" | "column" => true,
            "variable" => inside_entry(*node),
            _ => false,
        }
    });
    found.extend(named.filter_map(|node| read::attribute(node, "name").map(Arc::from)));
    found.retain(|name| name.contains(|c: char| !c.is_alphanumeric() && c != '_'));
    found.sort();
    found.dedup();
    found.truncate(MEMBER_NAMES_MAX);
    found
}

/// Compiles the nodes of one document.
struct Compiler<'c, 'a> {
    dialect: Dialect,
    graph: &'c Graph,
    draft: &'c Draft<'a>,
    draft_index: usize,
    shared: &'c Shared,
    /// How often expressions were compared with names so far.
    names_tried: &'c Cell<usize>,
}

impl<'a> Compiler<'_, 'a> {
    fn reader(&self) -> Reader<'_> {
        Reader {
            dialect: self.dialect,
            types: &self.shared.types,
        }
    }

    fn node(&self, node: &GraphNode<'a>, index: usize, problems: &mut Problems) -> Node {
        let mut needs = self.graph.needs[index].clone();
        let logic = match node.kind {
            NodeKind::Input => {
                let kind = self.reader().declared(node.type_ref);
                Logic::Input(node.variable.into(), kind)
            }
            NodeKind::Decision => {
                let boxed = self.decision(node, problems);
                Logic::Decision {
                    expression: self.program(node, &boxed, &needs, problems),
                    logic: decision_logic(node),
                }
            }
            NodeKind::Knowledge => {
                let boxed = self.knowledge(node, problems);
                Logic::Knowledge(self.program(node, &boxed, &needs, problems))
            }
            NodeKind::Service => {
                let service = self.service(node, problems);
                needs = service.needs;
                Logic::Service {
                    function: self.program(node, &service.function, &needs, problems),
                    call: self.program(node, &service.call, &needs, problems),
                }
            }
        };
        Node {
            id: node.id.into(),
            name: node.name.into(),
            version_tag: node.version_tag.map(Arc::from),
            logic,
            needs,
        }
    }

    fn decision(&self, node: &GraphNode<'a>, problems: &mut Problems) -> Boxed<'a> {
        let reader = self.reader();
        let boxed = reader.inside(node.xml, problems);
        if self.dialect == Dialect::Standard {
            return boxed.typed(reader.declared(node.type_ref));
        }
        if matches!(boxed, Boxed::Nothing) && child(node.xml, "literalExpression").is_none() {
            problems.add(
                node.xml,
                "Must contain a decision table or another expression",
            );
        }
        match node.type_ref.and_then(types::built_in_of_zeebe) {
            Some(kind) => Boxed::Checked(Box::new(boxed), kind),
            None => boxed,
        }
    }

    fn knowledge(&self, node: &GraphNode<'a>, problems: &mut Problems) -> Boxed<'a> {
        let reader = self.reader();
        let Some(logic) = child(node.xml, "encapsulatedLogic") else {
            return Boxed::Nothing;
        };
        match reader.function(logic, problems) {
            Boxed::Function { parameters, body } => Boxed::Function {
                parameters,
                body: Box::new(body.typed(self.result_kind(node))),
            },
            other => other,
        }
    }

    /// The type of what a function gives, whose variable has either the function's type or that of its result.
    fn result_kind(&self, node: &GraphNode<'_>) -> Option<Kind> {
        if self.dialect == Dialect::Zeebe {
            return None;
        }
        let resolved = self.shared.types.get(node.type_ref?)?;
        match resolved.kind {
            Kind::Function(_) => resolved.output,
            kind => Some(kind),
        }
    }

    /// The program of a node. In the standard's dialect, what can't be compiled is null.
    fn program(
        &self,
        node: &GraphNode<'a>,
        boxed: &Boxed<'a>,
        needs: &[Need],
        problems: &mut Problems,
    ) -> Expression {
        let mut names: Vec<&str> = Vec::new();
        for need in needs {
            names.extend(need.import.as_deref());
            names.extend(need.names.iter().map(|name| &**name));
        }
        names.extend(self.shared.members.iter().map(|name| &**name));
        let types = &self.shared.for_expressions;
        if self.names_tried.get() > NAMES_TRIED_MAX {
            let text = "The model has too many names of several words that begin alike";
            problems.add(node.xml, text);
            return nothing();
        }
        match Expression::compile(node.name, boxed, &names, types) {
            Ok(expression) => {
                let tried = self.names_tried.get() + expression.names_tried();
                self.names_tried.set(tried);
                expression
            }
            Err(error) => {
                if self.dialect == Dialect::Zeebe {
                    problems.add(node.xml, error.to_string());
                }
                nothing()
            }
        }
    }
}

/// An expression that is null.
fn nothing() -> Expression {
    Expression::parse("null").expect("null can always be compiled")
}

/// How a decision is made, with the names that the record stream has.
fn decision_logic(node: &GraphNode<'_>) -> DecisionLogic {
    if let Some(table) = child(node.xml, "decisionTable") {
        return DecisionLogic::Table(read::table::parts(table));
    }
    const NAMES: [(&str, &str); 7] = [
        ("literalExpression", "LITERAL_EXPRESSION"),
        ("context", "CONTEXT"),
        ("invocation", "INVOCATION"),
        ("list", "LIST"),
        ("relation", "RELATION"),
        ("functionDefinition", "FUNCTION_DEFINITION"),
        ("conditional", "CONDITIONAL"),
    ];
    let found = NAMES
        .iter()
        .find(|(element, _)| child(node.xml, element).is_some());
    DecisionLogic::Expression(found.map_or("UNKNOWN", |(_, name)| name))
}

/// A node as problems show it.
fn shown(node: &GraphNode<'_>) -> String {
    quote(if node.id.is_empty() {
        node.name
    } else {
        node.id
    })
}

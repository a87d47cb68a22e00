//! The parts of DMN in an XML tree, before anything is compiled.
//!
//! Owns what elements and attributes are called. Every version's namespace is accepted, since modellers write all of them and the
//! elements have kept their names.

pub(crate) mod boxes;
pub(crate) mod table;
pub(crate) mod types;

use std::collections::BTreeMap;

use skep_xml::{Problems, quote};

use crate::Dialect;
use crate::limits::{NODES_MAX, REQUIREMENTS_MAX};

/// Namespace of Zeebe's extensions.
const ZEEBE: &str = "http://camunda.org/schema/zeebe/1.0";

/// A node of the tree.
pub(crate) type Node<'a> = roxmltree::Node<'a, 'a>;

/// Whether a namespace is that of DMN's models, 1.1 to 1.6.
fn is_model_namespace(uri: &str) -> bool {
    let version = uri
        .strip_prefix("https://www.omg.org/spec/DMN/")
        .or_else(|| uri.strip_prefix("http://www.omg.org/spec/DMN/"));
    version.is_some_and(|version| {
        let date = version
            .strip_suffix("/MODEL/")
            .or_else(|| version.strip_suffix("/dmn.xsd"));
        date.is_some_and(|date| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// The elements of DMN directly inside of one.
pub(crate) fn children<'a>(node: Node<'a>) -> impl Iterator<Item = Node<'a>> {
    node.children()
        .filter(|child| child.is_element())
        .filter(|child| child.tag_name().namespace().is_some_and(is_model_namespace))
}

pub(crate) fn named<'a>(node: Node<'a>, name: &'a str) -> impl Iterator<Item = Node<'a>> {
    children(node).filter(move |child| child.tag_name().name() == name)
}

pub(crate) fn child<'a>(node: Node<'a>, name: &'a str) -> Option<Node<'a>> {
    named(node, name).next()
}

/// An attribute that says something.
pub(crate) fn attribute<'a>(node: Node<'a>, name: &str) -> Option<&'a str> {
    node.attribute(name)
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// The text that an element holds, as long as no comment interrupts it.
pub(crate) fn content<'a>(node: Node<'a>, problems: &mut Problems) -> &'a str {
    let mut texts = node.children().filter(roxmltree::Node::is_text);
    let text = texts.next().and_then(|text| text.text()).unwrap_or("");
    if texts.next().is_some() {
        problems.add(node, "The text is interrupted by a comment; remove it");
    }
    text
}

/// What the `text` element inside of an element holds.
pub(crate) fn inner_text<'a>(node: Node<'a>, problems: &mut Problems) -> Option<&'a str> {
    child(node, "text").map(|text| content(text, problems))
}

/// Zeebe's tag of a version, among the extensions of an element.
fn version_tag(node: Node<'_>) -> Option<&str> {
    let extensions = named(node, "extensionElements").flat_map(|elements| elements.children());
    let mut tags = extensions
        .filter(|extension| extension.has_tag_name((ZEEBE, "versionTag")))
        .filter_map(|tag| attribute(tag, "value"));
    tags.next()
}

/// What a node of the requirements graph is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NodeKind {
    Input,
    Decision,
    Knowledge,
    Service,
}

/// A node of the requirements graph.
#[derive(Clone, Copy)]
pub(crate) struct GraphNode<'a> {
    pub(crate) xml: Node<'a>,
    pub(crate) kind: NodeKind,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    /// What expressions call it.
    pub(crate) variable: &'a str,
    /// The type of its variable.
    pub(crate) type_ref: Option<&'a str>,
    /// Zeebe's tag of its version.
    pub(crate) version_tag: Option<&'a str>,
}

/// Another model that a model uses under a name.
pub(crate) struct Import<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
}

/// One document.
pub(crate) struct Draft<'a> {
    pub(crate) definitions: Node<'a>,
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) imports: Vec<Import<'a>>,
    pub(crate) nodes: Vec<GraphNode<'a>>,
    /// Places in `nodes` by id.
    pub(crate) by_id: BTreeMap<&'a str, usize>,
}

impl<'a> Draft<'a> {
    /// Reads a document; `None` if it is no DMN.
    pub(crate) fn read(
        tree: &'a roxmltree::Document<'a>,
        dialect: Dialect,
        problems: &mut Problems,
    ) -> Option<Draft<'a>> {
        let definitions = tree.root_element();
        let tag = definitions.tag_name();
        if tag.name() != "definitions" || !tag.namespace().is_some_and(is_model_namespace) {
            problems.add(
                definitions,
                "is no DMN: the root must be 'definitions' of https://www.omg.org/spec/DMN/20191111/MODEL/ or another version's namespace",
            );
            return None;
        }
        let mut draft = Draft {
            definitions,
            id: dialect.id(definitions, problems),
            name: required(definitions, "name", problems),
            namespace: attribute(definitions, "namespace").unwrap_or(""),
            imports: Vec::new(),
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
        };
        draft.collect(dialect, problems);
        Some(draft)
    }

    fn collect(&mut self, dialect: Dialect, problems: &mut Problems) {
        for xml in children(self.definitions) {
            let kind = match xml.tag_name().name() {
                "import" => {
                    self.imports.push(Import {
                        name: attribute(xml, "name").unwrap_or(""),
                        namespace: attribute(xml, "namespace").unwrap_or(""),
                    });
                    continue;
                }
                "inputData" => NodeKind::Input,
                "decision" => NodeKind::Decision,
                "businessKnowledgeModel" => NodeKind::Knowledge,
                "decisionService" => NodeKind::Service,
                _ => continue,
            };
            self.add(xml, kind, dialect, problems);
        }
        if self.nodes.len() > NODES_MAX {
            let text = format!(
                "Must not contain more than {NODES_MAX} decisions, inputs and knowledge models"
            );
            problems.add(self.definitions, text);
        }
        let requirements: usize = self
            .nodes
            .iter()
            .map(|node| requirements(node.xml).count())
            .sum();
        if requirements > REQUIREMENTS_MAX {
            let text = format!("Must not contain more than {REQUIREMENTS_MAX} requirements");
            problems.add(self.definitions, text);
        }
    }

    fn add(&mut self, xml: Node<'a>, kind: NodeKind, dialect: Dialect, problems: &mut Problems) {
        let id = match kind {
            NodeKind::Decision => dialect.id(xml, problems),
            _ => attribute(xml, "id").unwrap_or(""),
        };
        let name = match kind {
            NodeKind::Decision => required(xml, "name", problems),
            _ => attribute(xml, "name").unwrap_or(id),
        };
        let variable = child(xml, "variable");
        let node = GraphNode {
            xml,
            kind,
            id,
            name,
            variable: variable
                .and_then(|variable| attribute(variable, "name"))
                .unwrap_or(name),
            type_ref: variable.and_then(|variable| attribute(variable, "typeRef")),
            version_tag: version_tag(xml),
        };
        if !id.is_empty() && self.by_id.insert(id, self.nodes.len()).is_some() {
            problems.add(xml, format!("The id '{}' is not unique", quote(id)));
        }
        self.nodes.push(node);
    }
}

impl Dialect {
    /// The id of something that Zeebe knows by it.
    fn id<'a>(self, node: Node<'a>, problems: &mut Problems) -> &'a str {
        match self {
            Dialect::Standard => attribute(node, "id").unwrap_or(""),
            Dialect::Zeebe => required(node, "id", problems),
        }
    }
}

fn required<'a>(node: Node<'a>, name: &str, problems: &mut Problems) -> &'a str {
    attribute(node, name).unwrap_or_else(|| {
        problems.add(
            node,
            format!("Attribute '{name}' must be present and not empty"),
        );
        ""
    })
}

/// A reference to a node: the namespace if it is another model's, and the id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference<'a> {
    pub(crate) namespace: Option<&'a str>,
    pub(crate) id: &'a str,
}

impl<'a> Reference<'a> {
    fn of(href: &'a str) -> Reference<'a> {
        match href.rsplit_once('#') {
            Some(("", id)) => Reference {
                namespace: None,
                id,
            },
            Some((namespace, id)) => Reference {
                namespace: Some(namespace),
                id,
            },
            None => Reference {
                namespace: None,
                id: href,
            },
        }
    }
}

/// What a decision or knowledge model requires, with the element that says so.
pub(crate) fn requirements<'a>(node: Node<'a>) -> impl Iterator<Item = (Node<'a>, Reference<'a>)> {
    let of = |requirement: Node<'a>| {
        children(requirement).filter(|child| {
            matches!(
                child.tag_name().name(),
                "requiredInput" | "requiredDecision" | "requiredKnowledge"
            )
        })
    };
    children(node)
        .filter(|child| {
            let name = child.tag_name().name();
            name == "informationRequirement" || name == "knowledgeRequirement"
        })
        .flat_map(of)
        .filter_map(|child| Some((child, Reference::of(attribute(child, "href")?))))
}

/// The elements of a decision service that name nodes, as `inputDecision`.
pub(crate) fn service_references<'a>(
    service: Node<'a>,
    role: &'a str,
) -> impl Iterator<Item = (Node<'a>, Reference<'a>)> {
    named(service, role).filter_map(|child| Some((child, Reference::of(attribute(child, "href")?))))
}

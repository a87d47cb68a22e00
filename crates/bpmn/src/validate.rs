//! The rules that a process keeps before it is executed.
//!
//! Owns the rules of design time, one file for each family. All of them run, so that a modeller sees
//! everything at once. What needs an expression or a time to be read is reported by `compile`.
//!
//! Invariant: a rule only reads, and reports at the element that has to be changed.

mod duplicates;
mod events;
pub(crate) mod gateways;
mod links;
mod listeners;
pub(crate) mod loops;
mod mappings;
mod multi_instance;
mod references;
mod scopes;
mod tasks;
mod user_tasks;

use crate::document::{Document, Draft, Node, extensions, non_empty};
use skep_xml::{Problems, quote};

/// What a rule looks at.
pub(crate) struct Context<'a> {
    pub(crate) document: &'a Document<'a>,
    pub(crate) draft: &'a Draft<'a>,
}

/// Checks all rules on one process.
pub(crate) fn check(context: &Context<'_>, problems: &mut Problems) {
    scopes::check(context, problems);
    events::check(context, problems);
    links::check(context, problems);
    references::check(context, problems);
    duplicates::check(context, problems);
    gateways::check(context, problems);
    tasks::check(context, problems);
    user_tasks::check(context, problems);
    multi_instance::check(context, problems);
    mappings::check(context, problems);
    listeners::check(context, problems);
}

/// The attribute must say something.
fn require<'a>(node: Node<'a>, attribute: &str, problems: &mut Problems) -> Option<&'a str> {
    let value = non_empty(node, attribute);
    if value.is_none() {
        problems.add(
            node,
            format!("Attribute '{attribute}' must be present and not empty"),
        );
    }
    value
}

/// The attribute may be left out, but if it is there it must say something.
fn refuse_empty(node: Node<'_>, attribute: &str, problems: &mut Problems) {
    if node.attribute(attribute) == Some("") {
        problems.add(
            node,
            format!("Attribute '{attribute}' must be present and not empty"),
        );
    }
}

/// Whether a text is to be evaluated.
pub(crate) fn is_expression(text: &str) -> bool {
    text.len() > 1 && text.starts_with('=')
}

/// The attribute, if it is there, must be an expression.
fn require_expression(node: Node<'_>, attribute: &str, problems: &mut Problems) {
    if let Some(text) = non_empty(node, attribute).filter(|text| !is_expression(text)) {
        problems.add(node, not_an_expression(attribute, text));
    }
}

pub(crate) fn not_an_expression(attribute: &str, text: &str) -> String {
    let text = quote(text);
    format!(
        "Expected expression for '{attribute}' but found static value '{text}': an expression begins with '=' (e.g. '={text}')"
    )
}

/// The words that FEEL keeps for itself.
const RESERVED_WORDS: [&str; 11] = [
    "null", "true", "false", "function", "if", "then", "else", "for", "between", "instance", "of",
];

/// The attribute, if it is there, must be a dotted path of names.
fn require_path(node: Node<'_>, attribute: &str, problems: &mut Problems) {
    let Some(path) = non_empty(node, attribute) else {
        return;
    };
    if is_expression(path) {
        problems.add(
            node,
            format!(
                "Expected path expression for '{attribute}' but found the expression '{}'",
                quote(path)
            ),
        );
    } else if !path.split('.').all(is_name) {
        problems.add(node, format!("Expected path expression for '{attribute}' but '{}' is not names joined by dots (letters, digits and underscores, not beginning with a digit)", quote(path)));
    } else if let Some(word) = path.split('.').find(|name| RESERVED_WORDS.contains(name)) {
        problems.add(node, format!("Expected path expression for '{attribute}' but '{word}' is one of the reserved words"));
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name
            .chars()
            .all(|other| other.is_alphanumeric() || other == '_')
}

/// Exactly one extension element of this name.
fn require_one<'a>(node: Node<'a>, name: &str, problems: &mut Problems) -> Option<Node<'a>> {
    let mut found = extensions(node, name);
    let first = found.next();
    if first.is_none() || found.next().is_some() {
        problems.add(
            node,
            format!("Must have exactly one 'zeebe:{name}' extension element"),
        );
        return None;
    }
    first
}

/// Either form, and only once.
fn require_one_of<'a>(
    node: Node<'a>,
    names: [&str; 2],
    problems: &mut Problems,
) -> Option<Node<'a>> {
    let [first, second] = names;
    let mut found = extensions(node, first).chain(extensions(node, second));
    let only = found.next();
    if only.is_none() || found.next().is_some() {
        problems.add(
            node,
            format!(
                "Must have either one 'zeebe:{first}' or one 'zeebe:{second}' extension element"
            ),
        );
        return None;
    }
    only
}

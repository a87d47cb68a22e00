//! Collects what is wrong, and says where.

use crate::limits::{PROBLEMS_MAX, QUOTE_CHARS_MAX};
use crate::rejection::Problem;

/// A node of a document.
type Node<'a> = roxmltree::Node<'a, 'a>;

/// The problems of a resource, in the order in which they were found.
#[derive(Default)]
pub struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    pub fn add(&mut self, node: Node<'_>, message: impl Into<String>) {
        if self.list.len() < PROBLEMS_MAX {
            self.list.push(Problem {
                element: place(node),
                message: message.into(),
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

/// The id of a node, or the way to it from the nearest ancestor that has one.
fn place(node: Node<'_>) -> String {
    let mut steps = Vec::new();
    for ancestor in node.ancestors().filter(|ancestor| ancestor.is_element()) {
        if let Some(id) = ancestor.attribute("id").filter(|id| !id.is_empty()) {
            steps.push(quote(id));
            break;
        }
        steps.push(quote(ancestor.tag_name().name()));
    }
    steps.reverse();
    steps.join(" > ")
}

/// The user's own text, as far as it helps to recognise it.
pub fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(QUOTE_CHARS_MAX).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}

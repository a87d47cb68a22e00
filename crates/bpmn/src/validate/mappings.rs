//! Input and output mappings.

use super::{Context, require, require_expression, require_path};
use crate::document::{extensions, zeebe_children};
use skep_xml::Problems;

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        for mapping in extensions(node.node, "ioMapping") {
            for input in zeebe_children(mapping, "input") {
                require(input, "source", problems);
                require(input, "target", problems);
                require_path(input, "target", problems);
            }
            for output in zeebe_children(mapping, "output") {
                require(output, "source", problems);
                require_expression(output, "source", problems);
                require(output, "target", problems);
                require_path(output, "target", problems);
            }
        }
    }
}

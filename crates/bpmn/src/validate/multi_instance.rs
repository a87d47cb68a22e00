//! Multi-instance activities.

use super::{Context, require, require_expression, require_one, require_path};
use crate::document::{Node, child, content, non_empty};
use crate::model::ElementType;
use skep_xml::Problems;

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        if let Some(characteristics) = child(node.node, "multiInstanceLoopCharacteristics") {
            check_one(characteristics, problems);
            if node.kind.is_some_and(|kind| !is_repeatable(kind)) {
                problems.add(
                    node.node,
                    "Only activities can be multi-instance, and event sub-processes cannot",
                );
            }
        }
    }
}

fn is_repeatable(kind: ElementType) -> bool {
    use ElementType as Type;
    matches!(
        kind,
        Type::SubProcess
            | Type::ServiceTask
            | Type::SendTask
            | Type::ScriptTask
            | Type::BusinessRuleTask
            | Type::UserTask
            | Type::ReceiveTask
            | Type::ManualTask
            | Type::Task
            | Type::CallActivity
    )
}

fn check_one(characteristics: Node<'_>, problems: &mut Problems) {
    if let Some(condition) = child(characteristics, "completionCondition") {
        let text = content(condition);
        if !super::is_expression(&text) {
            problems.add(
                condition,
                super::not_an_expression("completionCondition", &text),
            );
        }
    }
    let Some(looping) = require_one(characteristics, "loopCharacteristics", problems) else {
        return;
    };
    require(looping, "inputCollection", problems);
    require_expression(looping, "inputCollection", problems);
    require_path(looping, "inputElement", problems);
    require_path(looping, "outputCollection", problems);
    require_expression(looping, "outputElement", problems);
    let collection = non_empty(looping, "outputCollection").is_some();
    if collection != non_empty(looping, "outputElement").is_some() {
        problems.add(
            looping,
            "Attributes 'outputCollection' and 'outputElement' must be present together",
        );
    }
}

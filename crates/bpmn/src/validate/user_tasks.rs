//! User tasks: forms, assignment, schedule, priority; and the forms embedded in a process.

use super::{Context, is_expression, require};
use crate::document::{FlowNode, Node, content, extension, extensions, non_empty};
use crate::model::ElementType;
use crate::timer::Date;
use skep_xml::{Problems, quote};

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    check_forms(context.draft.nodes[0].node, problems);
    for (_, task) in context.draft.of_kind(ElementType::UserTask) {
        check_task(task, problems);
    }
}

fn check_forms(process: Node<'_>, problems: &mut Problems) {
    for form in extensions(process, "userTaskForm") {
        require(form, "id", problems);
        if content(form).is_empty() {
            problems.add(form, "User task form must not be empty");
        }
    }
}

fn check_task(task: &FlowNode<'_>, problems: &mut Problems) {
    for name in [
        "formDefinition",
        "assignmentDefinition",
        "taskSchedule",
        "priorityDefinition",
    ] {
        if extensions(task.node, name).nth(1).is_some() {
            problems.add(
                task.node,
                format!("Must have at most one 'zeebe:{name}' extension element"),
            );
        }
    }
    let native = extension(task.node, "userTask").is_some();
    if let Some(form) = extension(task.node, "formDefinition") {
        check_form(form, native, problems);
    }
    if let Some(assignment) = extension(task.node, "assignmentDefinition") {
        check_candidates(assignment, "candidateGroups", problems);
        check_candidates(assignment, "candidateUsers", problems);
    }
    if let Some(schedule) = extension(task.node, "taskSchedule") {
        check_date(schedule, "dueDate", problems);
        check_date(schedule, "followUpDate", problems);
    }
    if let Some(priority) = extension(task.node, "priorityDefinition") {
        check_priority(priority, problems);
    }
}

fn check_form(form: Node<'_>, native: bool, problems: &mut Problems) {
    let names = ["formKey", "formId", "externalReference"];
    let given: Vec<&str> = names
        .into_iter()
        .filter(|name| form.has_attribute(*name))
        .collect();
    let [only] = given[..] else {
        problems.add(
            form,
            "Exactly one of the attributes 'formId, formKey, externalReference' must be present",
        );
        return;
    };
    require(form, only, problems);
    if native && only == "formKey" {
        problems.add(form, "A user task with the extension element 'zeebe:userTask' must refer to its form by 'formId' or 'externalReference', not by 'formKey'");
    }
    if !native && only == "externalReference" {
        problems.add(
            form,
            "Attribute 'externalReference' needs the extension element 'zeebe:userTask'",
        );
    }
    super::tasks::check_binding(form, problems);
}

fn check_candidates(assignment: Node<'_>, attribute: &str, problems: &mut Problems) {
    let Some(text) = non_empty(assignment, attribute).filter(|text| !is_expression(text)) else {
        return;
    };
    if text.split(',').any(|name| name.trim().is_empty()) {
        problems.add(assignment, format!("Expected static value of '{attribute}' to be a list of comma-separated values, e.g. 'a,b,c', but found '{}'", quote(text)));
    }
}

fn check_date(schedule: Node<'_>, attribute: &str, problems: &mut Problems) {
    let Some(text) = non_empty(schedule, attribute).filter(|text| !is_expression(text)) else {
        return;
    };
    if let Err(error) = Date::parse(text) {
        problems.add(
            schedule,
            format!("Attribute '{attribute}' is invalid: {error}"),
        );
    }
}

fn check_priority(priority: Node<'_>, problems: &mut Problems) {
    let Some(text) = require(priority, "priority", problems) else {
        return;
    };
    let in_range = text.parse::<u8>().is_ok_and(|number| number <= 100);
    if !is_expression(text) && !in_range {
        problems.add(
            priority,
            format!(
                "Attribute 'priority' must be an expression or a number from 0 to 100, found '{}'",
                quote(text)
            ),
        );
    }
}

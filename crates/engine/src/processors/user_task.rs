//! USER_TASK: what persons do to their tasks.

use skep_protocol::{Command, Intent, Key, RecordValue, Rejection, UserTaskIntent, values};

use crate::banned;
use crate::behaviours::{events, lifecycle};
use crate::json::Document;
use crate::processing::{Processing, Result};
use crate::tables::user_tasks;

/// Evaluates a USER_TASK command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::UserTask(value) = &command.value else {
        unreachable!("a USER_TASK command carries a user task");
    };
    match command.intent {
        Intent::UserTask(UserTaskIntent::Complete) => complete(p, command, value),
        Intent::UserTask(UserTaskIntent::Assign) => assign(p, command, value),
        Intent::UserTask(UserTaskIntent::Claim) => claim(p, command, value),
        Intent::UserTask(UserTaskIntent::Update) => update(p, command, value),
        intent => unreachable!("{} is no command about a user task", intent.name()),
    }
}

/// The task; if there is none that may be changed, the command is refused.
fn existing(
    p: &mut Processing,
    command: &Command,
    action: &str,
) -> Result<Option<values::UserTask>> {
    let Some(task) = user_tasks::get(p.txn, command.key)? else {
        let reason = format!(
            "Expected to {action} user task with key '{}', but no such user task was found",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(None);
    };
    let refused = banned::refuses(p, command, task.process_instance_key)?;
    Ok((!refused).then_some(task))
}

fn complete(p: &mut Processing, command: &Command, value: &values::UserTask) -> Result<()> {
    let Some(task) = existing(p, command, "complete")? else {
        return Ok(());
    };
    if let Err(rejection) = Document::from_client(&value.variables) {
        p.reject(command, rejection);
        return Ok(());
    }
    let instance = p.existing_instance(Key(task.element_instance_key))?;
    let task = values::UserTask {
        variables: value.variables.clone(),
        action: value.action.clone(),
        ..task
    };
    user_tasks::delete(p.txn, command.key);
    p.instances
        .change(instance.key, |instance| instance.user_task_key = Key::NONE);
    p.event(command.key, UserTaskIntent::Completing, task.clone());
    p.event(command.key, UserTaskIntent::Completed, task.clone());
    events::queue(p, &instance, instance.element, &value.variables)?;
    lifecycle::schedule_completion(p, &instance);
    p.respond(command.key, UserTaskIntent::Completed, task);
    Ok(())
}

/// An empty assignee takes the task away from whoever has it.
fn assign(p: &mut Processing, command: &Command, value: &values::UserTask) -> Result<()> {
    if let Some(task) = existing(p, command, "assign")? {
        give(p, command, task, value);
    }
    Ok(())
}

fn claim(p: &mut Processing, command: &Command, value: &values::UserTask) -> Result<()> {
    let Some(task) = existing(p, command, "claim")? else {
        return Ok(());
    };
    let problem = if value.assignee.is_empty() {
        "provided assignee is empty"
    } else if !task.assignee.is_empty() && task.assignee != value.assignee {
        "it has already been assigned"
    } else {
        give(p, command, task, value);
        return Ok(());
    };
    let reason = format!(
        "Expected to claim user task with key '{}', but {problem}",
        command.key
    );
    p.reject(command, Rejection::invalid_state(reason));
    Ok(())
}

fn give(p: &mut Processing, command: &Command, task: values::UserTask, value: &values::UserTask) {
    let task = values::UserTask {
        assignee: value.assignee.clone(),
        ..task
    };
    user_tasks::update(p.txn, command.key, &task);
    let changed = values::UserTask {
        action: value.action.clone(),
        changed_attributes: vec!["assignee".to_owned()],
        ..task
    };
    p.event(command.key, UserTaskIntent::Assigning, changed.clone());
    p.event(command.key, UserTaskIntent::Assigned, changed.clone());
    p.respond(command.key, UserTaskIntent::Assigned, changed);
}

/// Only what the command lists is changed.
fn update(p: &mut Processing, command: &Command, value: &values::UserTask) -> Result<()> {
    let Some(mut task) = existing(p, command, "update")? else {
        return Ok(());
    };
    for attribute in &value.changed_attributes {
        match attribute.as_str() {
            "candidateGroupsList" => task.candidate_groups.clone_from(&value.candidate_groups),
            "candidateUsersList" => task.candidate_users.clone_from(&value.candidate_users),
            "dueDate" => task.due_date.clone_from(&value.due_date),
            "followUpDate" => task.follow_up_date.clone_from(&value.follow_up_date),
            "priority" => task.priority = value.priority,
            other => {
                let reason = format!(
                    "Expected to update user task with key '{}', but it has no attribute '{other}' that can be updated. \
                     Use 'candidateGroupsList', 'candidateUsersList', 'dueDate', 'followUpDate' or 'priority'",
                    command.key
                );
                p.reject(command, Rejection::invalid_argument(reason));
                return Ok(());
            }
        }
    }
    user_tasks::update(p.txn, command.key, &task);
    let changed = values::UserTask {
        action: value.action.clone(),
        changed_attributes: value.changed_attributes.clone(),
        ..task
    };
    p.event(command.key, UserTaskIntent::Updating, changed.clone());
    p.event(command.key, UserTaskIntent::Updated, changed.clone());
    p.respond(command.key, UserTaskIntent::Updated, changed);
    Ok(())
}

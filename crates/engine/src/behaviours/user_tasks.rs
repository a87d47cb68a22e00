//! User tasks: their properties, and their two forms. One is a job with reserved headers, the other is kept by the engine.

use std::sync::Arc;

use skep_bpmn::model::{Candidates, Form, FormReference, Number, Text, UserTask};
use skep_bpmn::timer::Date;
use skep_feel::Value;
use skep_protocol::{Key, UserTaskIntent, values};

use crate::behaviours::bindings::{self, Bound};
use crate::behaviours::incidents::{Failure, Step};
use crate::behaviours::{expressions, jobs};
use crate::instances::ElementInstance;
use crate::json::{ObjectBuilder, string};
use crate::processing::{Processing, Result};
use crate::tables::user_tasks;

/// The type of all jobs that are user tasks.
const JOB_TYPE: &str = "io.camunda.zeebe:userTask";
/// Such a job is not tried again: a person does not fail it.
const JOB_RETRIES: i32 = 1;
/// Priority of a task that says nothing else.
const PRIORITY_DEFAULT: i32 = 50;
const PRIORITY_MAX: i32 = 100;

/// What a user task says about itself, its expressions evaluated.
#[derive(Debug)]
pub(crate) struct Properties {
    assignee: Option<Arc<str>>,
    candidate_groups: Option<Vec<Arc<str>>>,
    candidate_users: Option<Vec<Arc<str>>>,
    due_date: Option<Arc<str>>,
    follow_up_date: Option<Arc<str>>,
    form: Option<EvaluatedForm>,
    priority: i32,
}

#[derive(Debug)]
enum EvaluatedForm {
    /// A key that the application understands.
    Key(Arc<str>),
    /// A form kept elsewhere.
    External(Arc<str>),
    /// A deployed form.
    Deployed(Key),
}

/// Evaluates what a user task says about itself.
pub(crate) fn evaluate(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &UserTask,
) -> Step<Properties> {
    let scope = instance.key;
    Ok(Properties {
        assignee: optional(model.assignee.as_ref(), |text| {
            expressions::text(p, scope, text)
        })?
        .filter(|assignee| !assignee.is_empty()),
        candidate_groups: optional(model.candidate_groups.as_ref(), |list| {
            candidates(p, scope, list)
        })?,
        candidate_users: optional(model.candidate_users.as_ref(), |list| {
            candidates(p, scope, list)
        })?,
        due_date: optional(model.due_date.as_ref(), |text| date(p, scope, text))?.flatten(),
        follow_up_date: optional(model.follow_up_date.as_ref(), |text| date(p, scope, text))?
            .flatten(),
        form: match &model.form {
            Some(form) => Some(evaluate_form(p, instance, form)?),
            None => None,
        },
        priority: match &model.priority {
            Some(number) => priority(p, scope, number)?,
            None => PRIORITY_DEFAULT,
        },
    })
}

fn optional<T, V>(model: Option<&T>, evaluate: impl FnOnce(&T) -> Step<V>) -> Step<Option<V>> {
    model.map(evaluate).transpose()
}

fn candidates(p: &mut Processing, scope: Key, list: &Candidates) -> Step<Vec<Arc<str>>> {
    let expression = match list {
        Candidates::Static(names) => return Ok(names.clone()),
        Candidates::Expression(expression) => expression,
    };
    let evaluation = expressions::evaluate(p, scope, expression)?;
    let Some(items) = evaluation.value.as_list() else {
        return Err(expressions::wrong_type(expression, "'ARRAY'", &evaluation));
    };
    let names = items.iter().map(|item| match item {
        Value::String(name) => Ok(Arc::clone(name)),
        other => Err(Failure::extract_value(format!(
            "Expected result of the expression '{}' to be a list of 'STRING', but one of its items is '{}'.",
            expression.source(),
            other.type_name()
        ))),
    });
    names.collect()
}

/// A date-time as text; nothing where an expression gives null or the empty text.
fn date(p: &mut Processing, scope: Key, text: &Text) -> Step<Option<Arc<str>>> {
    let expression = match text {
        Text::Static(date) => return Ok(Some(Arc::clone(date))),
        Text::Expression(expression) => expression,
    };
    let evaluation = expressions::evaluate(p, scope, expression)?;
    let date: Arc<str> = match &evaluation.value {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => Arc::clone(text),
        Value::DateTime(time) => time.to_string().into(),
        _ => {
            return Err(expressions::wrong_type(
                expression,
                "one of '[DATE_TIME, STRING]'",
                &evaluation,
            ));
        }
    };
    match Date::parse(&date) {
        Ok(_) => Ok(Some(date)),
        Err(error) => Err(Failure::extract_value(format!(
            "Invalid date-time format '{date}' for expression '{}': {error}",
            expression.source()
        ))),
    }
}

fn priority(p: &mut Processing, scope: Key, number: &Number) -> Step<i32> {
    let priority = expressions::number(p, scope, number)?;
    if (0..=PRIORITY_MAX).contains(&priority) {
        return Ok(priority);
    }
    Err(Failure::extract_value(format!(
        "Expected priority to be in the range [0,{PRIORITY_MAX}] but was '{priority}'."
    )))
}

fn evaluate_form(
    p: &mut Processing,
    instance: &ElementInstance,
    form: &Form,
) -> Step<EvaluatedForm> {
    let scope = instance.key;
    match &form.reference {
        FormReference::Key(key) => expressions::text(p, scope, key).map(EvaluatedForm::Key),
        FormReference::External(reference) => {
            expressions::text(p, scope, reference).map(EvaluatedForm::External)
        }
        FormReference::Id(id) => {
            let id = expressions::name(p, scope, "form id", id)?;
            bindings::find(p, instance, Bound::Form, &id, &form.binding)
                .map(EvaluatedForm::Deployed)
        }
    }
}

/// The job of a user task that an application shows.
pub(crate) fn job(
    instance: &ElementInstance,
    model: &UserTask,
    properties: &Properties,
) -> values::Job {
    let mut headers = ObjectBuilder::new();
    for header in &model.headers {
        headers.entry(&header.key, &string(&header.value));
    }
    let mut reserve = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            headers.entry(&format!("io.camunda.zeebe:{name}"), &string(&value));
        }
    };
    let text = |value: &Option<Arc<str>>| value.as_ref().map(ToString::to_string);
    let list = |names: &Option<Vec<Arc<str>>>| names.as_deref().map(json_list);
    reserve("assignee", text(&properties.assignee));
    reserve("candidateGroups", list(&properties.candidate_groups));
    reserve("candidateUsers", list(&properties.candidate_users));
    reserve("dueDate", text(&properties.due_date));
    reserve("followUpDate", text(&properties.follow_up_date));
    let form = properties.form.as_ref().map(|form| match form {
        EvaluatedForm::Key(key) => key.to_string(),
        EvaluatedForm::External(reference) => reference.to_string(),
        EvaluatedForm::Deployed(key) => key.to_string(),
    });
    reserve("formKey", form);
    jobs::of_element(instance, JOB_TYPE.to_owned(), JOB_RETRIES, headers.finish())
}

fn json_list(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| string(name)).collect();
    format!("[{}]", names.join(","))
}

/// USER_TASK CREATED.
pub(crate) fn create(
    p: &mut Processing,
    instance: &ElementInstance,
    model: &UserTask,
    properties: Properties,
) -> Result<()> {
    let key = p.next_key()?;
    let text = |value: Option<Arc<str>>| value.as_deref().unwrap_or_default().to_owned();
    let list = |names: Option<Vec<Arc<str>>>| {
        let names = names.unwrap_or_default();
        names.iter().map(ToString::to_string).collect()
    };
    let (form_key, external_form_reference) = match properties.form {
        Some(EvaluatedForm::External(reference)) => (Key::NONE.0, reference.to_string()),
        Some(EvaluatedForm::Deployed(key)) => (key.0, String::new()),
        // The validation lets no native task have a form key.
        Some(EvaluatedForm::Key(_)) | None => (Key::NONE.0, String::new()),
    };
    let task = values::UserTask {
        user_task_key: key.0,
        assignee: text(properties.assignee),
        candidate_groups: list(properties.candidate_groups),
        candidate_users: list(properties.candidate_users),
        due_date: text(properties.due_date),
        follow_up_date: text(properties.follow_up_date),
        form_key,
        external_form_reference,
        changed_attributes: Vec::new(),
        action: String::new(),
        custom_headers: jobs::headers_document(&model.headers),
        variables: String::new(),
        creation_timestamp: p.now(),
        priority: properties.priority,
        element_id: instance.element().id.to_string(),
        element_instance_key: instance.key.0,
        process_instance_key: instance.process_instance_key.0,
        bpmn_process_id: instance.process.id.to_string(),
        process_definition_version: instance.process.version,
        process_definition_key: instance.process.key.0,
    };
    user_tasks::create(p.txn, key, &task);
    p.instances
        .change(instance.key, |instance| instance.user_task_key = key);
    p.event(key, UserTaskIntent::Creating, task.clone());
    p.event(key, UserTaskIntent::Created, task);
    Ok(())
}

/// USER_TASK CANCELED for the task of an element that ends.
pub(crate) fn cancel_of(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    let key = instance.user_task_key;
    if !key.is_some() {
        return Ok(());
    }
    if let Some(task) = user_tasks::get(p.txn, key)? {
        user_tasks::delete(p.txn, key);
        p.event(key, UserTaskIntent::Canceling, task.clone());
        p.event(key, UserTaskIntent::Canceled, task);
    }
    p.instances
        .change(instance.key, |instance| instance.user_task_key = Key::NONE);
    Ok(())
}

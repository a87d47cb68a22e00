//! What persons do to their tasks. Whether a task exists and may be changed is the engine's to say.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use skep_protocol::values::UserTask;
use skep_protocol::{Intent, UserTaskIntent, names};
use tokio::time::timeout;

use super::Shared;
use super::problem::Problem;
use crate::documents;

/// A task's priority is at most this.
const PRIORITY_MAX: i64 = 100;

/// A request about one task.
struct Call<'a> {
    shared: &'a Shared,
    path: &'a str,
    key: &'a str,
}

impl Call<'_> {
    async fn send(&self, intent: impl Into<Intent>, task: UserTask) -> Result<(), Problem> {
        let Ok(key) = self.key.parse() else {
            let detail = format!(
                "Expected the key of a user task, which is a whole number, but the path has '{}'",
                self.key
            );
            return Err(Problem::invalid_argument(detail));
        };
        self.shared.on_key(key, intent, task).await
    }

    fn answer(&self, result: Result<(), Problem>) -> Result<StatusCode, Problem> {
        let answered = result.map(|()| StatusCode::NO_CONTENT);
        answered.map_err(|problem| problem.at(self.path))
    }
}

/// Binds a handler's arguments to the function that does the work, which gives the command.
macro_rules! handler {
    ($name:ident, $command:path) => {
        pub async fn $name(
            State(shared): State<Arc<Shared>>,
            Path(key): Path<String>,
            uri: Uri,
            headers: HeaderMap,
            Sent(body): Sent,
        ) -> Result<StatusCode, Problem> {
            let (shared, path) = (&*shared, uri.path());
            let key = key.as_str();
            let call = Call { shared, path, key };
            let result = async {
                let (intent, task) = $command(&checked(&headers, body)?)?;
                call.send(intent, task).await
            };
            call.answer(result.await)
        }
    };
}

handler!(complete, completion);
handler!(assign, assignment);
handler!(unassign, unassignment);
handler!(update, changes);

/// A task of a command, which says nothing about what it does not change.
fn task(action: Option<String>, default_action: &str) -> UserTask {
    UserTask {
        form_key: -1,
        creation_timestamp: -1,
        action: action
            .filter(|action| !action.is_empty())
            .unwrap_or_else(|| default_action.to_owned()),
        ..UserTask::default()
    }
}

#[derive(Default, Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    variables: Option<&'a RawValue>,
    #[serde(default)]
    action: Option<String>,
}

fn completion(body: &[u8]) -> Result<(UserTaskIntent, UserTask), Problem> {
    let request: Completion<'_> = optional_body(body)?;
    let variables = request.variables.map(|raw| raw.get().to_owned());
    let variables = documents::document(variables.unwrap_or_default())
        .map_err(|error| Problem::invalid_argument(error.to_string()))?;
    let task = UserTask {
        variables,
        ..task(request.action, "complete")
    };
    Ok((UserTaskIntent::Complete, task))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    #[serde(default)]
    assignee: Option<String>,
    #[serde(default)]
    allow_override: Option<bool>,
    #[serde(default)]
    action: Option<String>,
}

/// Who may not take the task from somebody else claims it.
fn assignment(body: &[u8]) -> Result<(UserTaskIntent, UserTask), Problem> {
    let request: Assignment = required_body(body)?;
    let assignee = request
        .assignee
        .filter(|assignee| !assignee.trim().is_empty());
    let Some(assignee) = assignee else {
        return Err(Problem::invalid_argument("No assignee provided."));
    };
    check_name("assignee", &assignee)?;
    let intent = match request.allow_override {
        Some(false) => UserTaskIntent::Claim,
        None | Some(true) => UserTaskIntent::Assign,
    };
    let task = UserTask {
        assignee,
        ..task(request.action, "assign")
    };
    Ok((intent, task))
}

fn unassignment(_: &[u8]) -> Result<(UserTaskIntent, UserTask), Problem> {
    Ok((UserTaskIntent::Assign, task(None, "unassign")))
}

#[derive(Default, Deserialize)]
struct Update {
    #[serde(default)]
    changeset: Option<Changeset>,
    #[serde(default)]
    action: Option<String>,
}

/// Absent and null are no change; an empty list or text takes away what is there.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changeset {
    #[serde(default)]
    candidate_groups: Option<Vec<String>>,
    #[serde(default)]
    candidate_users: Option<Vec<String>>,
    #[serde(default)]
    due_date: Option<String>,
    #[serde(default)]
    follow_up_date: Option<String>,
    #[serde(default)]
    priority: Option<i64>,
}

fn changes(body: &[u8]) -> Result<(UserTaskIntent, UserTask), Problem> {
    let request: Update = optional_body(body)?;
    let mut changed = Vec::new();
    let mut note = |name: &str| changed.push(name.to_owned());
    let given_action = request.action.is_some();
    let mut task = task(request.action, "update");
    let changeset = request.changeset.unwrap_or_default();
    if let Some(groups) = changeset.candidate_groups {
        task.candidate_groups = groups;
        note("candidateGroupsList");
    }
    if let Some(users) = changeset.candidate_users {
        task.candidate_users = users;
        note("candidateUsersList");
    }
    if let Some(date) = changeset.due_date {
        task.due_date = checked_date("due date", date)?;
        note("dueDate");
    }
    if let Some(date) = changeset.follow_up_date {
        task.follow_up_date = checked_date("follow-up date", date)?;
        note("followUpDate");
    }
    if let Some(priority) = changeset.priority {
        task.priority = checked_priority(priority)?;
        note("priority");
    }
    if changed.is_empty() && !given_action {
        return Err(Problem::invalid_argument(
            "No update data provided. Provide at least an \"action\" or a non-null value for a supported attribute in the \
             \"changeset\".",
        ));
    }
    task.changed_attributes = changed;
    Ok((UserTaskIntent::Update, task))
}

fn checked_date(what: &str, date: String) -> Result<String, Problem> {
    if date.is_empty() || date.parse::<jiff::Timestamp>().is_ok() {
        return Ok(date);
    }
    Err(Problem::invalid_argument(format!(
        "The provided {what} '{date}' cannot be parsed as a date according to RFC 3339, section 5.6."
    )))
}

fn checked_priority(priority: i64) -> Result<i32, Problem> {
    match i32::try_from(priority) {
        Ok(priority) if (0..=PRIORITY_MAX).contains(&i64::from(priority)) => Ok(priority),
        _ => Err(Problem::invalid_argument(format!(
            "The value for priority is '{priority}' but must be within the [0,{PRIORITY_MAX}] range."
        ))),
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), Problem> {
    names::check(what, name).map_err(|error| Problem::invalid_argument(error.to_string()))
}

/// The body, if it is not too large and did not take too long.
pub struct Sent(Result<Bytes, Problem>);

impl FromRequest<Arc<Shared>> for Sent {
    type Rejection = Infallible;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Sent, Infallible> {
        let patience = shared.config.request_timeout;
        let read = timeout(patience, Bytes::from_request(request, shared)).await;
        Ok(Sent(match read {
            Ok(body) => {
                body.map_err(|rejection| refused(rejection.status(), rejection.body_text()))
            }
            Err(_) => {
                let detail = format!("Expected the whole body within {patience:?}");
                Err(refused(StatusCode::REQUEST_TIMEOUT, detail))
            }
        }))
    }
}

fn refused(status: StatusCode, detail: String) -> Problem {
    Problem::new(
        status,
        status.canonical_reason().unwrap_or_default(),
        detail,
    )
}

/// The body, if it does not claim to be something else than JSON.
fn checked(headers: &HeaderMap, body: Result<Bytes, Problem>) -> Result<Bytes, Problem> {
    let body = body?;
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .map(|kind| kind.split(';').next().unwrap_or_default().trim());
    match kind {
        Some(kind) if !body.is_empty() && !kind.eq_ignore_ascii_case("application/json") => {
            let detail = format!("Expected a body of type application/json, but it is '{kind}'");
            Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
        _ => Ok(body),
    }
}

fn required_body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let unreadable = |problem: String| {
        let detail = format!("The body cannot be read: {problem}");
        Problem::new(StatusCode::BAD_REQUEST, "Bad Request", detail)
    };
    // serde takes an array for an object whose fields come in order.
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(unreadable(
            "it must be an object, but is an array".to_owned(),
        ));
    }
    serde_json::from_slice(body).map_err(|error| unreadable(error.to_string()))
}

fn optional_body<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> Result<T, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    required_body(body)
}

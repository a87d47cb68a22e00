//! The backups endpoints.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use skep_backup::{BackupId, BackupState};

use crate::routes::{Shared, json_response};
use crate::take::{TakeError, take};
use crate::{RequestError, shapes, status};

const ID_NEEDED: &str = "A backupId must be provided and it must be > 0";

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn message(status: u16, text: impl Into<String>) -> Response {
    json_response(code(status), &json!({"message": text.into()}))
}

fn failed(error: &RequestError) -> Response {
    message(error.status(), error.message())
}

/// A positive id; ids are signed 64-bit numbers on the wire.
fn parse_id(text: &str) -> Option<BackupId> {
    text.parse::<i64>()
        .ok()
        .filter(|id| *id > 0)
        .map(|id| BackupId(id as u64))
}

fn no_id(text: &str) -> Response {
    message(400, format!("{ID_NEEDED}, but was '{text}'"))
}

/// `POST /actuator/backups/{id}`, as 8.1: 200 and the id. A stale id is 409 here too, never a silent 200.
pub async fn take_by_path(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let Some(id) = parse_id(&id) else {
        return no_id(&id);
    };
    match take(&*shared.node, id, shared.store_patience()).await {
        Ok(()) => json_response(StatusCode::OK, &json!({"id": id})),
        Err(error) => {
            let status = match error {
                TakeError::Stale { .. } | TakeError::Foreign { .. } => 409,
                TakeError::Request(_) => 500,
            };
            json_response(
                code(status),
                &json!({"id": id, "failure": error.message(), "message": error.message()}),
            )
        }
    }
}

/// `POST /actuator/backups` with a body, as 8.2 and later: 202 and where to look.
pub async fn take_by_body(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let id = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(fields)) => match fields.get("backupId") {
            Some(Value::Number(number)) => parse_id(&number.to_string()),
            Some(Value::String(text)) => parse_id(text),
            _ => None,
        },
        _ => None,
    };
    let Some(id) = id else {
        return message(400, ID_NEEDED);
    };
    match take(&*shared.node, id, shared.store_patience()).await {
        Ok(()) => message(
            202,
            format!(
                "A backup with id {id} has been scheduled. Use GET actuator/backups/{id} to monitor the status."
            ),
        ),
        Err(error) => message(error.status(), error.message()),
    }
}

/// `GET /actuator/backups/{id}`, as 8.1, with the newer fields beside the old ones; an id that ends in `*` asks for a list.
pub async fn show(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    if let Some(prefix) = id.strip_suffix('*') {
        return list_by_prefix(&shared, prefix).await;
    }
    let Some(id) = parse_id(&id) else {
        return no_id(&id);
    };
    match status::of(&*shared.node, id, shared.store_patience()).await {
        Ok(status) => json_response(StatusCode::OK, &shapes::either(&status)),
        Err(error) => json_response(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"id": id, "failure": error.message()}),
        ),
    }
}

/// `GET /actuator/backupRuntime/{id}`, as 8.2 and later: 404 for what does not exist.
pub async fn show_newer(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    if let Some(prefix) = id.strip_suffix('*') {
        return list_by_prefix(&shared, prefix).await;
    }
    let Some(id) = parse_id(&id) else {
        return no_id(&id);
    };
    match status::of(&*shared.node, id, shared.store_patience()).await {
        Ok(status) if status.state == BackupState::DoesNotExist => {
            message(404, format!("Backup with id {id} does not exist"))
        }
        Ok(status) => json_response(StatusCode::OK, &shapes::newer(&status)),
        Err(error) => failed(&error),
    }
}

/// `GET /actuator/backups`.
pub async fn list(State(shared): State<Arc<Shared>>) -> Response {
    list_by_prefix(&shared, "").await
}

async fn list_by_prefix(shared: &Shared, prefix: &str) -> Response {
    if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return no_id(prefix);
    }
    match status::all(&*shared.node).await {
        Ok(all) => {
            let wanted = all
                .iter()
                .filter(|status| status.backup_id.to_string().starts_with(prefix));
            json_response(StatusCode::OK, &wanted.map(shapes::listed).collect())
        }
        Err(error) => failed(&error),
    }
}

/// `DELETE /actuator/backups/{id}`: 204, also when there is nothing.
pub async fn delete(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let Some(id) = parse_id(&id) else {
        return no_id(&id);
    };
    match shared.node.delete_backup(id).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

//! Pausing and resuming exporting.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::ExportingChange;
use crate::routes::{Shared, json_response};

/// `POST /actuator/exporting/{operation}`, as Zeebe: 204, or 500 with a message.
pub async fn change(
    State(shared): State<Arc<Shared>>,
    Path(operation): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let soft = query.split('&').any(|part| part == "soft=true");
    let change = match (operation.as_str(), soft) {
        ("pause", false) => ExportingChange::Pause,
        ("pause", true) => ExportingChange::SoftPause,
        ("resume", _) => ExportingChange::Resume,
        _ => {
            return failed(&format!(
                "'{operation}' cannot be done to exporting; pause and resume can, and pause?soft=true"
            ));
        }
    };
    // A small file is written: a worker of its own is for that.
    let node = Arc::clone(&shared);
    let changed = tokio::task::spawn_blocking(move || node.node.change_exporting(change));
    match changed.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(reason)) => failed(&reason),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(message: &str) -> Response {
    json_response(
        StatusCode::INTERNAL_SERVER_ERROR,
        &json!({"message": message}),
    )
}

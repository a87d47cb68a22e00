//! Probes, partitions and metrics.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::Health;
use crate::routes::{Shared, json_response};

fn up(health: &Health, probe: &str) -> Option<bool> {
    Some(match probe {
        "startup" => health.started,
        "liveness" | "live" => health.alive,
        "readiness" | "ready" => health.ready && health.alive,
        "status" | "health" => health.started && health.alive,
        _ => return None,
    })
}

fn report(up: bool) -> Response {
    let (status, word) = if up {
        (StatusCode::OK, "UP")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "DOWN")
    };
    json_response(status, &json!({"status": word}))
}

/// `GET /actuator/health`.
pub async fn health(State(shared): State<Arc<Shared>>) -> Response {
    report(up(&shared.node.health(), "health").unwrap_or(false))
}

/// `GET /actuator/health/{probe}`.
pub async fn probe(State(shared): State<Arc<Shared>>, Path(probe): Path<String>) -> Response {
    up(&shared.node.health(), &probe).map_or_else(|| StatusCode::NOT_FOUND.into_response(), report)
}

/// `GET /health`, `/ready` and `/startup`, as 8.1: 204 or 503, no body.
pub async fn plain(shared: Arc<Shared>, probe: &'static str) -> StatusCode {
    match up(&shared.node.health(), probe) {
        Some(true) => StatusCode::NO_CONTENT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// `GET /actuator/partitions`.
pub async fn partitions(State(shared): State<Arc<Shared>>) -> Response {
    let partitions: Map<String, Value> = shared
        .node
        .partitions()
        .await
        .into_iter()
        .map(|(partition, report)| (partition.to_string(), json!(report)))
        .collect();
    json_response(StatusCode::OK, &partitions.into())
}

/// `GET /actuator/prometheus`.
pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        shared.node.metrics(),
    )
        .into_response()
}

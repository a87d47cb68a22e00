//! Probes, partitions and metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
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

/// How a node is at present.
pub type HealthNow = Arc<dyn Fn() -> Health + Send + Sync>;

/// `GET /actuator/health` and `/actuator/health/{probe}`; `GET /health`, `/ready` and `/startup`, as 8.1: 204 or 503, no body.
pub fn routes<S: Clone + Send + Sync + 'static>(now: &HealthNow) -> Router<S> {
    let mut router = Router::new();
    let health = Arc::clone(now);
    let status = move || async move { report(up(&health(), "health").unwrap_or(false)) };
    router = router.route("/actuator/health", get(status));
    let health = Arc::clone(now);
    let probe = move |Path(probe): Path<String>| async move {
        up(&health(), &probe).map_or_else(|| StatusCode::NOT_FOUND.into_response(), report)
    };
    router = router.route("/actuator/health/{probe}", get(probe));
    for (path, probe) in [
        ("/health", "health"),
        ("/ready", "ready"),
        ("/startup", "startup"),
    ] {
        let health = Arc::clone(now);
        let plain = move || async move {
            match up(&health(), probe) {
                Some(true) => StatusCode::NO_CONTENT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        router = router.route(path, get(plain));
    }
    router
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

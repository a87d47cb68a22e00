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

fn report(up: bool, problems: &[String]) -> Response {
    let (status, word) = if up {
        (StatusCode::OK, "UP")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "DOWN")
    };
    let body = match problems.is_empty() {
        true => json!({"status": word}),
        false => json!({"status": word, "details": {"problems": problems}}),
    };
    json_response(status, &body)
}

/// How a node is at present, and what somebody should look at.
pub type HealthNow = Arc<dyn Fn() -> (Health, Vec<String>) + Send + Sync>;

/// `GET /actuator/health` and `/actuator/health/{probe}`; `GET /health`, `/ready` and `/startup`, as 8.1: 204 or 503, no body.
pub fn routes(now: &HealthNow) -> Router {
    let mut router = Router::new();
    let health = Arc::clone(now);
    let status = move || async move {
        let (health, problems) = health();
        report(up(&health, "health").unwrap_or(false), &problems)
    };
    router = router.route("/actuator/health", get(status));
    let health = Arc::clone(now);
    let probe = move |Path(probe): Path<String>| async move {
        let (health, problems) = health();
        match up(&health, &probe) {
            Some(up) => report(up, &problems),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    };
    router = router.route("/actuator/health/{probe}", get(probe));
    for (path, probe) in [
        ("/health", "health"),
        ("/ready", "ready"),
        ("/startup", "startup"),
    ] {
        let health = Arc::clone(now);
        let plain = move || async move {
            match up(&health().0, probe) {
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

/// What the metrics are at present, in Prometheus' text form.
pub type MetricsNow = Arc<dyn Fn() -> String + Send + Sync>;

/// `GET /actuator/prometheus` and `GET /metrics`.
pub fn metrics(now: &MetricsNow) -> Router {
    let mut router = Router::new();
    for path in ["/actuator/prometheus", "/metrics"] {
        let now = Arc::clone(now);
        let text = move || async move {
            let form = "text/plain; version=0.0.4";
            ([(header::CONTENT_TYPE, form)], now()).into_response()
        };
        router = router.route(path, get(text));
    }
    router
}

//! Which path is answered by what.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use skep_tls::Listener;

use crate::health::{self, HealthNow};
use crate::{Node, backups, cluster, exporting};

/// A backup request is a number: anything larger is a mistake or worse.
const BODY_BYTES_MAX: usize = 16 << 10;

/// Spring's own media type, which 8.1 answers with unless plain JSON is asked for. Both are JSON.
const JSON: &str = "application/json";

/// What is served.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// The backups endpoints.
    pub backups: bool,
    /// Health probes.
    pub health: bool,
    /// Metrics.
    pub prometheus: bool,
    /// Replicas.
    pub partitions: bool,
    /// Pausing and resuming exporting.
    pub exporting: bool,
    /// Giving leaderships back to where they should be.
    pub rebalance: bool,
    /// Which brokers keep what.
    pub cluster: bool,
}

/// What all handlers share.
pub struct Shared {
    /// The node.
    pub node: Arc<dyn Node>,
    /// How long a request may take.
    pub request_timeout: Duration,
}

impl Shared {
    /// How long the backup store may take where there is something to say without it.
    pub fn store_patience(&self) -> Duration {
        self.request_timeout / 2
    }
}

/// Serves until `shutdown` ends.
pub async fn serve(
    listener: Listener,
    node: Arc<dyn Node>,
    exposure: Exposure,
    request_timeout: Duration,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = router(node, &exposure, request_timeout);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
}

/// Serves the health of a node that has nothing else to manage, if it is exposed, until `shutdown` ends.
pub async fn serve_health(
    listener: Listener,
    now: HealthNow,
    exposed: bool,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let health = exposed.then(|| health::routes(&now));
    let router: Router = health.unwrap_or_default().fallback(nothing);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
}

async fn nothing() -> Response {
    json_response(
        StatusCode::NOT_FOUND,
        &json!({"message": "There is nothing at this path"}),
    )
}

pub(crate) fn router(
    node: Arc<dyn Node>,
    exposure: &Exposure,
    request_timeout: Duration,
) -> Router {
    let shared = Arc::new(Shared {
        node,
        request_timeout,
    });
    let mut router = Router::new();
    if exposure.backups {
        router = router
            .route(
                "/actuator/backups",
                get(backups::list).post(backups::take_by_body),
            )
            .route(
                "/actuator/backups/{id}",
                get(backups::show)
                    .post(backups::take_by_path)
                    .delete(backups::delete),
            )
            .route(
                "/actuator/backupRuntime",
                get(backups::list).post(backups::take_by_body),
            )
            .route(
                "/actuator/backupRuntime/{id}",
                get(backups::show_newer).delete(backups::delete),
            );
    }
    if exposure.health {
        let node = Arc::clone(&shared.node);
        let now: HealthNow = Arc::new(move || node.health());
        router = router.merge(health::routes(&now));
    }
    if exposure.prometheus {
        router = router
            .route("/actuator/prometheus", get(health::metrics))
            .route("/metrics", get(health::metrics));
    }
    if exposure.partitions {
        router = router.route("/actuator/partitions", get(health::partitions));
    }
    if exposure.cluster {
        router = router.route("/actuator/cluster", get(cluster::cluster));
    }
    if exposure.rebalance {
        router = router.route("/actuator/rebalance", post(cluster::rebalance));
    }
    if exposure.exporting {
        router = router.route("/actuator/exporting/{operation}", post(exporting::change));
    }
    router
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            within_time,
        ))
        .with_state(shared)
}

/// No request is answered later than the timeout.
async fn within_time(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(shared.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => json_response(
            StatusCode::GATEWAY_TIMEOUT,
            &json!({"message": format!("Request from gateway to broker timed out. No answer within {:?}; look at /actuator/partitions and at the backup store", shared.request_timeout)}),
        ),
    }
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;

//! Which path is answered by what.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use skep_rate::{Bucket, Rate};
use skep_tls::Listener;
use tokio::sync::Semaphore;

use crate::health::{self, HealthNow, MetricsNow};
use crate::relay::{self, Answered, Asked, GatewayNode};
use crate::{Loggers, Node, backups, cluster, exporting, loggers};

/// A backup request is a number: anything larger is a mistake or worse.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 10;

/// Requests about partitions and backups that are answered at a time, and of those about loggers; more are refused. Nobody needs as many.
const REQUESTS_MAX: usize = 64;

/// How often they are answered: far more often than somebody looks who waits, and seldom enough not to be felt by partitions.
const REQUESTS: Rate = Rate::new(100, 500);

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
    /// What is logged.
    pub loggers: bool,
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

/// The management API of a node. Clones are the same.
#[derive(Clone)]
pub struct Api(Router);

impl Api {
    /// Of a broker.
    pub fn of_broker(
        node: Arc<dyn Node>,
        loggers: Arc<dyn Loggers>,
        exposure: &Exposure,
        request_timeout: Duration,
    ) -> Api {
        let shared = Arc::new(Shared {
            node: Arc::clone(&node),
            request_timeout,
        });
        let of_replicas = limited(of_replicas(exposure)).with_state(shared);
        let about = Arc::clone(&node);
        let health = Arc::new(move || (node.health(), node.problems()));
        let metrics = Arc::new(move || about.metrics());
        let router = of_process(exposure, health, metrics, loggers).merge(of_replicas);
        Api(bounded(router, request_timeout))
    }

    /// Of a gateway, which has a broker answer what is about partitions and backups.
    pub fn of_gateway(
        node: Arc<dyn GatewayNode>,
        loggers: Arc<dyn Loggers>,
        exposure: &Exposure,
        request_timeout: Duration,
    ) -> Api {
        let relayed = limited(relay::routes(exposure)).with_state(Arc::clone(&node));
        let about = Arc::clone(&node);
        let health = Arc::new(move || (node.health(), node.problems()));
        let metrics = Arc::new(move || about.metrics());
        let router = of_process(exposure, health, metrics, loggers).merge(relayed);
        Api(bounded(router, request_timeout))
    }

    /// Answers what another node was asked.
    pub async fn answer(&self, asked: Asked) -> Answered {
        relay::answer(self.0.clone(), asked).await
    }
}

/// Serves until `shutdown` completes, and then until open requests have ended or the time for that is over.
pub async fn serve(listener: Listener, api: Api, shutdown: impl Future<Output = ()>) {
    let anybody = |_| ();
    skep_tls::serve_http1(listener, api.0, anybody, shutdown).await;
}

async fn nothing() -> Response {
    json_response(
        StatusCode::NOT_FOUND,
        &json!({"message": "There is nothing at this path"}),
    )
}

/// What every node has.
fn of_process(
    exposure: &Exposure,
    health: HealthNow,
    metrics: MetricsNow,
    loggers: Arc<dyn Loggers>,
) -> Router {
    let mut router = Router::new();
    if exposure.health {
        router = router.merge(health::routes(&health));
    }
    if exposure.prometheus {
        router = router.merge(health::metrics(&metrics));
    }
    if exposure.loggers {
        router = router.merge(limited(loggers::routes(loggers)));
    }
    router
}

/// What a broker has.
fn of_replicas(exposure: &Exposure) -> Router<Arc<Shared>> {
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
}

/// What bounds the requests of one node.
struct Turns {
    places: Semaphore,
    rate: Bucket,
}

/// Answers no more at a time than it has places, and no faster than it may.
async fn in_turn(State(turns): State<Arc<Turns>>, request: Request, next: Next) -> Response {
    if !turns.rate.take(Instant::now()) {
        let text = "More requests are made than are answered in a second; try again later";
        return json_response(StatusCode::TOO_MANY_REQUESTS, &json!({"message": text}));
    }
    let Ok(_place) = turns.places.try_acquire() else {
        let text = format!("More than {REQUESTS_MAX} requests are being answered; try again");
        return json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({"message": text}));
    };
    next.run(request).await
}

/// Bounds what asks partitions or the backup store, or changes what is logged. Probes are answered whatever else is asked.
fn limited<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    let turns = Arc::new(Turns {
        places: Semaphore::new(REQUESTS_MAX),
        rate: Bucket::new(REQUESTS, Instant::now()),
    });
    router.layer(middleware::from_fn_with_state(turns, in_turn))
}

fn bounded(router: Router, request_timeout: Duration) -> Router {
    router
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(request_timeout, within_time))
}

/// No request is answered later than the timeout.
async fn within_time(State(timeout): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => json_response(
            StatusCode::GATEWAY_TIMEOUT,
            &json!({"message": format!("Request from gateway to broker timed out. No answer within {:?}; look at /actuator/partitions and at the backup store", timeout)}),
        ),
    }
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;

//! Requests that one node is asked and another answers: a gateway of its own keeps no partitions and knows no backup store.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::BoxFuture;
use serde_json::json;
use tower::ServiceExt;

use crate::routes::{BODY_BYTES_MAX, json_response};
use crate::{Exposure, Health, RequestError};

/// What a gateway may have a broker answer begins with one of these.
const RELAYED: [&str; 4] = [
    "/actuator/backups",
    "/actuator/backupRuntime",
    "/actuator/cluster",
    "/actuator/rebalance",
];

/// Largest answer that is brought to another node.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A request for another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// HTTP's method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP's status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: Vec<u8>,
}

/// A gateway of its own behind the API.
pub trait GatewayNode: Send + Sync + 'static {
    /// How it is.
    fn health(&self) -> Health;

    /// What somebody should look at, in words.
    fn problems(&self) -> Vec<String>;

    /// Metrics in Prometheus' text form.
    fn metrics(&self) -> String;

    /// Has a broker answer.
    fn relay(&self, asked: Asked) -> BoxFuture<'_, Result<Answered, RequestError>>;
}

/// What a broker answers for a gateway.
pub fn routes(exposure: &Exposure) -> Router<Arc<dyn GatewayNode>> {
    let mut router = Router::new();
    if exposure.backups {
        for all in ["/actuator/backups", "/actuator/backupRuntime"] {
            let one = format!("{all}/{{id}}");
            router = router
                .route(all, get(relay).post(relay))
                .route(&one, get(relay).post(relay).delete(relay));
        }
    }
    if exposure.cluster {
        router = router.route("/actuator/cluster", get(relay));
    }
    if exposure.rebalance {
        router = router.route("/actuator/rebalance", post(relay));
    }
    router
}

async fn relay(State(node): State<Arc<dyn GatewayNode>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let text = format!("A body of more than {BODY_BYTES_MAX} bytes is not read");
        return json_response(StatusCode::PAYLOAD_TOO_LARGE, &json!({"message": text}));
    };
    let asked = Asked {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        body: body.to_vec(),
    };
    match node.relay(asked).await {
        Ok(Answered { status, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            match body.is_empty() {
                true => status.into_response(),
                false => {
                    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
                }
            }
        }
        Err(error) => {
            let status = StatusCode::from_u16(error.status());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json_response(status, &json!({"message": error.message()}))
        }
    }
}

/// Answers what another node was asked, as if it had been asked here.
pub async fn answer(router: Router, asked: Asked) -> Answered {
    let failed = |status: StatusCode, text: &str| Answered {
        status: status.as_u16(),
        body: json!({"message": text}).to_string().into_bytes(),
    };
    if !RELAYED.iter().any(|begin| asked.target.starts_with(begin)) {
        return failed(StatusCode::NOT_FOUND, "There is nothing at this path");
    }
    let request = Request::builder()
        .method(asked.method.as_str())
        .uri(asked.target)
        .body(Body::from(asked.body));
    let Ok(request) = request else {
        return failed(StatusCode::BAD_REQUEST, "This is no request");
    };
    let Ok(response) = router.oneshot(request).await;
    let status = response.status();
    match to_bytes(response.into_body(), ANSWER_BYTES_MAX).await {
        Ok(body) => Answered {
            status: status.as_u16(),
            body: body.to_vec(),
        },
        Err(_) => failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The answer is too long to be brought to a gateway; ask a broker",
        ),
    }
}

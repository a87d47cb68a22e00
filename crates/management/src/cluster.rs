//! Where replicas and leaderships should be, and giving leaderships back to there.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::routes::{Shared, json_response};

/// `GET /actuator/cluster`: the members of the cluster. They do not change while it runs, so that it is the first version of them.
pub async fn cluster(State(shared): State<Arc<Shared>>) -> Response {
    let body = json!({"version": 1, "brokers": shared.node.cluster()});
    json_response(StatusCode::OK, &body)
}

/// `POST /actuator/rebalance`: 204 once each partition is led by the broker that should lead it.
pub async fn rebalance(State(shared): State<Arc<Shared>>) -> Response {
    match shared.node.rebalance().await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.status());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json_response(status, &json!({"message": error.message()}))
        }
    }
}

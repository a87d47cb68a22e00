//! The part of Zeebe's REST interface that has no counterpart in gRPC: what persons do to user tasks that the engine keeps. The
//! topology is there as well, since clients ask for it first.
//!
//! Paths below `/v2`; `/v1` is what 8.5 had. A refused request is a problem document (RFC 9457) whose `detail` is the text that a
//! gRPC client gets for the same reason.

mod problem;
mod topology;
mod user_tasks;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use skep_auth::Denied;
use skep_protocol::{Command, Intent, Key, RecordValue};
use skep_tls::Listener;
use tokio::time::Instant;
use tonic::Status;

use self::problem::Problem;
use crate::brokers::Brokers;
use crate::config::GatewayConfig;
use crate::incoming::Client;
use crate::{retry, routing, status};

/// What all handlers share.
pub(crate) struct Shared {
    brokers: Arc<dyn Brokers>,
    config: GatewayConfig,
}

impl Shared {
    /// Sends a command about an entity to the partition that made it, and waits for its event.
    async fn on_key(
        &self,
        key: i64,
        intent: impl Into<Intent>,
        value: impl Into<RecordValue>,
    ) -> Result<(), Problem> {
        let partition = routing::of_key(&self.brokers.topology(), key)?;
        let command = Command::new(Key(key), intent, value);
        let deadline = Instant::now() + self.config.request_timeout;
        let answer = retry::on_partition(&*self.brokers, partition, &command, deadline).await?;
        answer.map_err(|rejection| {
            let text = status::of_rejection(command.intent, &rejection);
            Problem::of_rejection(&rejection, text.message())
        })?;
        Ok(())
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Problem {
        Problem::of_status(&status)
    }
}

/// Serves until `shutdown` completes, and then until open requests have ended or the time for that is over.
pub async fn serve_rest(
    listener: Listener,
    config: GatewayConfig,
    brokers: Arc<dyn Brokers>,
    shutdown: impl Future<Output = ()>,
) {
    let router = router(Arc::new(Shared { brokers, config }));
    skep_tls::serve_http1(listener, router, Client::at, shutdown).await;
}

fn router(shared: Arc<Shared>) -> Router {
    let body_bytes_max = shared.config.max_message_size;
    let mut router = Router::new();
    for version in ["/v1", "/v2"] {
        let path = |below: &str| format!("{version}{below}");
        router = router
            .route(&path("/topology"), get(topology::topology))
            .route(
                &path("/user-tasks/{key}/completion"),
                post(user_tasks::complete),
            )
            .route(
                &path("/user-tasks/{key}/assignment"),
                post(user_tasks::assign),
            )
            .route(
                &path("/user-tasks/{key}/assignee"),
                delete(user_tasks::unassign),
            )
            .route(&path("/user-tasks/{key}"), patch(user_tasks::update));
    }
    router
        .fallback(|uri: Uri| async move {
            let detail = "There is nothing at this path. Everything but user tasks and the topology is done by gRPC";
            Problem::new(StatusCode::NOT_FOUND, "Not Found", detail).at(uri.path())
        })
        .method_not_allowed_fallback(|uri: Uri| async move {
            let detail = "There is something at this path, but not for this method";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", detail).at(uri.path())
        })
        .layer(DefaultBodyLimit::max(body_bytes_max))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), let_in))
        .with_state(shared)
}

/// Answers 401 to who is not let in, and 429 to who has not been too often.
async fn let_in(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(authenticator) = &shared.config.authenticator else {
        return next.run(request).await;
    };
    let client = request.extensions().get();
    let Client(peer) = client.expect("each request has its connection's");
    let header = request.headers().get(header::AUTHORIZATION);
    match authenticator.check(header.map(HeaderValue::as_bytes), peer) {
        Ok(()) => next.run(request).await,
        Err(denied @ Denied::TooOften) => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let problem = Problem::new(status, "RESOURCE_EXHAUSTED", denied.to_string());
            problem.at(request.uri().path()).into_response()
        }
        Err(denied) => {
            let problem = Problem::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHENTICATED",
                denied.to_string(),
            );
            let challenge = [(header::WWW_AUTHENTICATE, authenticator.challenge())];
            (challenge, problem.at(request.uri().path())).into_response()
        }
    }
}

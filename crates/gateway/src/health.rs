//! The standard health service: serving from the moment that connections are taken until the order to stop.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

use crate::limits::HEALTH_WATCHERS_MAX;
use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse, health_server};

/// The services that there are; empty for the server as a whole.
const SERVICES: [&str; 2] = ["", "gateway_protocol.Gateway"];

/// Says whether the gateway serves.
#[derive(Debug)]
pub struct HealthCalls {
    stopped: watch::Receiver<bool>,
    /// Room for those who watch: nobody has to show who they are.
    watchers: Arc<Semaphore>,
}

impl HealthCalls {
    pub fn new(stopped: watch::Receiver<bool>) -> HealthCalls {
        HealthCalls {
            stopped,
            watchers: Arc::new(Semaphore::new(HEALTH_WATCHERS_MAX)),
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status as i32,
    }
}

fn of_stopped(stopped: bool) -> HealthCheckResponse {
    response(if stopped {
        ServingStatus::NotServing
    } else {
        ServingStatus::Serving
    })
}

#[tonic::async_trait]
impl health_server::Health for HealthCalls {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!(
                "There is no service '{service}'"
            )));
        }
        Ok(Response::new(of_stopped(*self.stopped.borrow())))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let Ok(place) = Arc::clone(&self.watchers).try_acquire_owned() else {
            return Err(Status::resource_exhausted(format!(
                "{HEALTH_WATCHERS_MAX} calls watch the health of this gateway, as many as may; use Check"
            )));
        };
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let first = if known {
            of_stopped(*self.stopped.borrow())
        } else {
            response(ServingStatus::ServiceUnknown)
        };
        let mut stopped = self.stopped.clone();
        // The protocol keeps the stream of an unknown service open as well. Both end with the gateway.
        let last = async move {
            // An error means that the gateway is gone, which is a stop as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
            drop(place);
            known.then_some(Ok(of_stopped(true)))
        };
        let last = stream::once(last).filter_map(std::future::ready);
        let statuses = stream::iter([Ok(first)]).chain(last);
        Ok(Response::new(Box::pin(statuses)))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::health_server::Health;
    use super::*;

    #[tokio::test]
    async fn as_many_watch_as_may_and_a_check_is_answered_beyond_that() {
        let (_stop, stopped) = watch::channel(false);
        let health = HealthCalls::new(stopped);
        let request = || Request::new(HealthCheckRequest::default());
        let mut watching = Vec::new();
        for _ in 0..HEALTH_WATCHERS_MAX {
            watching.push(health.watch(request()).await.unwrap().into_inner());
        }
        let refused = health.watch(request()).await.err().unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let checked = health.check(request()).await.unwrap().into_inner();
        assert_eq!(checked.status(), ServingStatus::Serving);
        let mut one = watching.pop().unwrap();
        assert!(one.next().await.is_some(), "the status at present");
        drop(one);
        assert!(health.watch(request()).await.is_ok());
    }
}

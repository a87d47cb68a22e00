//! The standard health service: serving from the moment that connections are taken until the order to stop.

use std::pin::Pin;

use futures::{Stream, StreamExt, stream};
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse, health_server};

/// The services that there are; empty for the server as a whole.
const SERVICES: [&str; 2] = ["", "gateway_protocol.Gateway"];

/// Says whether the gateway serves.
#[derive(Debug)]
pub struct HealthCalls {
    pub stopped: watch::Receiver<bool>,
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
            known.then_some(Ok(of_stopped(true)))
        };
        let last = stream::once(last).filter_map(std::future::ready);
        let statuses = stream::iter([Ok(first)]).chain(last);
        Ok(Response::new(Box::pin(statuses)))
    }
}

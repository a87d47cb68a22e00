//! The server: which calls go where, how the transport is set, how it begins and ends.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::Either;
use skep_auth::{Authenticator, Denied};
use skep_tls::Listener;
use thiserror::Error;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tracing::{info, warn};

use crate::brokers::{Brokers, JobsAvailable};
use crate::call_stats::{Begun, CallStats};
use crate::config::GatewayConfig;
use crate::health::HealthCalls;
use crate::incoming::{self, Client};
use crate::job_streams::JobStreams;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, PENDING_RESETS_MAX,
    SHUTDOWN_GRACE, STREAM_WINDOW_BYTES, STREAMS_PER_CONNECTION_MAX,
};
use crate::long_polling::LongPolling;
use crate::proto::gateway_server::GatewayServer;
use crate::proto::health::health_server::HealthServer;
use crate::routing::RoundRobin;
use crate::rpc::{Calls, Gateway};

/// Why the gateway does not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The transport failed as a whole.
    #[error("serve the gateway's interface")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves clients until `shutdown` completes, and then until open calls have ended or the time for that is over.
pub async fn serve(
    listener: Listener,
    config: GatewayConfig,
    brokers: Arc<dyn Brokers>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (stop, stopped) = watch::channel(false);
    let (in_use, mut out_of_use) = mpsc::channel(1);
    let announcements = brokers.jobs_available();
    let gateway = Arc::new(Gateway {
        polls: LongPolling::new(config.long_polling.clone()),
        creations: RoundRobin::default(),
        streams: JobStreams::default(),
        brokers,
        config,
        stopped: stopped.clone(),
        _in_use: in_use,
    });
    let news = follow(gateway.clone(), announcements);
    let services = Services::new(gateway, stopped.clone());
    let mut until = stopped;
    let serving = builder().serve_with_incoming_shutdown(
        services,
        incoming::connections(listener),
        async move {
            // An error means that `serve` was dropped, which stops everything anyway.
            let _ = until.wait_for(|stopped| *stopped).await;
        },
    );
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => return Ok(result?),
        never = news => match never {},
        () = shutdown => {}
    }
    info!("the gateway stops");
    stop.send_replace(true);
    let ended = timeout(SHUTDOWN_GRACE, async {
        let served = serving.await;
        // `None` once the last call and the last poll are gone.
        out_of_use.recv().await;
        served
    });
    match ended.await {
        Ok(served) => Ok(served?),
        Err(_) => {
            warn!(grace = ?SHUTDOWN_GRACE, "calls were still open when the gateway stopped");
            Ok(())
        }
    }
}

/// How the transport is set for every gateway. Only HTTP/2, with prior knowledge.
fn builder() -> Server {
    // No timeout for calls as such: polls and results may take as long as their clients wish.
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
}

/// Brings the brokers' announcements to the parked polls, and probes in their absence.
async fn follow(gateway: Arc<Gateway>, mut announcements: Receiver<JobsAvailable>) -> Infallible {
    // Twice per probe timeout, so that a type is probed after at most one and a half of them.
    let period = gateway.config.long_polling.probe_timeout / 2;
    let mut probe = interval(period.max(std::time::Duration::from_millis(1)));
    probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listening = true;
    loop {
        tokio::select! {
            announcement = announcements.recv(), if listening => match announcement {
                Ok(JobsAvailable { job_type: Some(one), .. }) => gateway.polls.announce(&one),
                Ok(_) | Err(RecvError::Lagged(_)) => gateway.polls.announce_all(),
                // The brokers are gone; clients get to know by the failure of their calls.
                Err(RecvError::Closed) => listening = false,
            },
            _ = probe.tick() => gateway.polls.probe(),
        }
    }
}

type Call = BoxFuture<Response<Body>, Infallible>;
type Answered = Result<Response<Body>, Infallible>;

/// A call under way, which is counted when it is answered.
struct Counted {
    call: Call,
    /// `None` for what is not counted.
    counted: Option<(Begun, Arc<CallStats>)>,
}

impl Future for Counted {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        let answered = futures::ready!(self.call.as_mut().poll(context));
        let (code, answered) = too_large_is_resource_exhausted(answered);
        if let Some((begun, calls)) = self.counted.take() {
            calls.end(begun, code);
        }
        Poll::Ready(answered)
    }
}

/// The services that there are. Any authority and any user agent may call them.
#[derive(Clone)]
struct Services {
    gateway: GatewayServer<Calls>,
    health: HealthServer<HealthCalls>,
    authenticator: Option<Arc<Authenticator>>,
    calls: Arc<CallStats>,
}

impl Services {
    fn new(gateway: Arc<Gateway>, stopped: watch::Receiver<bool>) -> Services {
        let bytes_max = gateway.config.max_message_size;
        Services {
            authenticator: gateway.config.authenticator.clone(),
            calls: Arc::clone(&gateway.config.calls),
            gateway: GatewayServer::new(Calls(gateway))
                .max_decoding_message_size(bytes_max)
                .accept_compressed(CompressionEncoding::Gzip),
            health: HealthServer::new(HealthCalls::new(stopped)),
        }
    }
}

impl Services {
    /// What a client is told that is not let in. Health is everybody's business.
    fn denied(&self, request: &Request<Body>) -> Option<Status> {
        let header = request.headers().get(AUTHORIZATION);
        let authenticator = self.authenticator.as_ref()?;
        let client = request.extensions().get();
        let Client(peer) = client.expect("each call has its connection's");
        let checked = authenticator.check(header.map(HeaderValue::as_bytes), peer);
        let denied = checked.err()?;
        Some(match denied {
            Denied::TooOften => Status::resource_exhausted(denied.to_string()),
            _ => Status::unauthenticated(denied.to_string()),
        })
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Counted, Ready<Answered>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut counted = None;
        let call = match service_of(request.uri().path()) {
            GatewayServer::<Calls>::NAME => {
                let begun = CallStats::begin(request.uri().path());
                if let Some(status) = self.denied(&request) {
                    self.calls.end(begun, status.code());
                    return Either::Right(ready(Ok(status.into_http())));
                }
                counted = Some((begun, Arc::clone(&self.calls)));
                self.gateway.call(request)
            }
            HealthServer::<HealthCalls>::NAME => self.health.call(request),
            _ => {
                let status = Status::unimplemented("The gateway has no such service");
                return Either::Right(ready(Ok(status.into_http())));
            }
        };
        Either::Left(Counted { call, counted })
    }
}

/// The service in a path of the form `/<service>/<call>`.
fn service_of(path: &str) -> &str {
    path.strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .map_or("", |(service, _)| service)
}

/// The transport answers OUT_OF_RANGE to a request beyond the message size, other gRPC servers RESOURCE_EXHAUSTED, which
/// clients know. No call of ours answers OUT_OF_RANGE itself.
fn too_large_is_resource_exhausted(response: Answered) -> (Code, Answered) {
    let Ok(mut response) = response;
    // What ends well, or begins to answer, says so later or not at all.
    let mut code = Code::Ok;
    if let Some(header) = response.headers_mut().get_mut(Status::GRPC_STATUS) {
        code = Code::from_bytes(header.as_bytes());
        if code == Code::OutOfRange {
            code = Code::ResourceExhausted;
            *header = HeaderValue::from(code as i32);
        }
    }
    (code, Ok(response))
}

//! HTTP(S) connections for the S3 client: hyper with rustls on `ring`.
//!
//! Why not `object_store`'s own `aws` feature: it brings `reqwest` with `aws-lc-sys`, whose C and assembly build took over
//! ten minutes of wall clock on a busy machine when crates were chosen (not measured again for this crate). With
//! `aws-base`, `ring` and this connector, `cargo check` of the crate and all it depends on took 56 s of CPU from
//! nothing, and hyper is shared with the rest of Skep. HTTP/1.1 only, which every S3 server speaks.
//!
//! Trust: the system's certificates, or those named by `SSL_CERT_FILE` / `SSL_CERT_DIR`; where there are none
//! (a minimal container), Mozilla's list as compiled in.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use rustls::{ClientConfig, RootCertStore};

/// Makes the one HTTP client of a store.
#[derive(Debug)]
pub(crate) struct Connector {
    /// Time for one attempt up to the response's head.
    pub(crate) attempt_timeout: Duration,
    /// Time for TCP connect.
    pub(crate) connect_timeout: Duration,
}

#[derive(Debug)]
struct Service {
    client: Client<HttpsConnector<TcpConnector>, HttpRequestBody>,
    attempt_timeout: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let tls = tls_config().map_err(|source| object_store::Error::Generic {
            store: "S3",
            source,
        })?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(20))
            .build(connector);
        Ok(HttpClient::new(Service {
            client,
            attempt_timeout: self.attempt_timeout,
        }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(self.attempt_timeout, self.client.request(request));
        match answer.await {
            Ok(Ok(mut response)) => {
                // The client repeats every 5xx for minutes. That a server has not implemented something will not
                // change by then, so it is told as what it is: a request that cannot be served.
                if response.status() == StatusCode::NOT_IMPLEMENTED {
                    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                }
                Ok(response.map(|body| {
                    HttpResponseBody::new(body.map_err(|e| http_error(kind_of(&e), e)))
                }))
            }
            // No attempt will make it trusted; this kind is not tried again.
            Ok(Err(e)) if has_refused_certificate(&e) => Err(http_error(HttpErrorKind::Unknown, e)),
            Ok(Err(e)) if e.is_connect() => Err(http_error(HttpErrorKind::Connect, e)),
            Ok(Err(e)) => Err(http_error(kind_of_source(&e), e)),
            Err(elapsed) => Err(http_error(HttpErrorKind::Timeout, elapsed)),
        }
    }
}

fn http_error(kind: HttpErrorKind, source: impl Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(kind, source)
}

/// What TLS has against the server's certificate, if this is that error. It comes wrapped in an error of I/O.
pub(crate) fn refused_certificate(e: &(dyn Error + 'static)) -> Option<String> {
    let inner = e.downcast_ref::<io::Error>()?.get_ref()?;
    match inner.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(why)) => Some(why.to_string()),
        Some(_) => None,
        // Another error of I/O around it.
        None => refused_certificate(inner),
    }
}

fn has_refused_certificate(e: &(dyn Error + 'static)) -> bool {
    let mut next = Some(e);
    while let Some(e) = next {
        if refused_certificate(e).is_some() {
            return true;
        }
        next = e.source();
    }
    false
}

fn kind_of_source(e: &hyper_util::client::legacy::Error) -> HttpErrorKind {
    let source = Error::source(e).and_then(|source| source.downcast_ref::<hyper::Error>());
    source.map_or(HttpErrorKind::Unknown, kind_of)
}

/// A connection that the server closed under us is worth another attempt; a malformed answer is not.
fn kind_of(e: &hyper::Error) -> HttpErrorKind {
    if e.is_timeout() {
        HttpErrorKind::Timeout
    } else if e.is_closed() || e.is_incomplete_message() || e.is_body_write_aborted() {
        HttpErrorKind::Request
    } else if e.is_parse() {
        HttpErrorKind::Decode
    } else {
        // What remains is the socket's own error: reset, broken pipe.
        HttpErrorKind::Interrupted
    }
}

fn tls_config() -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    // Errors about single files do not matter as long as something usable is found.
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

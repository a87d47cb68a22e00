//! Reading a small JSON document over HTTP(S).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

/// Time for one document.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Keys of a provider take a few kilobytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// A client that trusts the system's certificates, or those named by `SSL_CERT_FILE` and `SSL_CERT_DIR`.
pub(crate) struct Documents(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>);

impl Documents {
    pub(crate) fn new() -> Result<Documents, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Documents(
            Client::builder(TokioExecutor::new()).build(connector),
        ))
    }

    /// The document at an address.
    pub(crate) async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, String> {
        match tokio::time::timeout(TIMEOUT, self.fetch(address)).await {
            Ok(fetched) => serde_json::from_slice(&fetched?)
                .map_err(|error| format!("it is not the JSON that is expected: {error}")),
            Err(_) => Err(format!("no answer within {}s", TIMEOUT.as_secs())),
        }
    }

    async fn fetch(&self, address: &str) -> Result<Bytes, String> {
        let request = Request::get(address)
            .header(header::ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = self
            .0
            .request(request)
            .await
            .map_err(|error| causes(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX);
        let body = body.collect().await.map_err(|error| error.to_string())?;
        Ok(body.to_bytes())
    }
}

/// An error with what caused it; the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

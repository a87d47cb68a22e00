//! Calls to the management API.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::failure::{Code, Failure};

/// A broker answers within its own request timeout; this is for one that does not.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A list of backups is far smaller; whatever listens there may be no broker.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A broker's management API.
pub struct Management {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Management {
    /// The API at an address such as `http://127.0.0.1:9600`.
    pub fn new(address: &str) -> Result<Management, Failure> {
        let address = if address.contains("://") {
            address.strip_suffix('/').unwrap_or(address).to_owned()
        } else {
            format!("http://{address}")
        };
        match address.parse::<Uri>() {
            Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() => Ok(Management {
                address,
                client: Client::builder(TokioExecutor::new()).build_http(),
            }),
            _ => Err(Failure::new(
                Code::Usage,
                format!(
                    "'{address}' is no address of a management API. Expected one such as http://127.0.0.1:9600"
                ),
            )),
        }
    }

    /// Sends a request and gives the answer's status and body.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        match tokio::time::timeout(TIMEOUT, self.exchange(method, path, body)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(self.unreachable(&reason)),
            Err(_) => Err(self.unreachable(&format!("no answer within {}s", TIMEOUT.as_secs()))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| error.to_string())?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| causes(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
        let body = body.await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }

    fn unreachable(&self, reason: &str) -> Failure {
        Failure::new(
            Code::Unreachable,
            format!(
                "the management API at {} cannot be reached: {reason}. Is the broker running? Give its address with \
                 --management, or read the backup store directly with --store",
                self.address
            ),
        )
    }
}

/// An error with what caused it; the outermost alone says little.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_its_scheme_and_have_a_slash() {
        for address in [
            "127.0.0.1:9600",
            "http://127.0.0.1:9600",
            "http://127.0.0.1:9600/",
        ] {
            let management = Management::new(address).unwrap();
            assert_eq!(management.address, "http://127.0.0.1:9600", "{address}");
        }
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        for address in ["https://127.0.0.1:9600", "ftp://x", "", "http://", "a b"] {
            assert!(Management::new(address).is_err(), "{address}");
        }
    }
}

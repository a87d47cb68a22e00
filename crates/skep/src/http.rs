//! Calls over HTTP: to the management API, and to an identity provider.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use skep_tls::Protocol;

use crate::cli::TlsArguments;
use crate::dialler::Dialler;
use crate::failure::{Code, Failure};

/// A broker answers within its own request timeout; this is for one that does not.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A list of backups is far smaller; whatever listens there may be no broker.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A broker's management API.
pub struct Management(Caller);

impl Management {
    /// The API at an address such as `http://127.0.0.1:9600`.
    pub fn new(address: &str, tls: &TlsArguments) -> Result<Management, Failure> {
        let hint = "--management, or read the backup store directly with --store";
        Caller::new(address, "management API", hint, tls).map(Management)
    }

    /// Sends a request and gives the answer's status and body.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let body = body.map(|body| ("application/json", body));
        self.0.call(method, path, body).await
    }
}

/// Somebody who is called over HTTP.
pub struct Caller {
    address: String,
    /// Who it is, and what to give its address with.
    what: (&'static str, &'static str),
    client: Client<Dialler, Full<Bytes>>,
}

impl Caller {
    /// The one at an address, which is given with an option of that name.
    pub fn new(
        address: &str,
        what: &'static str,
        option: &'static str,
        tls: &TlsArguments,
    ) -> Result<Caller, Failure> {
        let address = match address.contains("://") {
            true => address.strip_suffix('/').unwrap_or(address).to_owned(),
            false => format!("http://{address}"),
        };
        let uri = address.parse::<Uri>().ok();
        let scheme = uri.as_ref().filter(|uri| uri.host().is_some());
        let secured = match scheme.and_then(Uri::scheme_str) {
            Some("http") => false,
            Some("https") => true,
            _ => {
                let text = format!(
                    "'{address}' is no address of the {what}. Expected one such as http://127.0.0.1:9600"
                );
                return Err(Failure::new(Code::Usage, text));
            }
        };
        let dialler = Dialler::new(secured, tls, Protocol::Http1)?;
        Ok(Caller {
            address,
            what: (what, option),
            client: Client::builder(TokioExecutor::new()).build(dialler),
        })
    }

    /// Sends a request, whose body is of that type, and gives the answer's status and body.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, String)>,
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
        body: Option<(&'static str, String)>,
    ) -> Result<(StatusCode, Bytes), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header(header::ACCEPT, "application/json");
        if let Some((kind, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *kind);
        }
        let body = body.map(|(_, body)| body).unwrap_or_default();
        let request = request
            .body(Full::from(body))
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
        let (what, option) = self.what;
        Failure::new(
            Code::Unreachable,
            format!(
                "the {what} at {} cannot be reached: {reason}. Is it running? Give its address with {option}",
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
            let tls = TlsArguments::default();
            let management = Management::new(address, &tls).unwrap();
            assert_eq!(management.0.address, "http://127.0.0.1:9600", "{address}");
        }
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        let tls = TlsArguments::default();
        for address in ["ftp://x", "", "http://", "a b"] {
            assert!(Management::new(address, &tls).is_err(), "{address}");
        }
    }
}

//! Who the command line says it is: user and password, a token, or one that an identity provider gives for client id and secret.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, header};
use serde_json::Value;

use crate::cli::{CredentialArguments, TlsArguments};
use crate::failure::{Code, Failure};
use crate::http::Caller;

/// What the `authorization` header of calls says; `None` if nothing was given.
pub async fn authorization(
    given: &CredentialArguments,
    tls: &TlsArguments,
) -> Result<Option<String>, Failure> {
    let usage = |text: &str| Failure::new(Code::Usage, text);
    match given {
        CredentialArguments {
            token: Some(token), ..
        } => Ok(Some(format!("Bearer {token}"))),
        CredentialArguments {
            client_id: Some(id),
            ..
        } => {
            let needed = "--client-id needs --client-secret and --authorization-server";
            let secret = given.client_secret.as_ref().ok_or_else(|| usage(needed))?;
            let server = given.authorization_server.as_ref();
            let server = server.ok_or_else(|| usage(needed))?;
            let token = fetch(given, id, secret, server, tls).await?;
            Ok(Some(format!("Bearer {token}")))
        }
        CredentialArguments {
            username: Some(name),
            ..
        } => {
            let password = given.password.as_ref();
            let password = password.ok_or_else(|| usage("--username needs a --password"))?;
            let pair = BASE64_STANDARD.encode(format!("{name}:{password}"));
            Ok(Some(format!("Basic {pair}")))
        }
        _ => Ok(None),
    }
}

/// Asks an identity provider for a token (RFC 6749, client credentials).
async fn fetch(
    given: &CredentialArguments,
    id: &str,
    secret: &str,
    server: &str,
    tls: &TlsArguments,
) -> Result<String, Failure> {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
    ];
    form.extend(
        given
            .audience
            .as_deref()
            .map(|audience| ("audience", audience)),
    );
    form.extend(given.scope.as_deref().map(|scope| ("scope", scope)));
    let form: Vec<String> = form
        .into_iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let caller = Caller::new(server, "identity provider", "--authorization-server", tls)?;
    let kind = "application/x-www-form-urlencoded";
    let body = Some((kind, form.join("&")));
    let (status, body) = caller.call(Method::POST, "", body).await?;
    let token = serde_json::from_slice::<Value>(&body).ok();
    let token = token.and_then(|answer| Some(answer.get("access_token")?.as_str()?.to_owned()));
    match token {
        Some(token) if status.is_success() => Ok(token),
        // What it answers may hold what was sent.
        _ => Err(Failure::new(
            Code::Refused,
            format!("the identity provider at {server} gives no token: it answers {status}"),
        )),
    }
}

/// A value of a form.
fn encoded(value: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

/// Says on every call who calls.
#[derive(Clone)]
pub struct Authorize(Option<tonic::metadata::AsciiMetadataValue>);

impl Authorize {
    /// With what the header says.
    pub fn new(authorization: Option<&str>) -> Result<Authorize, Failure> {
        let value = authorization.map(|text| {
            let mut value = tonic::metadata::AsciiMetadataValue::try_from(text)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let value: Result<_, tonic::metadata::errors::InvalidMetadataValue> = value.transpose();
        let wrong = |_| Failure::new(Code::Usage, "the token has characters that no token has");
        value.map(Authorize).map_err(wrong)
    }
}

impl tonic::service::Interceptor for Authorize {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.0 {
            let name = header::AUTHORIZATION.as_str();
            request.metadata_mut().insert(name, value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn given(set: impl FnOnce(&mut CredentialArguments)) -> CredentialArguments {
        let mut arguments = CredentialArguments::default();
        set(&mut arguments);
        arguments
    }

    async fn header_of(given: &CredentialArguments) -> Result<Option<String>, Failure> {
        authorization(given, &TlsArguments::default()).await
    }

    #[tokio::test]
    async fn user_and_password_or_a_token_are_said_as_they_are() {
        let basic = given(|it| {
            it.username = Some("demo".to_owned());
            it.password = Some("sesame".to_owned());
        });
        let header = header_of(&basic).await.ok().unwrap();
        assert_eq!(header.as_deref(), Some("Basic ZGVtbzpzZXNhbWU="));
        let token = given(|it| it.token = Some("abc".to_owned()));
        let header = header_of(&token).await.ok().unwrap();
        assert_eq!(header.as_deref(), Some("Bearer abc"));
        assert!(header_of(&given(|_| ())).await.ok().unwrap().is_none());
        let half = given(|it| it.username = Some("demo".to_owned()));
        assert!(header_of(&half).await.is_err());
    }

    /// Answers one request, and gives it.
    async fn provider(status: &str, answer: &str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/token", listener.local_addr().unwrap());
        let length = answer.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}");
        let served = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"scope=a+b") {
                assert!(connection.read_buf(&mut request).await.unwrap() > 0);
            }
            connection.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (address, served)
    }

    #[tokio::test]
    async fn a_token_is_fetched_for_client_id_and_secret() {
        for (status, answer, expected) in [
            ("200 OK", r#"{"access_token": "xyz"}"#, Some("Bearer xyz")),
            ("401 Unauthorized", r#"{"error": "s&cret"}"#, None),
        ] {
            let (address, served) = provider(status, answer).await;
            let client = given(|it| {
                it.client_id = Some("me".to_owned());
                it.client_secret = Some("s&cret".to_owned());
                it.audience = Some("zeebe-api".to_owned());
                it.scope = Some("a b".to_owned());
                it.authorization_server = Some(address);
            });
            let header = header_of(&client).await;
            let request = served.await.unwrap();
            assert!(request.starts_with("POST /token "), "{request}");
            let form = "grant_type=client_credentials&client_id=me&client_secret=s%26cret&audience=zeebe-api&scope=a+b";
            assert!(request.ends_with(form), "{request}");
            match expected {
                Some(expected) => assert_eq!(header.ok().unwrap().as_deref(), Some(expected)),
                None => assert!(!format!("{:?}", header.err()).contains("s&cret")),
            }
        }
    }
}

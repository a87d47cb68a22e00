//! The client of an S3 store, set up from our configuration and, where that says nothing, from the `AWS_…` variables.
//!
//! What is configured wins over every variable. `object_store` takes the endpoint of a client that puts the bucket into the host
//! name for the bucket's own, so the bucket is put there first.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::{BackoffConfig, RetryConfig, StaticCredentialProvider};

use crate::connect::Connector;
use crate::s3::{Credentials, S3Config};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const RETRIES_MAX: usize = 10;

/// The client that this process uses.
pub(crate) fn client(config: &S3Config) -> object_store::Result<AmazonS3> {
    builder(config, AmazonS3Builder::from_env())
        .with_http_connector(Connector {
            // A third each, so that a connection gone silent leaves time for another attempt.
            attempt_timeout: config.api_call_timeout / 3,
            connect_timeout: CONNECT_TIMEOUT.min(config.api_call_timeout / 3),
        })
        .build()
}

/// All of the client but its connections; `environment` holds what the variables say.
fn builder(config: &S3Config, environment: AmazonS3Builder) -> AmazonS3Builder {
    let mut builder = environment
        .with_bucket_name(&config.bucket)
        .with_allow_http(true)
        .with_retry(RetryConfig {
            // The last attempt, begun after the longest pause, still ends within the call's time: so what is reported is what
            // the store says, and not that time was over.
            backoff: BackoffConfig {
                init_backoff: BackoffConfig::default()
                    .init_backoff
                    .min(config.api_call_timeout / 8),
                max_backoff: BackoffConfig::default()
                    .max_backoff
                    .min(config.api_call_timeout / 8),
                ..BackoffConfig::default()
            },
            max_retries: RETRIES_MAX,
            retry_timeout: config.api_call_timeout / 2,
        });
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let Credentials::Given {
        access_key,
        secret_key,
    } = &config.credentials
    {
        // Not key by key: a session token of the environment belongs to the environment's keys.
        let credential = AwsCredential {
            key_id: access_key.clone(),
            secret_key: secret_key.clone(),
            token: None,
        };
        builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(credential)));
    }
    with_place_of_bucket(config, builder)
}

/// Bucket in the path or in the host name, and the endpoint that goes with it.
fn with_place_of_bucket(config: &S3Config, builder: AmazonS3Builder) -> AmazonS3Builder {
    let of_environment = || {
        builder
            .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
            .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint))
    };
    let Some(endpoint) = config.endpoint.clone().or_else(of_environment) else {
        return builder.with_virtual_hosted_style_request(!config.path_style);
    };
    let endpoint = endpoint.trim_end_matches('/');
    let of_bucket = if config.path_style {
        None
    } else {
        endpoint_of_bucket(endpoint, &config.bucket)
    };
    builder
        .with_virtual_hosted_style_request(of_bucket.is_some())
        // The client prefers this one to the endpoint that is not of S3 alone, from wherever that one is.
        .with_config(
            AmazonS3ConfigKey::S3Endpoint,
            of_bucket.unwrap_or_else(|| endpoint.to_owned()),
        )
}

/// The endpoint with the bucket in its host name, unless it is there already. None where there is no name but an IP address, which
/// no bucket can be part of.
fn endpoint_of_bucket(endpoint: &str, bucket: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, String::new()),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{user}@"), host),
        None => (String::new(), authority),
    };
    let name = host.split(':').next().unwrap_or(host);
    if host.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    let of_bucket = if host.starts_with(&format!("{bucket}.")) {
        host.to_owned()
    } else {
        format!("{bucket}.{host}")
    };
    Some(format!("{scheme}://{user}{of_bucket}{path}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::Mutex;

    use async_trait::async_trait;
    use object_store::client::{
        HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
    };
    use object_store::path::Path;
    use object_store::{ClientOptions, ObjectStoreExt};

    use super::*;

    /// A network in which every request is noted and answered with success.
    #[derive(Debug, Clone, Default)]
    struct Network(Arc<Mutex<Vec<Sent>>>);

    #[derive(Debug, Clone)]
    struct Sent {
        url: String,
        token: bool,
        authorization: String,
    }

    impl HttpConnector for Network {
        fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
            Ok(HttpClient::new(self.clone()))
        }
    }

    #[async_trait]
    impl HttpService for Network {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let header = |name| request.headers().get(name);
            let authorization = header("authorization").map(|value| value.to_str().unwrap());
            self.0.lock().unwrap().push(Sent {
                url: request.uri().to_string(),
                token: header("x-amz-security-token").is_some(),
                authorization: authorization.unwrap_or_default().to_owned(),
            });
            let answer = http::Response::builder().header("etag", "1");
            Ok(answer.body(String::new().into()).unwrap())
        }
    }

    /// The request of one put.
    async fn put(config: &S3Config, environment: AmazonS3Builder) -> Sent {
        let network = Network::default();
        let client = builder(config, environment)
            .with_http_connector(network.clone())
            .build()
            .unwrap();
        client.put(&Path::from("a/b"), "x".into()).await.unwrap();
        let sent = network.0.lock().unwrap();
        assert_eq!(sent.len(), 1);
        sent[0].clone()
    }

    fn config(path_style: bool, endpoint: Option<&str>) -> S3Config {
        S3Config {
            endpoint: endpoint.map(str::to_owned),
            path_style,
            credentials: Credentials::Given {
                access_key: "ours".to_owned(),
                secret_key: "secret".to_owned(),
            },
            ..S3Config::new("backups")
        }
    }

    #[tokio::test]
    async fn the_bucket_is_in_the_path_or_in_the_host_name() {
        for (path_style, endpoint, expected) in [
            (
                true,
                "https://s3.example.com",
                "https://s3.example.com/backups/a/b",
            ),
            (
                false,
                "https://s3.example.com",
                "https://backups.s3.example.com/a/b",
            ),
            (
                false,
                "http://s3.example.com:9000/",
                "http://backups.s3.example.com:9000/a/b",
            ),
            (
                false,
                "https://backups.s3.example.com",
                "https://backups.s3.example.com/a/b",
            ),
            // No name, so the bucket cannot be part of it.
            (
                false,
                "http://10.0.0.1:9000",
                "http://10.0.0.1:9000/backups/a/b",
            ),
            (false, "http://[::1]:9000", "http://[::1]:9000/backups/a/b"),
        ] {
            let config = config(path_style, Some(endpoint));
            let sent = put(&config, AmazonS3Builder::new()).await;
            assert_eq!(sent.url, expected, "{endpoint}, path style {path_style}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_of_the_environment_is_taken_as_a_configured_one_and_does_not_win_over_it()
    {
        for key in [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint] {
            let environment =
                || AmazonS3Builder::new().with_config(key, "https://s3.elsewhere.com");
            let sent = put(&config(false, None), environment()).await;
            assert_eq!(sent.url, "https://backups.s3.elsewhere.com/a/b", "{key:?}");
            let sent = put(&config(true, None), environment()).await;
            assert_eq!(sent.url, "https://s3.elsewhere.com/backups/a/b", "{key:?}");
            let configured = config(true, Some("https://s3.example.com"));
            let sent = put(&configured, environment()).await;
            assert_eq!(sent.url, "https://s3.example.com/backups/a/b", "{key:?}");
        }
    }

    #[tokio::test]
    async fn without_an_endpoint_the_region_says_where_to_go() {
        for (path_style, expected) in [
            (false, "https://backups.s3.eu-north-1.amazonaws.com/a/b"),
            (true, "https://s3.eu-north-1.amazonaws.com/backups/a/b"),
        ] {
            let config = S3Config {
                region: Some("eu-north-1".to_owned()),
                ..config(path_style, None)
            };
            let sent = put(&config, AmazonS3Builder::new()).await;
            assert_eq!(sent.url, expected);
        }
    }

    #[tokio::test]
    async fn a_session_token_goes_with_the_keys_that_it_belongs_to() {
        let environment = || {
            AmazonS3Builder::new()
                .with_access_key_id("theirs")
                .with_secret_access_key("secret")
                .with_token("token")
        };
        let given = config(true, Some("https://s3.example.com"));
        let sent = put(&given, environment()).await;
        assert!(!sent.token, "{sent:?}");
        assert!(sent.authorization.contains("Credential=ours/"), "{sent:?}");
        let of_environment = S3Config {
            credentials: Credentials::Environment,
            ..given
        };
        let sent = put(&of_environment, environment()).await;
        assert!(sent.token, "{sent:?}");
        assert!(
            sent.authorization.contains("Credential=theirs/"),
            "{sent:?}"
        );
    }
}

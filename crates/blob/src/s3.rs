//! Any store that speaks S3.
//!
//! `object_store` does signing, requests and retries; this module sets it up ([`crate::s3_client`]), bounds each
//! call (`api_call_timeout`, retries included) and the number of concurrent connections, and turns its errors
//! into ours. Waiting for a free connection does not count against the call's time: under load calls queue up,
//! they do not fail (Zeebe's uploads of large partitions failed that way, camunda issue 12942).

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::aws::AmazonS3;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    UpdateVersion,
};
use tokio::sync::Semaphore;

use crate::connect::refused_certificate;
use crate::s3_client::client;
use crate::{
    BasePath, BlobError, BlobErrorKind, BlobMeta, BlobStore, InvalidPath, PutOutcome, Result,
    Version, path,
};

/// Where credentials come from.
#[derive(Clone)]
pub enum Credentials {
    /// Given by configuration.
    Given {
        /// Access key id.
        access_key: String,
        /// Secret access key.
        secret_key: String,
    },
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, a web identity, or the machine's role.
    Environment,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { .. } => f.write_str("Given(***)"),
            Self::Environment => f.write_str("Environment"),
        }
    }
}

/// How to reach a bucket.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// The bucket, which must exist.
    pub bucket: String,
    /// Address of the store; none for AWS itself, or for what `AWS_ENDPOINT_URL` says.
    pub endpoint: Option<String>,
    /// Region; else `AWS_REGION` or `AWS_DEFAULT_REGION`, else `us-east-1`, which most other stores accept.
    pub region: Option<String>,
    /// Credentials.
    pub credentials: Credentials,
    /// Bucket in the path instead of in the host name, where it is put unless it is there already. True suits every store but newest
    /// AWS regions; an endpoint that is an IP address always has it in the path.
    pub path_style: bool,
    /// Prefix of all objects.
    pub base_path: String,
    /// Bound of one call, retries included.
    pub api_call_timeout: Duration,
    /// Calls on their way at once.
    pub connections_max: usize,
}

impl S3Config {
    /// Everything but the bucket at its default.
    pub fn new(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            endpoint: None,
            region: None,
            credentials: Credentials::Environment,
            path_style: true,
            base_path: String::new(),
            api_call_timeout: Duration::from_secs(180),
            connections_max: 50,
        }
    }
}

/// A configuration that cannot work, known without asking the store.
#[derive(Debug, thiserror::Error)]
pub enum S3ConfigError {
    /// No bucket.
    #[error("Configuration for S3 backup store is incomplete. bucketName must not be empty.")]
    BucketMissing,
    /// Base path with a slash at an end, or worse.
    #[error("s3.basePath: {0}")]
    BasePath(#[from] InvalidPath),
    /// Zero connections or no time.
    #[error("s3.{0} must be greater than zero")]
    Zero(&'static str),
    /// The client refuses the combination.
    #[error("S3 client cannot be set up for endpoint {endpoint}, region {region}: {detail}")]
    Client {
        /// The endpoint as given.
        endpoint: String,
        /// The region as given.
        region: String,
        /// The client's words.
        detail: String,
    },
}

/// A bucket, or a prefix in one.
#[derive(Clone)]
pub struct S3BlobStore {
    client: Arc<AmazonS3>,
    base: BasePath,
    location: String,
    call_timeout: Duration,
    connections: Arc<Semaphore>,
}

impl fmt::Debug for S3BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3BlobStore")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl S3BlobStore {
    /// Set the client up. Nothing is sent; use [`crate::probe`] to find out whether it works.
    pub fn new(config: &S3Config) -> std::result::Result<Self, S3ConfigError> {
        if config.bucket.is_empty() {
            return Err(S3ConfigError::BucketMissing);
        }
        if config.connections_max == 0 {
            return Err(S3ConfigError::Zero("maxConcurrentConnections"));
        }
        if config.api_call_timeout.is_zero() {
            return Err(S3ConfigError::Zero("apiCallTimeout"));
        }
        let base = BasePath::new(&config.base_path)?;
        let client = client(config).map_err(|e| S3ConfigError::Client {
            endpoint: config
                .endpoint
                .clone()
                .unwrap_or_else(|| "(default)".to_owned()),
            region: config
                .region
                .clone()
                .unwrap_or_else(|| "(default)".to_owned()),
            detail: e.to_string(),
        })?;
        let prefix = if base.as_str().is_empty() {
            String::new()
        } else {
            format!("/{}", base.as_str())
        };
        let endpoint = config
            .endpoint
            .as_deref()
            .map(|e| format!(" at {}", without_user_info(e)))
            .unwrap_or_default();
        Ok(Self {
            client: Arc::new(client),
            base,
            location: format!("S3 bucket {}{prefix}{endpoint}", config.bucket),
            call_timeout: config.api_call_timeout,
            connections: Arc::new(Semaphore::new(config.connections_max)),
        })
    }

    /// Run one call within its time, on one of the connections.
    async fn call<T>(
        &self,
        path: &str,
        call: impl Future<Output = object_store::Result<T>> + Send,
    ) -> Result<T> {
        let _permit = self
            .connections
            .acquire()
            .await
            .expect("the semaphore is never closed");
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(result) => result.map_err(|e| self.error(path, &e)),
            Err(_) => Err(BlobError::new(
                BlobErrorKind::Timeout,
                &self.location,
                path,
                "",
            )),
        }
    }

    fn key(&self, path: &str) -> Result<Path> {
        path::check(&self.location, path)?;
        Ok(Path::from(self.base.join(path)))
    }

    fn error(&self, path: &str, e: &object_store::Error) -> BlobError {
        let answer = Answer::of(e);
        BlobError::new(answer.kind(e), &self.location, path, answer.text())
    }

    fn meta(&self, meta: ObjectMeta) -> Option<BlobMeta> {
        let path = self.base.strip(meta.location.as_ref())?.to_owned();
        Some(BlobMeta {
            path,
            size: meta.size,
            modified: meta.last_modified.into(),
        })
    }

    async fn put_with(&self, path: &str, bytes: Bytes, mode: PutMode) -> Result<()> {
        let key = self.key(path)?;
        let options = PutOptions::from(mode);
        self.call(path, self.client.put_opts(&key, bytes.into(), options))
            .await
            .map(drop)
    }
}

#[async_trait]
impl BlobStore for S3BlobStore {
    fn location(&self) -> String {
        self.location.clone()
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        let key = self.key(path)?;
        self.call(path, async { self.client.get(&key).await?.bytes().await })
            .await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let key = self.key(path)?;
        if range.start >= range.end {
            return Ok(Bytes::new());
        }
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let read = async {
            match self.client.get_opts(&key, options).await {
                // There is no empty range in HTTP: this is the answer where the object ends before the range.
                Err(e) if status(&e) == Some(416) => Ok(Bytes::new()),
                answer => answer?.bytes().await,
            }
        };
        self.call(path, read).await
    }

    async fn head(&self, path: &str) -> Result<BlobMeta> {
        let key = self.key(path)?;
        let meta = self.call(path, self.client.head(&key)).await?;
        Ok(BlobMeta {
            path: path.to_owned(),
            size: meta.size,
            modified: meta.last_modified.into(),
        })
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.put_with(path, bytes, PutMode::Overwrite).await
    }

    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome> {
        match self.put_with(path, bytes, PutMode::Create).await {
            Ok(()) => Ok(PutOutcome::Created),
            Err(e) if e.kind() == BlobErrorKind::AlreadyExists => Ok(PutOutcome::AlreadyExists),
            Err(e) => Err(e),
        }
    }

    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)> {
        let key = self.key(path)?;
        let read = async {
            let answer = self.client.get(&key).await?;
            let e_tag = answer.meta.e_tag.clone();
            Ok((answer.bytes().await?, e_tag))
        };
        let (bytes, e_tag) = self.call(path, read).await?;
        let missing = || {
            BlobError::new(
                BlobErrorKind::NotSupported,
                &self.location,
                path,
                "no ETag in the answer",
            )
        };
        Ok((bytes, Version(e_tag.ok_or_else(missing)?)))
    }

    async fn put_if_match(&self, path: &str, bytes: Bytes, version: &Version) -> Result<()> {
        let version = UpdateVersion {
            e_tag: Some(version.0.clone()),
            version: None,
        };
        self.put_with(path, bytes, PutMode::Update(version)).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>> {
        if !prefix.is_empty()
            && let Err(e) = path::check(&self.location, prefix)
        {
            return stream::once(async { Err(e) }).boxed();
        }
        let key = Path::from(self.base.join(prefix));
        let listing = self.client.list(Some(&key));
        let state = (self.clone(), listing, prefix.to_owned());
        stream::unfold(Some(state), |state| async move {
            let (store, mut listing, prefix) = state?;
            loop {
                let next = store
                    .call(&prefix, async { listing.next().await.transpose() })
                    .await;
                match next.map(|found| found.map(|meta| store.meta(meta))) {
                    Ok(None) => return None,
                    Ok(Some(Some(meta))) => {
                        return Some((Ok(meta), Some((store, listing, prefix))));
                    }
                    // A key outside the base path cannot be in the listing; skip rather than trust it.
                    Ok(Some(None)) => {}
                    Err(e) => return Some((Err(e), None)),
                }
            }
        })
        .boxed()
    }

    async fn delete(&self, paths: &[String]) -> Result<()> {
        // One request takes at most 1,000 keys.
        for batch in paths.chunks(1000) {
            let keys = batch
                .iter()
                .map(|path| self.key(path))
                .collect::<Result<Vec<_>>>()?;
            let first = batch.first().map_or("", String::as_str);
            let keys = stream::iter(keys.into_iter().map(Ok)).boxed();
            let delete = async {
                let mut deleted = self.client.delete_stream(keys);
                while let Some(result) = deleted.next().await {
                    match result {
                        Err(object_store::Error::NotFound { .. }) | Ok(_) => {}
                        Err(e) => return Err(e),
                    }
                }
                Ok(())
            };
            self.call(first, delete).await?;
        }
        Ok(())
    }
}

/// What may be told of a server's answer: the status and two elements of the error document.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    code: Option<String>,
    message: Option<String>,
    status: Option<u16>,
    connection: bool,
    /// There was no answer to the last attempt.
    silence: bool,
    /// The TLS library's words on a certificate that it does not accept.
    certificate: Option<String>,
}

impl Answer {
    fn of(e: &object_store::Error) -> Self {
        let mut text = e.to_string();
        let mut source = std::error::Error::source(e);
        let (mut connection, mut silence) = (false, false);
        let mut certificate = None;
        while let Some(inner) = source {
            certificate = certificate.or_else(|| refused_certificate(inner));
            if let Some(http) = inner.downcast_ref::<HttpError>() {
                connection = true;
                silence |= http.kind() == HttpErrorKind::Timeout;
            }
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        Self {
            code: element(&text, "Code"),
            message: element(&text, "Message"),
            status: status(e),
            connection,
            silence,
            certificate,
        }
    }

    fn kind(&self, e: &object_store::Error) -> BlobErrorKind {
        use object_store::Error as E;
        match (e, self.code.as_deref()) {
            // It will not be trusted by trying again.
            _ if self.certificate.is_some() => BlobErrorKind::Other,
            (_, Some("NoSuchBucket")) => BlobErrorKind::Other,
            (_, Some("NotImplemented"))
            | (E::NotSupported { .. } | E::NotImplemented { .. }, _) => BlobErrorKind::NotSupported,
            (E::NotFound { .. }, _) => BlobErrorKind::NotFound,
            (E::AlreadyExists { .. }, _) => BlobErrorKind::AlreadyExists,
            (E::Precondition { .. } | E::NotModified { .. }, _) => BlobErrorKind::Changed,
            // A refused listing arrives as a generic error: only the code tells.
            (E::PermissionDenied { .. } | E::Unauthenticated { .. }, _)
            | (_, Some("AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch")) => {
                BlobErrorKind::Unauthorized
            }
            // See `connect`: this is how a 501 arrives here.
            _ if self.status == Some(405) => BlobErrorKind::NotSupported,
            _ if self.silence => BlobErrorKind::Timeout,
            _ if self.connection || is_server_error(e) => BlobErrorKind::Unreachable,
            _ => BlobErrorKind::Other,
        }
    }

    fn text(&self) -> String {
        let advice = match self.code.as_deref() {
            Some("NoSuchBucket") => ": create the bucket, or correct s3.bucketName",
            Some("RequestTimeTooSkewed") => ": set this machine's clock",
            _ => "",
        };
        if let Some(certificate) = &self.certificate {
            return format!(
                "its certificate is not accepted: {certificate}; have SSL_CERT_FILE name a file with the certificate of the \
                 store, or of the authority that issued it, or correct s3.endpoint"
            );
        }
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => format!("{code}: {message}{advice}"),
            (Some(code), None) => format!("{code}{advice}"),
            _ if self.silence => String::new(),
            _ if self.connection => "no connection, or it broke".to_owned(),
            _ => self
                .status
                .map_or_else(String::new, |status| format!("HTTP status {status}")),
        }
    }
}

/// The status in the text of an error; the client has no other way of telling it.
fn status(e: &object_store::Error) -> Option<u16> {
    let text = e.to_string();
    text.split("status code: ").nth(1)?.get(..3)?.parse().ok()
}

/// The client gives up on 5xx after its retries with a generic error.
fn is_server_error(e: &object_store::Error) -> bool {
    let text = e.to_string();
    status(e).is_some_and(|status| status >= 500 || status == 429)
        || text.contains("<Code>InternalError</Code>")
        || text.contains("<Code>SlowDown</Code>")
}

/// Text of the first such element, shortened; no element of interest holds another.
fn element(text: &str, name: &str) -> Option<String> {
    const SHOWN_MAX: usize = 200;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once("</")?;
    Some(
        content
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN_MAX)
            .collect(),
    )
}

/// An endpoint with a password in it is wrong, but must not end up in a log either.
fn without_user_info(endpoint: &str) -> String {
    match (endpoint.split_once("://"), endpoint.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn only_code_and_message_of_an_answer_are_told() {
        let e = generic(
            "<Error><Code>SignatureDoesNotMatch</Code><Message>Not yours.</Message><AWSAccessKeyId>AKIA</AWSAccessKeyId>\
             <StringToSign>secret</StringToSign></Error>",
        );
        assert_eq!(Answer::of(&e).text(), "SignatureDoesNotMatch: Not yours.");
    }

    #[test]
    fn a_refused_listing_is_unauthorized() {
        for code in [
            "AccessDenied",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
        ] {
            let e = generic(&format!("<Error><Code>{code}</Code></Error>"));
            assert_eq!(
                Answer::of(&e).kind(&e),
                BlobErrorKind::Unauthorized,
                "{code}"
            );
        }
    }

    #[test]
    fn server_errors_are_transient_and_a_missing_bucket_is_not() {
        let kind = |text| {
            let e = generic(text);
            Answer::of(&e).kind(&e)
        };
        assert_eq!(
            kind("Server returned non-2xx status code: 503: "),
            BlobErrorKind::Unreachable
        );
        assert_eq!(kind("<Code>SlowDown</Code>"), BlobErrorKind::Unreachable);
        assert_eq!(
            kind("status code: 404: <Code>NoSuchBucket</Code>"),
            BlobErrorKind::Other
        );
        assert_eq!(
            kind("status code: 501: <Code>NotImplemented</Code>"),
            BlobErrorKind::NotSupported
        );
        assert_eq!(kind("something else"), BlobErrorKind::Other);
    }

    #[test]
    fn an_answer_without_a_document_is_told_by_its_status() {
        let e = generic("Server returned non-2xx status code: 500 Internal Server Error: ");
        assert_eq!(Answer::of(&e).text(), "HTTP status 500");
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_no_matter_of_trying_again() {
        let why = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let io = std::io::Error::other(why);
        let e = object_store::Error::Generic {
            store: "S3",
            source: Box::new(HttpError::new(HttpErrorKind::Connect, io)),
        };
        let answer = Answer::of(&e);
        assert_eq!(answer.kind(&e), BlobErrorKind::Other);
        assert!(answer.text().contains("SSL_CERT_FILE"), "{answer:?}");
    }

    #[test]
    fn a_configuration_that_cannot_work_is_refused() {
        assert!(matches!(
            S3BlobStore::new(&S3Config::new("")),
            Err(S3ConfigError::BucketMissing)
        ));
        let slash = S3Config {
            base_path: "/a".into(),
            ..S3Config::new("b")
        };
        assert!(matches!(
            S3BlobStore::new(&slash),
            Err(S3ConfigError::BasePath(_))
        ));
        let zero = S3Config {
            connections_max: 0,
            ..S3Config::new("b")
        };
        assert!(matches!(
            S3BlobStore::new(&zero),
            Err(S3ConfigError::Zero(_))
        ));
    }

    #[test]
    fn no_secret_is_printed() {
        let credentials = Credentials::Given {
            access_key: "AKIA".into(),
            secret_key: "hush".into(),
        };
        let endpoint = Some("http://user:hush@localhost:1".to_owned());
        let config = S3Config {
            credentials,
            endpoint,
            ..S3Config::new("b")
        };
        let store = S3BlobStore::new(&config).unwrap();
        let shown = format!("{:?} {store:?} {}", config.credentials, store.location());
        assert!(
            !shown.contains("hush") && !shown.contains("AKIA"),
            "{shown}"
        );
    }
}

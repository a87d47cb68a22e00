//! Tokens of an identity provider (OpenID Connect Core 1.0, OpenID Connect Discovery 1.0).

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::fetch::Documents;
use crate::{AuthError, Denied};

/// How often the keys are read again at least.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// How often at most, however many tokens name a key that is not known.
const REFRESH_PAUSE: Duration = Duration::from_secs(10);
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// What may be wrong with clocks, in seconds.
const LEEWAY_SECONDS: u64 = 60;
/// Algorithms that need a private key.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// An identity provider, and which of its tokens count.
#[derive(Debug, Clone)]
pub struct OidcOptions {
    /// What tokens must have as `iss`. The keys are found below it (`/.well-known/openid-configuration`) unless given otherwise.
    pub issuer: String,
    /// What tokens must have among their `aud`.
    pub audience: String,
    /// Where the keys are, if not where the issuer says.
    pub keys: Option<KeySource>,
}

/// Where keys are (JWK set, RFC 7517).
#[derive(Debug, Clone)]
pub enum KeySource {
    /// At an address.
    Address(String),
    /// In a file.
    File(PathBuf),
}

/// The provider with its keys.
pub(crate) struct Provider {
    keys: Arc<Keys>,
    issuer: String,
    audience: String,
    refreshing: JoinHandle<()>,
}

#[derive(Default)]
struct Keys {
    known: RwLock<Vec<Jwk>>,
    /// A token has named a key that is not among them.
    wanted: Notify,
}

#[derive(Deserialize)]
struct Discovery {
    jwks_uri: String,
}

/// Nothing of the content is used: what counts is checked before it is given out.
#[derive(Deserialize)]
struct Claims {}

impl Drop for Provider {
    fn drop(&mut self) {
        self.refreshing.abort();
    }
}

impl Provider {
    pub(crate) async fn open(options: OidcOptions) -> Result<Provider, AuthError> {
        let reader = Reader::new(&options)?;
        let keys = Arc::new(Keys::default());
        keys.set(reader.read().await?);
        let refreshing = tokio::spawn(refresh(reader, Arc::clone(&keys)));
        Ok(Provider {
            keys,
            issuer: options.issuer,
            audience: options.audience,
            refreshing,
        })
    }

    /// Checks a token.
    pub(crate) fn check(&self, token: &[u8]) -> Result<(), Denied> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denied::Token);
        }
        let header = decode_header(token).map_err(|_| Denied::Token)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Denied::Token);
        }
        let candidates = self.keys.of(header.kid.as_deref());
        if candidates.is_empty() {
            self.keys.wanted.notify_one();
            return Err(Denied::Token);
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let mut denied = Denied::Token;
        for key in candidates {
            let Ok(key) = DecodingKey::from_jwk(&key) else {
                continue;
            };
            match decode::<Claims>(token, &key, &validation) {
                Ok(_) => return Ok(()),
                Err(error) => denied = denied.max(reason(error.kind())),
            }
        }
        Err(denied)
    }
}

/// What a client is told.
fn reason(kind: &ErrorKind) -> Denied {
    match kind {
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => Denied::Time,
        ErrorKind::InvalidAudience | ErrorKind::InvalidIssuer => Denied::Audience,
        ErrorKind::MissingRequiredClaim(_) => Denied::Audience,
        _ => Denied::Token,
    }
}

impl Keys {
    fn set(&self, keys: JwkSet) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = keys.keys;
    }

    /// Keys by which a token can be signed: the one that it names, or any.
    fn of(&self, id: Option<&str>) -> Vec<Jwk> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let fits = |key: &&Jwk| id.is_none() || key.common.key_id.as_deref() == id;
        known.iter().filter(fits).cloned().collect()
    }
}

/// Where keys come from.
struct Reader {
    documents: Documents,
    source: KeySource,
    /// The source is the provider's description, which says where the keys are.
    described: bool,
}

impl Reader {
    fn new(options: &OidcOptions) -> Result<Reader, AuthError> {
        let issuer = options.issuer.trim_end_matches('/');
        let description = format!("{issuer}/.well-known/openid-configuration");
        let source = options.keys.clone();
        let described = source.is_none();
        let source = source.unwrap_or(KeySource::Address(description));
        let documents = Documents::new().map_err(|reason| failed(&source, reason))?;
        Ok(Reader {
            documents,
            source,
            described,
        })
    }

    async fn read(&self) -> Result<JwkSet, AuthError> {
        let keys = self.read_source().await;
        keys.map_err(|reason| failed(&self.source, reason))
    }

    async fn read_source(&self) -> Result<JwkSet, String> {
        match &self.source {
            KeySource::Address(address) if self.described => {
                let found: Discovery = self.documents.get(address).await?;
                let keys = self.documents.get(&found.jwks_uri).await;
                keys.map_err(|reason| format!("its keys at {}: {reason}", found.jwks_uri))
            }
            KeySource::Address(address) => self.documents.get(address).await,
            KeySource::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
                let bytes = read
                    .map_err(|error| error.to_string())?
                    .map_err(|error| error.to_string())?;
                serde_json::from_slice(&bytes).map_err(|error| error.to_string())
            }
        }
    }
}

fn failed(source: &KeySource, reason: String) -> AuthError {
    let from = match source {
        KeySource::Address(address) => address.clone(),
        KeySource::File(path) => path.display().to_string(),
    };
    AuthError::Keys { from, reason }
}

/// Reads the keys again from time to time, and when one is missing. Those known stay in force where that fails.
async fn refresh(reader: Reader, keys: Arc<Keys>) {
    loop {
        sleep(REFRESH_PAUSE).await;
        // Whether it is wanted or time is over is the same.
        let _ = timeout(REFRESH_INTERVAL, keys.wanted.notified()).await;
        match reader.read().await {
            Ok(read) => keys.set(read),
            Err(error) => warn!(%error, "the keys known stay in force"),
        }
    }
}

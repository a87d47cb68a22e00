//! Who a client is, by the `authorization` header of its requests: user and password (RFC 7617), or a signed token (RFC 6750, RFC 7519).
//!
//! Owns: users and their passwords, the keys of an identity provider and when they are fetched again, and which addresses were wrong too often.
//!
//! Invariants:
//! - Nothing that a client sends, nor any secret, is shown in an error or a log.
//! - Checking does not wait: keys are fetched beside it. Without any that fit, a token is refused.
//! - Only signatures by a private key are accepted (RSA, ECDSA, EdDSA); `none` and shared secrets never are.
//!
//! Deliberately absent: what somebody may do. Who is known may do everything.

mod basic;
mod fetch;
mod oidc;
mod peer;

use std::fmt;
use std::time::Instant;

use thiserror::Error;

pub use basic::User;
pub use oidc::{KeySource, OidcOptions};
pub use peer::Peer;

use crate::basic::Users;
use crate::oidc::Provider;
use crate::peer::Wrong;

/// Decides who is let in.
pub struct Authenticator {
    kind: Kind,
    wrong: Wrong,
}

enum Kind {
    Basic(Users),
    Oidc(Provider),
}

/// Why nobody can be let in.
#[derive(Debug, Error)]
pub enum AuthError {
    /// The provider's keys cannot be had.
    #[error("read the keys of the identity provider from {from}: {reason}")]
    Keys {
        /// Address or file.
        from: String,
        /// What went wrong.
        reason: String,
    },
}

/// Why somebody is not let in; for the client, so it says no more than what it knows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Denied {
    /// There is no header.
    #[error("Expected authentication information in the 'authorization' header, but there is none")]
    Missing,
    /// It is not of the kind that is expected.
    #[error("Expected the 'authorization' header to begin with '{0}'")]
    Scheme(&'static str),
    /// No such user, or another password.
    #[error("The user is unknown or the password is wrong")]
    Unknown,
    /// The token's form, signature or key.
    #[error("The token is not valid: it is malformed, or not signed by the identity provider")]
    Token,
    /// The token was valid once.
    #[error("The token has expired or is not valid yet; request a new one")]
    Time,
    /// The token is another's.
    #[error("The token is not meant for this cluster: its issuer or audience is another")]
    Audience,
    /// Too much that was wrong has come from there.
    #[error("Too many wrong passwords or tokens have come from this address; try again later")]
    TooOften,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Basic(_) => "by users",
            Kind::Oidc(_) => "by tokens",
        })
    }
}

impl Authenticator {
    /// By users and passwords.
    pub fn basic(users: &[User]) -> Authenticator {
        Authenticator::new(Kind::Basic(Users::new(users)))
    }

    /// By tokens of an identity provider, whose keys are read now, and again from time to time on the current tokio runtime.
    pub async fn oidc(options: OidcOptions) -> Result<Authenticator, AuthError> {
        Ok(Authenticator::new(Kind::Oidc(
            Provider::open(options).await?,
        )))
    }

    fn new(kind: Kind) -> Authenticator {
        let wrong = Wrong::new();
        Authenticator { kind, wrong }
    }

    /// Whether a request with this header, which has come by that connection, is let in.
    pub fn check(&self, header: Option<&[u8]>, peer: &Peer) -> Result<(), Denied> {
        let header = header.ok_or(Denied::Missing)?;
        let now = Instant::now();
        self.wrong.check(peer, now, || match &self.kind {
            Kind::Basic(users) => users.check(after(header, "Basic ")?),
            Kind::Oidc(provider) => provider.check(after(header, "Bearer ")?),
        })
    }

    /// The challenge of an answer with status 401 (RFC 9110, section 11.6.1).
    pub fn challenge(&self) -> &'static str {
        match &self.kind {
            Kind::Basic(_) => "Basic realm=\"skep\", charset=\"UTF-8\"",
            Kind::Oidc(_) => "Bearer realm=\"skep\"",
        }
    }
}

/// What stands behind the scheme, whose case does not matter.
fn after<'a>(header: &'a [u8], scheme: &'static str) -> Result<&'a [u8], Denied> {
    match header.split_at_checked(scheme.len()) {
        Some((given, rest)) if given.eq_ignore_ascii_case(scheme.as_bytes()) => {
            Ok(rest.trim_ascii())
        }
        _ => Err(Denied::Scheme(scheme.trim_ascii_end())),
    }
}

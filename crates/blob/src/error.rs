//! Errors of a store: one kind per reaction of the caller, and a text that says what to change.
//!
//! Invariant: texts are built from our own words, the path, and at most the `Code` and `Message` of an S3 error
//! document. Whole server answers are never quoted: S3 returns the string to sign and the key id on a refusal.

use std::fmt;

/// What the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlobErrorKind {
    /// There is no such object.
    NotFound,
    /// The object (or the file in its place) exists and stands in the way.
    AlreadyExists,
    /// The object has another version than the one given.
    Changed,
    /// Credentials missing, wrong, or without the permission. Retrying does not help.
    Unauthorized,
    /// The store cannot be reached or answers with server errors. Retrying may help.
    Unreachable,
    /// The store cannot do this operation atomically.
    NotSupported,
    /// No answer within the call's time. Whether a write took effect is not known.
    Timeout,
    /// Anything else, such as a missing bucket, a full disk or an invalid answer.
    Other,
}

/// A failed call: what, where, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BlobError {
    kind: BlobErrorKind,
    location: String,
    path: String,
    detail: String,
}

impl BlobError {
    /// An error about `path` in the store at `location`; `detail` must not hold secrets.
    pub fn new(kind: BlobErrorKind, location: &str, path: &str, detail: impl Into<String>) -> Self {
        let (location, path) = (location.to_owned(), path.to_owned());
        Self {
            kind,
            location,
            path,
            detail: detail.into(),
        }
    }

    /// The reaction class.
    pub fn kind(&self) -> BlobErrorKind {
        self.kind
    }

    /// Path of the object or prefix concerned.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            BlobErrorKind::Unreachable | BlobErrorKind::Timeout
        )
    }

    /// The same failure with a better explanation, as the probe gives it.
    pub(crate) fn explained(mut self, advice: &str) -> Self {
        self.detail = if self.detail.is_empty() {
            advice.to_owned()
        } else {
            format!("{}; {advice}", self.detail)
        };
        self
    }
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            location,
            path,
            detail,
        } = self;
        match kind {
            BlobErrorKind::NotFound => write!(f, "no object '{path}' in {location}")?,
            BlobErrorKind::AlreadyExists => {
                write!(f, "object '{path}' in {location} already exists")?
            }
            BlobErrorKind::Changed => write!(
                f,
                "object '{path}' in {location} was changed by somebody else in the meantime"
            )?,
            BlobErrorKind::Unauthorized => write!(
                f,
                "{location} refuses the credentials for '{path}'; check access key, secret key, region and the \
                 bucket's policy"
            )?,
            BlobErrorKind::Unreachable => write!(
                f,
                "{location} cannot be reached for '{path}'; check endpoint, network and the state of the store"
            )?,
            BlobErrorKind::NotSupported => {
                write!(f, "{location} does not support this operation on '{path}'")?
            }
            BlobErrorKind::Timeout => write!(
                f,
                "{location} did not answer in time for '{path}'; if it is merely slow, raise apiCallTimeout"
            )?,
            BlobErrorKind::Other => write!(f, "operation on '{path}' in {location} failed")?,
        }
        if detail.is_empty() {
            Ok(())
        } else {
            write!(f, " ({detail})")
        }
    }
}

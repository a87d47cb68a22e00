//! What a path may look like. Narrow on purpose: every accepted path means the same on S3 and on any file system,
//! needs no escaping, and cannot leave its directory.

use crate::{BlobError, BlobErrorKind};

/// S3's limit for a key, which includes the base path.
const PATH_BYTES_MAX: usize = 1024;

/// A base path or path that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid path '{path}': use segments of letters, digits, '.', '_' and '-' joined with single '/', without '/' \
     at either end, no segment being '.' or '..', at most {PATH_BYTES_MAX} bytes"
)]
pub struct InvalidPath {
    path: String,
}

/// A validated prefix of all paths of a store; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Accepts the empty text for "no base path".
    pub fn new(path: &str) -> Result<Self, InvalidPath> {
        if path.is_empty() || is_valid(path) {
            Ok(Self(path.to_owned()))
        } else {
            Err(InvalidPath {
                path: path.to_owned(),
            })
        }
    }

    /// The base path without slashes at its ends.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Full key of a relative path (or of the empty prefix).
    pub(crate) fn join(&self, path: &str) -> String {
        match (self.0.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.0.clone(),
            (false, false) => format!("{}/{path}", self.0),
        }
    }

    /// Relative path of a full key, if it lies below.
    pub(crate) fn strip<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.0.is_empty() {
            Some(key)
        } else {
            key.strip_prefix(self.0.as_str())?.strip_prefix('/')
        }
    }
}

/// Refuse a path that would mean different things in different stores.
pub(crate) fn check(location: &str, path: &str) -> crate::Result<()> {
    if is_valid(path) {
        return Ok(());
    }
    let detail = InvalidPath {
        path: path.to_owned(),
    }
    .to_string();
    Err(BlobError::new(BlobErrorKind::Other, location, path, detail))
}

fn is_valid(path: &str) -> bool {
    let segment_is_valid = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path.len() <= PATH_BYTES_MAX && path.split('/').all(segment_is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_could_leave_its_directory_is_refused() {
        for bad in [
            "/a", "a/", "a//b", "..", "a/../b", ".", "a b", "ä", "a\0", "a\\b",
        ] {
            assert!(BasePath::new(bad).is_err(), "{bad:?}");
        }
        for good in ["", "a", "a/b-c_d.json", ".hidden", "..."] {
            assert!(BasePath::new(good).is_ok(), "{good:?}");
        }
        assert!(BasePath::new(&"x".repeat(1024)).is_ok());
        assert!(BasePath::new(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn join_and_strip_are_inverse() {
        for base in ["", "x", "x/y"] {
            let base = BasePath::new(base).unwrap();
            assert_eq!(base.strip(&base.join("a/b")), Some("a/b"));
        }
        assert_eq!(BasePath::new("x").unwrap().strip("xy/a"), None);
    }
}

//! JSON documents that outlive a version: an envelope with format, version, length and checksum around a body.
//!
//! ```json
//! {"format":"skep-partition-manifest","version":1,"length":123,"checksum":"<BLAKE3 of the body's bytes>","body":{...}}
//! ```
//! The checksum covers the body's text exactly as it stands in the document.

use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use skep_blob::{BlobError, BlobErrorKind, BlobStore};

use crate::error::BackupError;
use crate::limits::MANIFEST_BYTES_MAX;
use crate::retry::RetryPolicy;

/// A kind of document, and the newest version of it that this version writes and reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    format: &'a str,
    version: u32,
    length: usize,
    checksum: &'a str,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Serialize)]
struct EnvelopeOut<'a> {
    format: &'a str,
    version: u32,
    length: usize,
    checksum: &'a str,
    body: &'a RawValue,
}

/// Why bytes are not such a document.
#[derive(Debug)]
pub(crate) enum DocumentError {
    Damaged(String),
    TooNew { found: u32, supported: u32 },
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(detail) => f.write_str(detail),
            Self::TooNew { found, supported } => {
                write!(f, "format version {found} is newer than {supported}")
            }
        }
    }
}

impl DocumentError {
    pub(crate) fn at(self, path: &str) -> BackupError {
        let path = path.to_owned();
        match self {
            Self::Damaged(detail) => BackupError::Damaged { path, detail },
            Self::TooNew { found, supported } => BackupError::TooNew {
                path,
                found,
                supported,
            },
        }
    }
}

/// The document with this body. Equal bodies give equal bytes.
pub(crate) fn encode<T: Serialize>(format: Format, body: &T) -> Bytes {
    let body = serde_json::value::to_raw_value(body).expect("our documents have string keys only");
    let envelope = EnvelopeOut {
        format: format.name,
        version: format.version,
        length: body.get().len(),
        checksum: &checksum(body.get().as_bytes()),
        body: &body,
    };
    let mut bytes = serde_json::to_vec(&envelope).expect("our documents have string keys only");
    bytes.push(b'\n');
    bytes.into()
}

/// The body of a document, after every check that the envelope allows.
pub(crate) fn decode<T: DeserializeOwned>(
    format: Format,
    bytes: &[u8],
) -> Result<T, DocumentError> {
    let damaged = |detail: String| DocumentError::Damaged(detail);
    let envelope: Envelope<'_> =
        serde_json::from_slice(bytes).map_err(|e| damaged(format!("not a document: {e}")))?;
    if envelope.format != format.name {
        return Err(damaged(format!(
            "it is a '{}' instead of a '{}'",
            envelope.format, format.name
        )));
    }
    let body = envelope.body.get();
    if envelope.length != body.len() || envelope.checksum != checksum(body.as_bytes()) {
        return Err(damaged("its checksum or length does not match".to_owned()));
    }
    if envelope.version > format.version {
        return Err(DocumentError::TooNew {
            found: envelope.version,
            supported: format.version,
        });
    }
    serde_json::from_str(body).map_err(|e| damaged(format!("its body cannot be read: {e}")))
}

/// Read and decode an object; none if there is no such object.
pub(crate) async fn read<T: DeserializeOwned>(
    store: &dyn BlobStore,
    path: &str,
    format: Format,
    retry: &RetryPolicy,
) -> Result<Option<(T, Bytes)>, BackupError> {
    match retry
        .run(|| store.get_range(path, 0..MANIFEST_BYTES_MAX + 1))
        .await
    {
        Err(e) if e.kind() == BlobErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.into()),
        Ok(bytes) if bytes.len() as u64 > MANIFEST_BYTES_MAX => {
            Err(DocumentError::Damaged("it is longer than any manifest can be".to_owned()).at(path))
        }
        Ok(bytes) => {
            let body = decode(format, &bytes).map_err(|e| e.at(path))?;
            Ok(Some((body, bytes)))
        }
    }
}

/// Whether an object exists.
pub(crate) async fn exists(
    store: &dyn BlobStore,
    path: &str,
    retry: &RetryPolicy,
) -> Result<bool, BlobError> {
    match retry.run(|| store.head(path)).await {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == BlobErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// BLAKE3 of the bytes, in hexadecimal.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format {
        name: "test",
        version: 2,
    };

    #[test]
    fn every_changed_byte_is_noticed_or_does_not_matter() {
        let bytes = encode(FORMAT, &vec!["some", "words"]);
        let body: Vec<String> = decode(FORMAT, &bytes).unwrap();
        for at in 0..bytes.len() {
            for flip in [1, 2, 16, 32, 128] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= flip;
                let read = decode::<Vec<String>>(FORMAT, &damaged);
                assert!(
                    read.is_err() || read.is_ok_and(|read| read == body),
                    "byte {at} ^ {flip}"
                );
            }
        }
    }

    #[test]
    fn a_newer_version_and_another_format_are_told_apart() {
        let newer = encode(
            Format {
                version: 3,
                ..FORMAT
            },
            &1,
        );
        assert!(matches!(
            decode::<u8>(FORMAT, &newer),
            Err(DocumentError::TooNew {
                found: 3,
                supported: 2
            })
        ));
        let other = encode(
            Format {
                name: "other",
                ..FORMAT
            },
            &1,
        );
        assert!(matches!(
            decode::<u8>(FORMAT, &other),
            Err(DocumentError::Damaged(_))
        ));
    }
}

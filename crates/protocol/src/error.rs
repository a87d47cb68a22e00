//! Why bytes could not be decoded.

use thiserror::Error;

/// Bytes that are not what they claim to be. Always a sign of damage or of a newer writer, never of user input.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("decode {what}: the bytes end too early")]
    Truncated {
        /// What was being decoded.
        what: &'static str,
    },
    /// A code that this version does not know.
    #[error("decode {what}: {code} is unknown to this version")]
    Unknown {
        /// What was being decoded.
        what: &'static str,
        /// The code that was found.
        code: u64,
    },
    /// The bytes break a rule of the format.
    #[error("decode {what}: {reason}")]
    Invalid {
        /// What was being decoded.
        what: &'static str,
        /// The rule that is broken.
        reason: String,
    },
}

impl DecodeError {
    /// The bytes break a rule of the format.
    pub fn invalid(what: &'static str, reason: impl ToString) -> DecodeError {
        DecodeError::Invalid {
            what,
            reason: reason.to_string(),
        }
    }
}

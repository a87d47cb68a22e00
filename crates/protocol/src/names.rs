//! How long names may be: all that becomes part of a key of the state.
//!
//! A key holds up to three of them (message name, correlation key and message id), and every store takes keys of 64 KiB.

use thiserror::Error;

/// Bytes of a name, correlation key or message id as they stand in a key.
pub const NAME_BYTES_MAX: usize = 20 << 10;

/// A name that is too long.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "Expected the {what} to take at most {NAME_BYTES_MAX} bytes, but it takes {bytes}. Use a shorter one"
)]
pub struct NameTooLong {
    what: &'static str,
    bytes: usize,
}

/// Whether a name fits into keys; if it does not, the error says so of `what`.
pub fn check(what: &'static str, name: &str) -> Result<(), NameTooLong> {
    // Most are so short that they need not be read.
    if name.len() * 2 <= NAME_BYTES_MAX {
        return Ok(());
    }
    // In keys a zero byte takes two.
    let bytes = name.len() + name.bytes().filter(|byte| *byte == 0).count();
    if bytes <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(NameTooLong { what, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_measured_as_it_stands_in_keys() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        assert_eq!(check("message name", &longest), Ok(()));
        let error = check("message name", &format!("{longest}x")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Expected the message name to take at most 20480 bytes, but it takes 20481. Use a shorter one"
        );
        let zeros = "\0".repeat(NAME_BYTES_MAX / 2);
        assert_eq!(check("message name", &zeros), Ok(()));
        assert!(check("message name", &format!("{zeros}x")).is_err());
    }
}

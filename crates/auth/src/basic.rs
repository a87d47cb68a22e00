//! Users with passwords.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use blake3::Hash;

use crate::Denied;

/// Longest user and password, with the colon between, that are looked at.
const CREDENTIALS_BYTES_MAX: usize = 4096;

/// A user.
#[derive(Clone)]
pub struct User {
    /// The name; without a colon.
    pub name: String,
    /// The password.
    pub password: String,
}

/// The users as hashes of name and password: comparing hashes takes the same time wherever they differ.
pub(crate) struct Users(Vec<Hash>);

impl Users {
    pub(crate) fn new(users: &[User]) -> Users {
        let hash =
            |user: &User| blake3::hash(format!("{}:{}", user.name, user.password).as_bytes());
        Users(users.iter().map(hash).collect())
    }

    /// Checks `base64(name:password)`.
    pub(crate) fn check(&self, encoded: &[u8]) -> Result<(), Denied> {
        if encoded.len() > CREDENTIALS_BYTES_MAX.div_ceil(3) * 4 {
            return Err(Denied::Unknown);
        }
        let given = BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| Denied::Unknown)?;
        let given = blake3::hash(&given);
        // All are compared, so that the time does not tell which one it is. Equality of hashes takes constant time.
        let known = self
            .0
            .iter()
            .fold(false, |known, one| known | (*one == given));
        known.then_some(()).ok_or(Denied::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let user = |name: &str, password: &str| User {
            name: name.to_owned(),
            password: password.to_owned(),
        };
        Users::new(&[user("demo", "se:cret"), user("worker", "ä")])
    }

    #[test]
    fn only_a_user_with_its_own_password_is_known() {
        for (credentials, known) in [
            ("demo:se:cret", true),
            ("worker:ä", true),
            ("demo:ä", false),
            ("demo:", false),
            ("demo", false),
            ("", false),
            ("Demo:se:cret", false),
        ] {
            let encoded = BASE64_STANDARD.encode(credentials);
            assert_eq!(
                users().check(encoded.as_bytes()).is_ok(),
                known,
                "{credentials}"
            );
        }
    }

    #[test]
    fn what_is_no_base64_or_too_long_is_unknown() {
        let long = BASE64_STANDARD.encode("a".repeat(CREDENTIALS_BYTES_MAX + 1));
        for encoded in ["%%%", "ZGVtbzp", long.as_str()] {
            assert_eq!(users().check(encoded.as_bytes()), Err(Denied::Unknown));
        }
    }
}

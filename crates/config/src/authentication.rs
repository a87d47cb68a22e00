//! Who may use the gateway.

use crate::{ConfigError, Secret, Source};

const MODE: &str = "zeebe.broker.gateway.security.authentication.mode";
const USERS: &str = "zeebe.broker.gateway.security.authentication.basic.users";
const ISSUER: &str = "zeebe.broker.gateway.security.authentication.oidc.issuer";
const AUDIENCE: &str = "zeebe.broker.gateway.security.authentication.oidc.audience";
const KEYS: &str = "zeebe.broker.gateway.security.authentication.oidc.jwkSet";

/// How clients show who they are.
#[derive(Debug, Clone)]
pub enum AuthenticationConfig {
    /// By user and password.
    Basic(Vec<UserConfig>),
    /// By a token of an identity provider.
    Oidc {
        /// Who has issued it.
        issuer: String,
        /// For whom.
        audience: String,
        /// Address or file of the provider's keys; `None` if the issuer tells.
        keys: Option<String>,
    },
}

/// A user.
#[derive(Debug, Clone)]
pub struct UserConfig {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Secret,
}

impl AuthenticationConfig {
    /// Reads the keys; `None` if everybody is let in.
    pub(crate) fn from_source(
        source: &Source,
    ) -> Result<Option<AuthenticationConfig>, ConfigError> {
        let needed = |key: &str| {
            source.optional_text(key).ok_or_else(|| {
                ConfigError::Incomplete(format!("{MODE} is OIDC, so {key} must be given."))
            })
        };
        let mode = source.text(MODE);
        match mode.trim().to_ascii_uppercase().as_str() {
            "NONE" => Ok(None),
            "BASIC" => Ok(Some(AuthenticationConfig::Basic(users(source)?))),
            "OIDC" => Ok(Some(AuthenticationConfig::Oidc {
                issuer: needed(ISSUER)?,
                audience: needed(AUDIENCE)?,
                keys: source.optional_text(KEYS),
            })),
            _ => Err(source.wrong(MODE, &mode, "NONE, BASIC or OIDC")),
        }
    }
}

fn users(source: &Source) -> Result<Vec<UserConfig>, ConfigError> {
    let text = source.text(USERS);
    let expected = "users and passwords such as demo:secret,worker:other";
    let user = |one: &str| match one.trim().split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(UserConfig {
            name: name.to_owned(),
            password: Secret::new(password),
        }),
        _ => Err(source.wrong(USERS, &text, expected)),
    };
    text.split(',').map(user).collect()
}

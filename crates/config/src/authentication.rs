//! Who may use the gateway.

use crate::{ConfigError, Secret, Source};

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
    /// Reads the keys of a gateway below this one; `None` if everybody is let in.
    pub(crate) fn from_source(
        source: &Source,
        below: &str,
    ) -> Result<Option<AuthenticationConfig>, ConfigError> {
        let key = |name: &str| format!("{below}.security.authentication.{name}");
        let mode_key = key("mode");
        let needed = |name: &str| {
            let key = key(name);
            let value = source.optional_text(&key);
            value.ok_or_else(|| {
                ConfigError::Incomplete(format!("{mode_key} is OIDC, so {key} must be given."))
            })
        };
        let mode = source.text(&mode_key);
        match mode.trim().to_ascii_uppercase().as_str() {
            "NONE" => Ok(None),
            "BASIC" => {
                let users = users(source, &key("basic.users"))?;
                Ok(Some(AuthenticationConfig::Basic(users)))
            }
            "OIDC" => Ok(Some(AuthenticationConfig::Oidc {
                issuer: needed("oidc.issuer")?,
                audience: needed("oidc.audience")?,
                keys: source.optional_text(&key("oidc.jwkSet")),
            })),
            _ => Err(source.wrong(&mode_key, &mode, "NONE, BASIC or OIDC")),
        }
    }
}

fn users(source: &Source, key: &str) -> Result<Vec<UserConfig>, ConfigError> {
    let text = source.text(key);
    let expected = "users and passwords such as demo:secret,worker:other";
    let user = |one: &str| match one.trim().split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => Ok(UserConfig {
            name: name.to_owned(),
            password: Secret::new(password),
        }),
        _ => Err(source.wrong(key, &text, expected)),
    };
    text.split(',').map(user).collect()
}

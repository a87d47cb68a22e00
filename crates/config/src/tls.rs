//! TLS of a server: which files, under whose names.

use std::path::PathBuf;

use crate::{ConfigError, Source};

/// Files of a server, or of a node among others, that speaks TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Its certificate, and those of authorities between it and a root.
    pub certificate_chain: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
    /// Authorities of which every client must show a certificate; `None` if clients need none.
    pub client_authorities: Option<PathBuf>,
}

/// The keys of one server.
pub(crate) struct TlsKeys {
    enabled: String,
    certificate_chain: String,
    private_key: String,
    client_authorities: String,
    /// Whether a certificate must be given where TLS is enabled. Spring's servers are enabled by default and lack one.
    demanded: bool,
}

impl TlsKeys {
    /// Those of a gateway, or of a node among others, below this key, under Zeebe's names.
    pub(crate) fn of_zeebe(below: &str) -> TlsKeys {
        let key = |name: &str| format!("{below}.security.{name}");
        TlsKeys {
            enabled: key("enabled"),
            certificate_chain: key("certificateChainPath"),
            private_key: key("privateKeyPath"),
            client_authorities: key("clientAuthoritiesPath"),
            demanded: true,
        }
    }

    /// Those of an HTTP server below this key, under Spring's names.
    pub(crate) fn of_http(below: &str) -> TlsKeys {
        let key = |name: &str| format!("{below}.ssl.{name}");
        TlsKeys {
            enabled: key("enabled"),
            certificate_chain: key("certificate"),
            private_key: key("certificatePrivateKey"),
            client_authorities: key("trustCertificate"),
            demanded: false,
        }
    }
}

impl TlsConfig {
    /// Reads the keys of a server; `None` if it is to do without TLS.
    pub(crate) fn from_source(
        source: &Source,
        keys: &TlsKeys,
    ) -> Result<Option<TlsConfig>, ConfigError> {
        let path = |key: &str| source.optional_text(key).map(PathBuf::from);
        if !source.boolean(&keys.enabled)? {
            return Ok(None);
        }
        match (path(&keys.certificate_chain), path(&keys.private_key)) {
            (Some(certificate_chain), Some(private_key)) => Ok(Some(TlsConfig {
                certificate_chain,
                private_key,
                client_authorities: path(&keys.client_authorities),
            })),
            (None, None) if !keys.demanded && path(&keys.client_authorities).is_none() => Ok(None),
            _ => Err(ConfigError::Incomplete(format!(
                "TLS needs both {} and {}: give PEM files, or set {} to false.",
                keys.certificate_chain, keys.private_key, keys.enabled
            ))),
        }
    }
}

//! TLS of a server: which files, under whose names.

use std::path::PathBuf;

use crate::{ConfigError, Source};

/// Files of a server that speaks TLS, all PEM.
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
    enabled: &'static str,
    certificate_chain: &'static str,
    private_key: &'static str,
    client_authorities: &'static str,
    /// Whether a certificate must be given where TLS is enabled. Spring's servers are enabled by default and lack one.
    demanded: bool,
}

/// The gateway's, under Zeebe's names.
pub(crate) const GATEWAY: TlsKeys = TlsKeys {
    enabled: "zeebe.broker.gateway.security.enabled",
    certificate_chain: "zeebe.broker.gateway.security.certificateChainPath",
    private_key: "zeebe.broker.gateway.security.privateKeyPath",
    client_authorities: "zeebe.broker.gateway.security.clientAuthoritiesPath",
    demanded: true,
};

/// The REST API's, under Spring's names.
pub(crate) const REST: TlsKeys = TlsKeys {
    enabled: "server.ssl.enabled",
    certificate_chain: "server.ssl.certificate",
    private_key: "server.ssl.certificatePrivateKey",
    client_authorities: "server.ssl.trustCertificate",
    demanded: false,
};

/// The management API's, under Spring's names.
pub(crate) const MANAGEMENT: TlsKeys = TlsKeys {
    enabled: "management.server.ssl.enabled",
    certificate_chain: "management.server.ssl.certificate",
    private_key: "management.server.ssl.certificatePrivateKey",
    client_authorities: "management.server.ssl.trustCertificate",
    demanded: false,
};

impl TlsConfig {
    /// Reads the keys of a server; `None` if it is to do without TLS.
    pub(crate) fn from_source(
        source: &Source,
        keys: &TlsKeys,
    ) -> Result<Option<TlsConfig>, ConfigError> {
        let path = |key| source.optional_text(key).map(PathBuf::from);
        if !source.boolean(keys.enabled)? {
            return Ok(None);
        }
        match (path(keys.certificate_chain), path(keys.private_key)) {
            (Some(certificate_chain), Some(private_key)) => Ok(Some(TlsConfig {
                certificate_chain,
                private_key,
                client_authorities: path(keys.client_authorities),
            })),
            (None, None) if !keys.demanded && path(keys.client_authorities).is_none() => Ok(None),
            _ => Err(ConfigError::Incomplete(format!(
                "TLS needs both {} and {}: give PEM files, or set {} to false.",
                keys.certificate_chain, keys.private_key, keys.enabled
            ))),
        }
    }
}

//! Why a broker does not start.

use skep_blob::BlobError;
use skep_log::LogError;
use skep_raft::RaftError;
use thiserror::Error;

/// A broker that cannot start says why, and what to do.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The data directory cannot be used.
    #[error("{0}")]
    DataDirectory(String),
    /// The backup store cannot be used.
    #[error("Failed configuring backup store {kind}: {reason}")]
    BackupStore {
        /// S3 or FILESYSTEM.
        kind: &'static str,
        /// Why, and what to change.
        reason: String,
    },
    /// An exporter cannot be used as configured.
    #[error("the exporter '{id}' (zeebe.broker.exporters.{id}): {reason}")]
    Exporter {
        /// Which.
        id: String,
        /// Why, and what to change.
        reason: String,
    },
    /// The log cannot be opened.
    #[error("open the log: {0}")]
    Log(#[from] LogError),
    /// Consensus of a partition cannot begin.
    #[error("{0}")]
    Raft(#[from] RaftError),
    /// A port is taken or an address is not this machine's.
    #[error("listen on {address} for the {what}: {source}. Choose another with {variable}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// gateway or management API.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
        /// The variable to change.
        variable: &'static str,
    },
    /// A server cannot speak TLS.
    #[error("TLS of the {what}: {source}")]
    Tls {
        /// gateway, REST API or management API.
        what: &'static str,
        /// Which file, and why.
        source: skep_tls::TlsError,
    },
    /// Nobody can be let in.
    #[error("{0}. Check zeebe.broker.gateway.security.authentication.oidc")]
    Authentication(#[from] skep_auth::AuthError),
    /// The system refuses something else.
    #[error("{action}: {source}")]
    System {
        /// What was being done.
        action: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl BrokerError {
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> BrokerError {
        let action = action.into();
        |source| BrokerError::System { action, source }
    }

    pub(crate) fn blob(kind: &'static str) -> impl FnOnce(BlobError) -> BrokerError {
        move |error| BrokerError::BackupStore {
            kind,
            reason: error.to_string(),
        }
    }
}

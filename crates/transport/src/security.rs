//! TLS of the connections between nodes.

use skep_tls::{Acceptor, Connection, Connector, Identity, Protocol, TlsError};
use tokio::net::TcpStream;

use crate::handshake::Refusal;

/// A node's certificate, and whom it trusts, in both directions. Clones are the same.
#[derive(Clone)]
pub struct Security {
    acceptor: Acceptor,
    connector: Connector,
}

impl Security {
    /// Reads the files; blocking.
    pub fn open(identity: &Identity) -> Result<Security, TlsError> {
        Ok(Security {
            acceptor: Acceptor::open(identity, Protocol::Nodes)?,
            connector: Connector::open(identity, Protocol::Nodes)?,
        })
    }

    /// Reads the files again, for connections that begin from now on; blocking. If they cannot be used, those before stay.
    pub fn renew(&self) -> Result<(), TlsError> {
        self.acceptor.renew()?;
        self.connector.renew()
    }
}

/// Speaks TLS, if nodes do, on a connection that was accepted.
pub(crate) async fn accepted(
    security: Option<&Security>,
    stream: TcpStream,
) -> Result<Connection, Refusal> {
    match security {
        Some(security) => Ok(security.acceptor.accept(stream).await?),
        None => Ok(Connection::Plain(stream)),
    }
}

/// Speaks TLS, if nodes do, on a connection that was dialled.
pub(crate) async fn dialled(
    security: Option<&Security>,
    address: &str,
    stream: TcpStream,
) -> Result<Connection, Refusal> {
    match security {
        Some(security) => Ok(security.connector.connect(address, stream).await?),
        None => Ok(Connection::Plain(stream)),
    }
}

//! Handshakes of single connections, and what it means when they fail.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::identity::{Acceptor, Connector};

/// How whoever speaks TLS begins a connection that it has dialled: a handshake record, of whatever version.
pub const CLIENT_HELLO: [u8; 2] = [0x16, 3];
/// How whoever speaks TLS begins to say that it ends a connection.
pub const ALERT: [u8; 2] = [0x15, 3];

/// How long the other side is waited for when a connection is given up.
const PARTING: Duration = Duration::from_secs(1);
/// What is read of it meanwhile.
const PARTING_BYTES: u64 = 64 << 10;

impl Acceptor {
    /// Does the handshake of a connection that was accepted. If it fails, the other side is told why.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Connection> {
        match self.current().accept(stream).into_fallible().await {
            Ok(stream) => Ok(Connection::Tls(Box::new(stream.into()))),
            Err((error, stream)) => {
                part(stream).await;
                Err(error)
            }
        }
    }
}

impl Connector {
    /// Does the handshake of a connection that was dialled to `host:port`. The certificate of the other side must be for that
    /// host, a name or an IP address.
    pub async fn connect(&self, address: &str, stream: TcpStream) -> io::Result<Connection> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("'{host}' can be in no certificate")))?;
        match self.current().connect(name, stream).into_fallible().await {
            Ok(stream) => Ok(Connection::Tls(Box::new(stream.into()))),
            Err((error, stream)) => {
                part(stream).await;
                Err(error)
            }
        }
    }
}

/// Ends a connection so that what was said last arrives: closed while something is unread, it would be reset, and lost with that.
pub async fn part(mut stream: TcpStream) {
    // The other side may have gone.
    let _ = stream.shutdown().await;
    let mut rest = stream.take(PARTING_BYTES);
    let _ = timeout(PARTING, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// Says to whoever speaks TLS that this side does not, and ends the connection.
pub async fn no_tls(mut stream: TcpStream) {
    let fatal = 2;
    let description = AlertDescription::ProtocolVersion.into();
    let [kind, major] = ALERT;
    // The other side may have gone.
    let _ = stream
        .write_all(&[kind, major, 3, 0, 2, fatal, description])
        .await;
    part(stream).await;
}

/// What is wrong with TLS, said of the other side, if that is why a connection failed.
pub fn explain(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "it speaks no TLS, or no version of it that is spoken here".to_owned()
        }
        Error::AlertReceived(alert) => {
            format!("it does not accept the certificate or the TLS of this side ({alert:?})")
        }
        // Without the time of the attempt: what is tried again and again is told once.
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate is not accepted: it has expired".to_owned(),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not accepted: it is not valid yet".to_owned(),
        Error::InvalidCertificate(reason) => {
            format!("its certificate is not accepted: {reason}")
        }
        Error::NoCertificatesPresented => "it has shown no certificate".to_owned(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => "it speaks no TLS".to_owned(),
        other => format!("its TLS cannot be used: {other}"),
    })
}

//! Connections to brokers, with or without TLS, for gRPC and for HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use skep_tls::{ClientIdentity, Connector, Protocol};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::cli::TlsArguments;
use crate::failure::{Code, Failure};

/// Dials addresses: with TLS those of `https`, without it those of `http`.
#[derive(Clone)]
pub struct Dialler {
    tls: Option<Connector>,
}

/// A connection.
pub struct Dialled(TokioIo<skep_tls::Connection>);

impl Dialler {
    /// Reads what TLS needs, if it is wanted; blocking.
    pub fn new(
        tls: bool,
        arguments: &TlsArguments,
        protocol: Protocol,
    ) -> Result<Dialler, Failure> {
        let wrong = |text: String| Failure::new(Code::Usage, text);
        let own = match (&arguments.certificate, &arguments.key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => {
                let text = "a certificate to show needs both --tls-certificate and --tls-key";
                return Err(wrong(text.to_owned()));
            }
        };
        let client = ClientIdentity {
            authorities: arguments.authorities.clone(),
            own,
        };
        let connector = tls.then(|| Connector::of_client(&client, protocol));
        let tls = connector.transpose();
        Ok(Dialler {
            tls: tls.map_err(|error| wrong(error.to_string()))?,
        })
    }
}

impl Service<Uri> for Dialler {
    type Response = Dialled;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Dialled>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        let tls = self.tls.clone();
        let standard = if tls.is_some() { 443 } else { 80 };
        async move {
            let host = address.host().unwrap_or_default();
            let address = format!("{host}:{}", address.port_u16().unwrap_or(standard));
            let stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            let connection = match tls {
                Some(tls) => tls.connect(&address, stream).await.map_err(explained)?,
                None => skep_tls::Connection::Plain(stream),
            };
            Ok(Dialled(TokioIo::new(connection)))
        }
        .boxed()
    }
}

/// A failure of TLS in words that say what to do about it.
fn explained(error: io::Error) -> io::Error {
    match skep_tls::explain(&error) {
        Some(reason) => io::Error::other(format!(
            "{reason} (--tls-ca names the authorities to trust, --tls-certificate and --tls-key what to show)"
        )),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::other("it speaks no TLS (--insecure does without)")
        }
        None => error,
    }
}

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl Write for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

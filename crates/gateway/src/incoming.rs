//! Connections of clients, as the transport takes them.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::unfold;
use skep_auth::Peer;
use skep_tls::{Accepted, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A client's connection, and where it comes from.
pub(crate) struct Incoming(Accepted, Client);

/// Where the calls of a connection come from. Clones are the same.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) Arc<Peer>);

impl Client {
    pub(crate) fn at(address: SocketAddr) -> Client {
        Client(Arc::new(Peer::new(address.ip())))
    }
}

/// All connections that come in.
pub(crate) fn connections(listener: Listener) -> impl Stream<Item = Result<Incoming, Infallible>> {
    unfold(listener, |mut listener| async {
        let (connection, from) = listener.accept().await;
        let incoming = Incoming(connection, Client::at(from));
        Some((Ok(incoming), listener))
    })
}

impl Connected for Incoming {
    type ConnectInfo = Client;

    fn connect_info(&self) -> Client {
        self.1.clone()
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

//! The first messages of a connection, in both directions.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use skep_tls::{ALERT, CLIENT_HELLO};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connection::{Connection, read_exactly};
use crate::hello::{HelloError, Identity, Mismatch};
use crate::limits::HELLO_BYTES_MAX;
use crate::peers::Peers;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Tls(String),
    #[error("{0}")]
    Hello(#[from] HelloError),
    /// With the node that does not belong here.
    #[error("{0}")]
    Mismatch(Mismatch, Identity),
    #[error("its handshake took too long")]
    Slow,
    /// Not a failure: the other connection is used.
    #[error("there is a connection already")]
    Connected(Identity),
    #[error("{TOO_MANY}")]
    TooMany,
    #[error("it refuses: {0}")]
    Refused(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        // The first bytes that are read may bring an alert, after a handshake that looked well from this side.
        match skep_tls::explain(&error) {
            Some(reason) => Refusal::Tls(reason),
            None => Refusal::Io(error),
        }
    }
}

const TOO_MANY: &str = "too many nodes are connected already";
const WELCOME: u8 = 0;
const CONNECTED: u8 = 1;
const REFUSED: u8 = 2;

/// The dialling side: says who it is, hears who the other is, and what it thinks of that.
pub(crate) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    own: &Identity,
) -> Result<Identity, Refusal> {
    put(stream, &own.encode()).await?;
    let peer = Identity::decode(get(stream).await?)?;
    if let Err(mismatch) = own.check(&peer) {
        return Err(Refusal::Mismatch(mismatch, peer));
    }
    let verdict = get(stream).await?;
    match verdict.first() {
        Some(&WELCOME) => Ok(peer),
        Some(&CONNECTED) => Err(Refusal::Connected(peer)),
        Some(&REFUSED) => Err(Refusal::Refused(
            String::from_utf8_lossy(&verdict[1..]).into_owned(),
        )),
        _ => Err(HelloError::Damaged.into()),
    }
}

/// The side that was dialled. Gives the connection, which is not yet among the peers.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    own: &Identity,
    peers: &Peers,
) -> Result<Connection, Refusal> {
    let peer = Identity::decode(get(stream).await?)?;
    put(stream, &own.encode()).await?;
    if let Err(mismatch) = own.check(&peer) {
        // Told as the other must understand it: what is ours to this node is the other's to that one.
        let reason = peer.check(own).err().unwrap_or(mismatch.clone());
        // It may have seen for itself, and have gone.
        let _ = put(stream, &verdict(REFUSED, &reason.to_string())).await;
        return Err(Refusal::Mismatch(mismatch, peer));
    }
    if peers.is_full_for(peer.node) {
        put(stream, &verdict(REFUSED, TOO_MANY)).await?;
        return Err(Refusal::TooMany);
    }
    let dialled_by = peer.node;
    let connection = Connection::new(peer, dialled_by);
    if !peers.wants(&connection) {
        put(stream, &verdict(CONNECTED, "")).await?;
        return Err(Refusal::Connected(connection.peer));
    }
    put(stream, &verdict(WELCOME, "")).await?;
    Ok(connection)
}

fn verdict(code: u8, text: &str) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(code);
    // Texts hold names of at most 255 bytes each.
    let cut = text.floor_char_boundary(HELLO_BYTES_MAX - 1);
    out.put_slice(&text.as_bytes()[..cut]);
    out.freeze()
}

async fn put(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).expect("handshake messages are small");
    stream.write_u32_le(length).await?;
    stream.write_all(message).await?;
    stream.flush().await
}

async fn get(stream: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, Refusal> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    match u32::from_le_bytes(length) as usize {
        length if length <= HELLO_BYTES_MAX => Ok(read_exactly(stream, length).await?),
        _ if length.starts_with(&ALERT) || length.starts_with(&CLIENT_HELLO) => {
            Err(HelloError::Tls.into())
        }
        _ => Err(HelloError::Magic.into()),
    }
}

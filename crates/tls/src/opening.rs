//! The first bytes of a connection: whoever has sent them is there, and speaks.

use std::io;

use tokio::io::{AsyncReadExt, ReadBuf};

use crate::connection::Connection;
use crate::identity::Protocol;

/// How clients of HTTP/2 begin (RFC 9113, section 3.4).
const PREFACE: &[u8; BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const BYTES: usize = 24;

/// Bytes that were read to see whether something comes; they are read once more by whom the connection is for.
pub struct Opening {
    bytes: [u8; BYTES],
    read: usize,
    given: usize,
}

impl Opening {
    /// Waits for the first byte, or for all of what HTTP/2 begins with. What begins otherwise is for others to refuse.
    pub async fn of(connection: &mut Connection, protocol: Protocol) -> io::Result<Opening> {
        let mut opening = Opening {
            bytes: [0; BYTES],
            read: 0,
            given: 0,
        };
        while !opening.is_whole(protocol) {
            match connection.read(&mut opening.bytes[opening.read..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => opening.read += read,
            }
        }
        Ok(opening)
    }

    fn is_whole(&self, protocol: Protocol) -> bool {
        let read = &self.bytes[..self.read];
        match protocol {
            Protocol::Http2 => read.len() == BYTES || !PREFACE.starts_with(read),
            Protocol::Http1 | Protocol::Nodes => !read.is_empty(),
        }
    }

    /// Gives what has not been given yet, as far as there is room. Whether there was any.
    pub fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.bytes[self.given..self.read];
        let given = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..given]);
        self.given += given;
        given > 0
    }
}

//! Listening with or without TLS, and dialling with it: certificates and keys read from files, handshakes that hold nobody up.
//!
//! Owns: PEM files, what rustls needs of them, accepting connections, handshakes, what their failures mean, and HTTP/1.1 on
//! connections that were accepted.
//!
//! Invariants:
//! - A client that does not finish its handshake, or says nothing after it, holds up no other one, and is left after
//!   [`HANDSHAKE_WITHIN`]. Where too many are at it, who is longest makes room.
//! - A server of HTTP/1.1 ends soon after it is told to, whatever its clients do.
//! - No more connections than were allowed are given out at a time.
//! - With an authority for clients, only a connection whose certificate it has signed is ever given out.
//! - Keys are never shown: errors name files.
//! - Files that have changed and cannot be used change nothing.
//!
//! Deliberately absent: who may do what, when files are looked at again, and ending connections whose certificate was replaced.

mod connection;
mod current;
mod expiry;
mod handshake;
mod http1;
mod identity;
mod listener;
mod new_connections;
mod opening;
mod places;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use connection::Connection;
pub use current::Watched;
pub use handshake::{ALERT, CLIENT_HELLO, explain, no_tls, part};
pub use http1::serve_http1;
pub use identity::{Acceptor, ClientIdentity, Connector, Identity, Protocol, TlsError};
pub use listener::{Accepted, HANDSHAKE_WITHIN, Listener};
pub use new_connections::NewConnections;
pub use places::{HANDSHAKE_TURN, HandshakePlace, HandshakePlaces};

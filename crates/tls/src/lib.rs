//! Listening with or without TLS: certificates and keys read from files, handshakes that hold nobody up.
//!
//! Owns: PEM files, what rustls needs of them, accepting connections.
//!
//! Invariants:
//! - A client that does not finish its handshake holds up no other one, and for no longer than [`HANDSHAKE_WITHIN`].
//! - With an authority for clients, only a connection whose certificate it has signed is ever given out.
//! - Keys are never shown: errors name files.
//!
//! Deliberately absent: connecting to others, who may do what, and reading a changed certificate before the next start.

mod identity;
mod listener;

pub use identity::{Acceptor, Identity, Protocol, TlsError};
pub use listener::{Connection, HANDSHAKE_WITHIN, Listener};

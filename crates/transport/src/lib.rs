//! What travels between the nodes of a cluster: one TCP connection for each pair of them, whoever dialled it.
//!
//! Owns connecting and connecting again, the handshake, framing (`docs/formats/node-frame.md`), queues and their limits, requests with
//! answers and messages without.
//!
//! **Invariants**
//! - Two nodes talk only if they name the same cluster, shape and incarnation, and neither takes the other for itself.
//! - What is queued on one channel arrives in that order, once, or not at all; nothing is kept for a node that is not connected.
//! - With [`Security`], nothing but TLS is spoken, and a node whose certificate is not accepted is never told anything.
//! - A slow or silent node costs a bounded queue and nothing else: sending never waits.
//! - Nothing that a peer sends panics here or makes this node take more memory than the limits say.
//!
//! **Absent on purpose**: what is carried, and who should be in the cluster: that is configuration.

mod connection;
mod dial;
mod error;
mod frame;
mod handshake;
mod hello;
pub mod limits;
mod node;
mod outbox;
mod peers;
mod pending;
mod security;
#[cfg(test)]
mod testkit;

pub use error::{RequestError, SendError};
pub use frame::Channel;
pub use hello::{GATEWAY_MIN, Identity, Shape};
pub use node::{Handler, Transport};
pub use security::Security;

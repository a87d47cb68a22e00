//! Every number that bounds something, with its reason.

use std::time::Duration;

use skep_rate::Rate;
use skep_tls::HANDSHAKE_TURN;

/// Largest payload of a frame: the largest log entry (8 MiB, the largest batch) with entries before it, and room.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Bytes queued for one node on one channel. Enough for a burst of large batches; a node that is further behind has to be told
/// again anyway.
pub const OUTBOX_BYTES_MAX: usize = 32 << 20;

/// Frames queued for one node on one channel: bounds what many empty ones cost.
pub const OUTBOX_FRAMES_MAX: usize = 16_384;

/// Requests to one node on one channel that wait for an answer.
pub const REQUESTS_WAITING_MAX: usize = 4_096;

/// Requests of one node on one channel that are being served: as many as it may wait for. More are refused, so that a peer that asks without end is
/// not paid for.
pub const REQUESTS_SERVED_MAX: usize = REQUESTS_WAITING_MAX;

/// Bytes of requests of one node on one channel that are being served.
pub const SERVED_BYTES_MAX: usize = 64 << 20;

/// Largest handshake message: what somebody may make us read before we know who it is.
pub const HELLO_BYTES_MAX: usize = 2_048;

/// Texts in a handshake message.
pub const HELLO_TEXT_BYTES_MAX: usize = 255;

/// Connections whose handshake is not over: more than an address may begin until the first of them makes room.
pub const HANDSHAKES_MAX: usize = 512;

/// New connections of one address: so many at once, then so many a second. All nodes may be behind one address and dial as they ordinarily do,
/// refused every time, without one being closed for that.
pub const NEW_CONNECTIONS: Rate = Rate::new(
    NEW_CONNECTIONS_PER_SECOND as u32,
    NEW_CONNECTIONS_AT_ONCE as u32,
);
const NEW_CONNECTIONS_PER_SECOND: usize = 400;
const NEW_CONNECTIONS_AT_ONCE: usize = 2_000;

/// Nodes that are connected: the brokers of the largest cluster, and gateways, of which there may be any number.
pub const PEERS_MAX: usize = 64 + 256;

/// Different reasons for refusing connections that are logged; whoever is refused comes again and again.
pub const REFUSALS_SAID_MAX: usize = 100;

/// How long connecting and the handshake may take.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);

/// A connection on which nothing was sent for so long carries a sign of life.
pub const PING_INTERVAL: Duration = Duration::from_millis(500);

/// A connection on which nothing came for so long is given up: its node has stopped, or the way to it has.
pub const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Pause before a node is dialled again, at first and at last. A node that restarts is found soon, one that is away costs little.
pub const REDIAL_MIN: Duration = Duration::from_millis(50);
/// See [`REDIAL_MIN`].
pub const REDIAL_MAX: Duration = Duration::from_secs(1);

/// Addresses that are dialled: of the configuration, and learned from others.
pub const ADDRESSES_MAX: usize = 256;

/// Memory that is taken at once for a frame that has been announced: the rest is taken as it arrives.
pub const READ_STEP: usize = 64 << 10;

const _: () = assert!(PAYLOAD_BYTES_MAX < OUTBOX_BYTES_MAX && PAYLOAD_BYTES_MAX < SERVED_BYTES_MAX);
const _: () = assert!(PING_INTERVAL.as_millis() * 3 < SILENCE_MAX.as_millis());
const _: () = assert!(HELLO_TEXT_BYTES_MAX * 2 + 64 < HELLO_BYTES_MAX);
const _: () = assert!(
    NEW_CONNECTIONS_PER_SECOND * (HANDSHAKE_TURN.as_millis() as usize) < HANDSHAKES_MAX * 1_000
);
const _: () =
    assert!(PEERS_MAX * 1_000 < NEW_CONNECTIONS_PER_SECOND * REDIAL_MAX.as_millis() as usize);

//! Numbers that bound a replica, each with its reason.

/// Client commands that may wait if nothing is configured. At 10,000 commands a second this is 100 ms of work: more would be answered late rather than
/// refused, and clients back off when refused.
pub const INBOX_COMMANDS: u32 = 1024;

/// Batches proposed and not applied. Two: one being flushed, one ready to follow at once.
pub const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// Commands of one batch: bounds what one panic throws away and the latency of the batch's first command.
pub const BATCH_COMMANDS_MAX: usize = 512;

/// Bytes of writes and records after which a batch closes.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// Bytes of applied writes after which the active layer is written back.
pub const LAYER_BYTES_MAX: usize = 24 << 20;

/// Bytes of log after which the active layer is written back, so that a replay takes less than a second.
pub const REPLAY_BYTES_MAX: usize = 48 << 20;

/// Milliseconds after which the active layer is written back although it is small, so that the log can be compacted.
pub const LAYER_AGE_MS_MAX: i64 = 15_000;

/// Bytes of applied writes that are not in the store above which no more commands are processed until the store caught up.
pub const UNFLUSHED_BYTES_MAX: usize = 128 << 20;

/// Frozen views kept for backups; the oldest is given up for a newer one, so that an unreachable blob store cannot fill the disk.
pub const FROZEN_VIEWS_MAX: usize = 2;

/// Milliseconds between two looks at what is due while commands come in. Zeebe's resolution is 100 ms.
pub const DUE_POLL_MS: i64 = 20;

/// Milliseconds without acknowledgement after which commands for another partition are sent again.
pub const RESEND_MS: i64 = 1_000;

/// Commands and envelopes that may wait for an envelope to be taken in. Senders repeat theirs all the time while this replica cannot go on.
pub const ENVELOPES_WAITING_MAX: usize = 16_384;

/// Milliseconds before a leader that could not even propose its epoch tries again: rarely enough to cost nothing, often enough not to be felt
/// when the disk has room again or the other members answer again.
pub const EPOCH_RETRY_MS: i64 = 50;

/// Job types that a new leader announces. More are found by the gateways' own probes.
pub const ANNOUNCED_TYPES_MAX: usize = 1000;

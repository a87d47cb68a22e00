//! Every number that bounds something, with its reason.

use std::time::Duration;

/// How deep a JSON document may nest. The check recurses, so this also bounds its stack; it is the JSON library's own limit.
pub const DOCUMENT_DEPTH_MAX: u32 = 127;

/// How long a client may ask to wait. Longer wishes are cut: they are typing errors, and would overflow the clock.
pub const CLIENT_TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Pause before a command goes to the same partition again, as in Zeebe.
pub const SAME_PARTITION_PAUSE: Duration = Duration::from_millis(10);

/// Longest description of a status, in bytes as sent. Clients take 8 KiB of trailers by default and fail the call with an
/// error of their own beyond that.
pub const STATUS_TEXT_BYTES_MAX: usize = 6 << 10;

/// How many causes the details of a status carry, and how long each may be: together they stay within the trailers.
pub const STATUS_CAUSES_MAX: usize = 16;
/// See [`STATUS_CAUSES_MAX`].
pub const STATUS_CAUSE_BYTES_MAX: usize = 256;

/// Calls that one connection may have open at a time. The default of the HTTP/2 library (200) makes clients with many
/// parked polls or many calls in flight wait for themselves; unlimited would let one client exhaust the memory.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 10_000;

/// Calls that a client may cancel before the gateway has looked at them; beyond that the connection is closed as abusive.
pub const PENDING_RESETS_MAX: usize = 1_024;

/// Bytes in flight per call and per connection towards the gateway, so that deployments are not slowed down.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// See [`STREAM_WINDOW_BYTES`].
pub const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// How often a silent connection is asked whether its client is still there, and how long it may take to answer: a parked
/// poll of a vanished client would swallow jobs.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// See [`KEEP_ALIVE_INTERVAL`].
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Jobs that are handed back to the brokers at the same time for one request.
pub const HAND_BACK_PARALLEL_MAX: usize = 64;

/// Pause before a job that does not fit into any message is handed out again; without it the poll would spin on that job.
pub const OVERSIZE_JOB_PAUSE: Duration = Duration::from_secs(10);

/// Jobs that wait in the gateway for one client of a stream: enough that it does not starve between two batches, few enough that
/// those who poll get what it has no time for.
pub const STREAM_JOBS_BUFFERED_MAX: usize = 32;

/// Jobs that are asked for at once for the streams of one registration.
pub const STREAM_BATCH_JOBS_MAX: usize = 256;

/// Pause before a partition is asked again that has news but did not answer.
pub const STREAM_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Calls that may watch the gateway's health, of all clients together: they cost memory and need no password. A few balancers watch;
/// more can ask.
pub const HEALTH_WATCHERS_MAX: usize = 1_000;

/// How long calls and polls may take to end after the order to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long the gateway's own deadline lies before the client's, so that the client gets the gateway's status and
/// not the transport's.
pub const CLIENT_DEADLINE_MARGIN: Duration = Duration::from_millis(2);

/// How long before the client's own deadline a poll without jobs ends, so that its regular end reaches the client in time.
pub const POLL_MARGIN: Duration = Duration::from_millis(100);

const _: () = assert!(STATUS_CAUSES_MAX * STATUS_CAUSE_BYTES_MAX <= STATUS_TEXT_BYTES_MAX);

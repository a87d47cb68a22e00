//! Every bound of this crate, with its reason.

use std::time::Duration;

/// Shortest chunk, in key and value bytes: keeps the number of objects and the manifest small where keys
/// happen to hash badly.
pub(crate) const CHUNK_BYTES_MIN: u64 = 256 * 1024;

/// Mean of what a chunk has beyond the minimum; the mean chunk is about 1 MiB.
pub(crate) const CHUNK_BYTES_SPREAD: u64 = 768 * 1024;

/// Longest chunk, unless a single pair is longer: bounds the memory of one chunk in flight.
pub(crate) const CHUNK_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Longest pair. Far above the largest command (4 MiB), so that it never refuses real content; it keeps lengths
/// within 32 bits and bounds what a damaged or hostile chunk can make a reader allocate.
pub(crate) const PAIR_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest canonical encoding that a reader accepts: one longest pair and its lengths.
pub(crate) const RAW_BYTES_MAX: usize = PAIR_BYTES_MAX + 1024;

/// A patch may have at most this share (one part of so many) of the chunk that it makes. Patches grow from backup to backup until
/// the chunk is stored whole again; storing a quarter in vain is what a restore's second object costs anyway.
pub(crate) const PATCH_SHARE_MAX: u64 = 4;

/// Memory for the changed keys of one chunk. With keys of some 20 bytes that is a thousand of them, more than a
/// patch of a chunk with pairs of more than 256 bytes can hold.
pub(crate) const CHUNK_CHANGED_KEYS_MAX: usize = 64 * 1024;

/// Memory for the changed keys of one partition since one backup: 240,000 keys. There are notes like that for each upload under way, too.
pub(crate) const CHANGED_KEYS_MAX: usize = 16 * 1024 * 1024;

/// What a noted key takes besides its bytes.
pub(crate) const CHANGED_KEY_OVERHEAD: usize = 48;

/// Longest manifest that a reader accepts. 256 MiB is over a million chunks, or a terabyte per partition.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Objects of all backups' directories read by a listing: 4 per partition and backup.
pub(crate) const BACKUP_OBJECTS_MAX: usize = 1_000_000;

/// Chunks of a store that a listing holds in memory (some 100 bytes each).
pub(crate) const CHUNK_OBJECTS_MAX: usize = 4_000_000;

/// Condemned chunks at a time; a run of the collector condemns no more than this.
pub(crate) const MARKS_MAX: usize = 100_000;

/// Partitions of a cluster. Zeebe's protocol has 13 bits for the partition in a key.
pub(crate) const PARTITIONS_MAX: u32 = 8192;

/// Manifests read at the same time by listings (Zeebe: 16) and the collector.
pub(crate) const MANIFEST_READS: usize = 16;

/// Chunks that a restore has in memory at once, whatever the number of its partitions: at most some 400 MiB.
pub(crate) const RESTORED_CHUNKS_MAX: usize = 16;

/// Longest upload of a partition. Part of the protocol with the collector, hence no setting: see [`crate::collect`].
pub(crate) const UPLOAD_DEADLINE_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// How long a request that was given up may still take effect in the store.
pub(crate) const REQUEST_LINGERS_MAX: Duration = Duration::from_secs(60 * 60);

/// Shortest time between condemning a chunk and deleting it.
pub(crate) const GRACE_MIN: Duration = Duration::from_secs(8 * 60 * 60);

/// How long a collector may rely on its lease, by its own clock, unless it renews it.
pub(crate) const LEASE_VALID: Duration = Duration::from_secs(30 * 60);

/// How old a lease is, by the store's clock, when others may ignore it.
pub(crate) const LEASE_EXPIRED: Duration = Duration::from_secs(2 * 60 * 60);

const _: () =
    assert!(UPLOAD_DEADLINE_MAX.as_secs() + REQUEST_LINGERS_MAX.as_secs() < GRACE_MIN.as_secs());
const _: () =
    assert!(LEASE_VALID.as_secs() + REQUEST_LINGERS_MAX.as_secs() < LEASE_EXPIRED.as_secs());
const _: () = assert!(CHUNK_BYTES_MIN < CHUNK_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES_MIN + CHUNK_BYTES_SPREAD < CHUNK_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES_MAX < PAIR_BYTES_MAX as u64);
const _: () = assert!(CHUNK_CHANGED_KEYS_MAX < CHANGED_KEYS_MAX);
const _: () = assert!(RAW_BYTES_MAX < u32::MAX as usize);

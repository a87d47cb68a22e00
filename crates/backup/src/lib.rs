//! Backup and restore of a partition's content.
//!
//! Owns chunks, manifests, upload, status, verification, deletion with collection, and restore into a data
//! directory. It knows ordered bytes and a blob store; where the bytes come from and go to is behind [`Content`]
//! and [`RestoreSink`]. Nothing here knows records, Raft, a network protocol or the store below the state.
//!
//! # The idea
//! The content of a partition at a checkpoint, in key order, is cut into chunks at places that depend on the content
//! alone ([`chunk`]). A chunk is named by its hash and stored once, whoever uploads it. A backup of a partition is a
//! manifest that lists chunks; a backup of the cluster is a manifest that lists those. What has not changed since an
//! earlier backup is neither read ([`DirtyChunks`]) nor uploaded again; where little of a chunk has changed, no more than
//! that is uploaded ([`chunk::Patch`]).
//!
//! # Invariants
//! - A manifest is written after everything that it refers to, by one conditional put, and is never changed.
//! - So a backup exists completely or not at all, whatever crashes; what a crash leaves behind is collected.
//! - A chunk that a manifest refers to is not deleted ([`collect`] has the argument).
//! - Bytes are handed to a [`RestoreSink`] only after their hash was checked.
//! - No call waits without a bound: uploads have a deadline, retries a limit, listings a cap.
//!
//! # Deliberately absent
//! Schedules and retention (policy lives with whoever calls), encryption (the stored form has a field for it), and
//! agreement of replicas on the root hash: an [`UploadDraft`] shows its root hash before it is published.

mod background;
mod base;
mod cancel;
pub mod chunk;
pub mod collect;
mod compare;
mod complete;
mod content;
pub mod data_dir;
mod delete;
mod dirty;
mod document;
mod error;
mod fetch;
mod ids;
mod index;
mod keys;
mod layout;
mod lease;
mod limits;
mod listing;
mod manifest;
mod marker;
mod notes;
mod pace;
mod piecewise;
mod plan;
mod processors;
mod restore;
mod restore_error;
mod retry;
mod status;
mod store_chunk;
mod upload;
mod verify;

pub use background::{BackgroundError, run_in_turn};
pub use base::{Base, BaseBackup, newest_base};
pub use cancel::Cancel;
pub use chunk::{ChunkHash, ChunkInfo, PatchRef, RootHash, Stored, StoredChunk, StoredObject};
pub use collect::{CollectOptions, CollectReport, collect};
pub use compare::hash_content;
pub use complete::complete_backup;
pub use content::{Content, ContentError, Visit};
pub use data_dir::{
    DataDirState, Incarnation, RestoreMarker, RestoreTarget, inspect_data_dir, is_to_be_filled,
};
pub use delete::delete_backup;
pub use dirty::DirtyChunks;
pub use error::BackupError;
pub use fetch::DamageKind;
pub use ids::{BackupId, PartitionId};
pub use index::ChunkIndex;
pub use manifest::{ClusterManifest, PartitionIdentity, PartitionManifest, PartitionSummary};
pub use marker::mark_failed;
pub use notes::WriteNotes;
pub use piecewise::{ContentChunk, read_chunk_at};
pub use plan::{PlanStats, PlannedChunk, PlannedContent, plan_chunks, root_hash};
pub use processors::Processors;
pub use restore::{
    Progress, RestorableBackup, RestoreOptions, RestoreSink, SinkError, find_restorable,
    restore_partition,
};
pub use restore_error::RestoreError;
pub use retry::RetryPolicy;
pub use status::{
    BackupState, BackupStatus, PartitionStatus, list_backups, read_backup, read_status,
};
pub use upload::{UploadDraft, UploadOptions, UploadRequest, UploadStats, publish, upload_chunks};
pub use verify::{Damage, Sample, VerifyReport, verify_backup};

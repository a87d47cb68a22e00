//! Where things lie in the blob store. Described in `docs/formats/manifest.md`.
//!
//! ```text
//! chunks/{hh}/{hash}[.{generation}]          a chunk; hh = first two digits of its hash
//! backups/{id:020}/manifest.json             cluster manifest: the backup is complete
//! backups/{id:020}/partition-{p:05}.json     partition manifest: this partition is complete
//! backups/{id:020}/partition-{p:05}.started.json   somebody has begun
//! backups/{id:020}/partition-{p:05}.failed.json    it failed, and why
//! backups/{id:020}/deleted.json              the backup is being, or has been, deleted
//! gc/marks/{hash}[.{generation}]             the chunk is condemned
//! gc/lease/{holder}                          somebody collects
//! ```

use crate::chunk::ChunkHash;
use crate::ids::{BackupId, PartitionId};

pub(crate) const BACKUPS: &str = "backups";
pub(crate) const CHUNKS: &str = "chunks";
pub(crate) const MARKS: &str = "gc/marks";
pub(crate) const LEASES: &str = "gc/lease";

/// A chunk's object: the same content is stored under another generation if an earlier one is condemned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ChunkName {
    pub(crate) hash: ChunkHash,
    pub(crate) generation: u32,
}

impl ChunkName {
    pub(crate) fn path(self) -> String {
        let name = self.file_name();
        format!("{CHUNKS}/{}/{name}", &name[..2])
    }

    pub(crate) fn mark_path(self) -> String {
        format!("{MARKS}/{}", self.file_name())
    }

    /// Read the last segment of a chunk's or a mark's path. Anything that we would write differently is not ours.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?;
        let (hash, generation) = match name.split_once('.') {
            Some((hash, generation)) => (hash, generation.parse().ok().filter(|g| *g > 0)?),
            None => (name, 0),
        };
        let parsed = Self {
            hash: ChunkHash::from_hex(hash)?,
            generation,
        };
        (parsed.file_name() == name).then_some(parsed)
    }

    fn file_name(self) -> String {
        match self.generation {
            0 => self.hash.to_string(),
            generation => format!("{}.{generation}", self.hash),
        }
    }
}

/// An object in a backup's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BackupObject {
    Cluster,
    Deleted,
    Manifest(PartitionId),
    Started(PartitionId),
    Failed(PartitionId),
}

impl BackupObject {
    /// The partition whose object this is.
    pub(crate) fn partition(self) -> Option<PartitionId> {
        match self {
            Self::Cluster | Self::Deleted => None,
            Self::Manifest(partition) | Self::Started(partition) | Self::Failed(partition) => {
                Some(partition)
            }
        }
    }

    pub(crate) fn path(self, id: BackupId) -> String {
        let dir = backup_dir(id);
        match self {
            Self::Cluster => format!("{dir}/manifest.json"),
            Self::Deleted => format!("{dir}/deleted.json"),
            Self::Manifest(p) => format!("{dir}/partition-{:05}.json", p.0),
            Self::Started(p) => format!("{dir}/partition-{:05}.started.json", p.0),
            Self::Failed(p) => format!("{dir}/partition-{:05}.failed.json", p.0),
        }
    }

    /// Which backup's which object this path is; nothing for objects that are not ours.
    pub(crate) fn parse(path: &str) -> Option<(BackupId, Self)> {
        let (dir, name) = path
            .strip_prefix(BACKUPS)?
            .strip_prefix('/')?
            .split_once('/')?;
        let id = BackupId(dir.parse().ok()?);
        let object = match name {
            "manifest.json" => Self::Cluster,
            "deleted.json" => Self::Deleted,
            name => {
                let (number, kind) = name.strip_prefix("partition-")?.split_once('.')?;
                let partition = PartitionId(number.parse().ok()?);
                match kind {
                    "json" => Self::Manifest(partition),
                    "started.json" => Self::Started(partition),
                    "failed.json" => Self::Failed(partition),
                    _ => return None,
                }
            }
        };
        (object.path(id) == path).then_some((id, object))
    }
}

pub(crate) fn backup_dir(id: BackupId) -> String {
    format!("{BACKUPS}/{:020}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsing_is_the_inverse_of_writing() {
        let hash = ChunkHash::of(b"x");
        for generation in [0, 1, 12] {
            let name = ChunkName { hash, generation };
            assert_eq!(ChunkName::parse(&name.path()), Some(name));
            assert_eq!(ChunkName::parse(&name.mark_path()), Some(name));
        }
        let p = PartitionId(3);
        for object in [
            BackupObject::Cluster,
            BackupObject::Deleted,
            BackupObject::Manifest(p),
            BackupObject::Started(p),
            BackupObject::Failed(p),
        ] {
            let id = BackupId(u64::MAX);
            assert_eq!(BackupObject::parse(&object.path(id)), Some((id, object)));
        }
    }

    #[test]
    fn what_we_would_not_write_is_not_ours() {
        let hash = ChunkHash::of(b"x");
        for name in [
            format!("{hash}.0"),
            format!("{hash}.01"),
            format!("{hash}."),
            "ab".into(),
            format!("{hash}x"),
        ] {
            assert_eq!(ChunkName::parse(&name), None, "{name}");
        }
        for path in [
            "backups/7/manifest.json",
            "backups/00000000000000000007/partition-1.json",
            "backups/00000000000000000007/partition-00001.json.tmp",
            "backups/00000000000000000007/x",
            "backupsx",
        ] {
            assert_eq!(BackupObject::parse(path), None, "{path}");
        }
    }
}

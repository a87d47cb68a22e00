//! Versions of an id: which is the latest, and which key each has. What processes, decisions, their requirements and forms share.
//!
//! **Invariants**
//! - Versions of an id are 1, 2, 3 …; a number is never given twice, whatever was deleted meanwhile.
//! - The latest version is the highest that there is.

use prost::Message;
use skep_protocol::Key;
use skep_state::{Read, StateError, TableKey, Txn};

use super::{delete, insert, put, read};

/// A version of an id.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Version {
    /// Number of the version, from 1.
    #[prost(int32, tag = "1")]
    pub version: i32,
    #[prost(int64, tag = "2")]
    key: i64,
}

impl Version {
    /// Key of what has this version.
    pub fn key(&self) -> Key {
        Key(self.key)
    }
}

/// What is known of an id.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Latest {
    /// 0 if all were deleted.
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(int64, tag = "2")]
    key: i64,
    /// The highest number given, if it is not the latest's.
    #[prost(int32, tag = "3")]
    given: i32,
}

/// A pair of tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Versions {
    /// Prefix of the latest by id.
    latest: u8,
    /// Prefix of each by id and number.
    numbered: u8,
}

impl Versions {
    /// The tables of those prefixes.
    pub const fn new(latest: u8, numbered: u8) -> Versions {
        Versions { latest, numbered }
    }

    fn latest_key(self, id: &str) -> TableKey {
        TableKey::new(self.latest).text(id)
    }

    fn numbered_key(self, id: &str, version: i32) -> TableKey {
        TableKey::new(self.numbered)
            .text(id)
            .i64(i64::from(version))
    }

    /// The latest version of an id.
    pub fn latest(self, state: &dyn Read, id: &str) -> Result<Option<Version>, StateError> {
        let latest: Option<Latest> = read(state, &self.latest_key(id))?;
        Ok(latest
            .filter(|latest| latest.version > 0)
            .map(|latest| Version {
                version: latest.version,
                key: latest.key,
            }))
    }

    /// The number that the next version of an id gets.
    pub fn next(self, state: &dyn Read, id: &str) -> Result<i32, StateError> {
        let latest: Option<Latest> = read(state, &self.latest_key(id))?;
        Ok(latest.map_or(0, |latest| latest.version.max(latest.given)) + 1)
    }

    /// A certain version of an id.
    pub fn get(
        self,
        state: &dyn Read,
        id: &str,
        version: i32,
    ) -> Result<Option<Version>, StateError> {
        read(state, &self.numbered_key(id, version))
    }

    /// The highest version of an id below a number.
    pub fn below(
        self,
        state: &dyn Read,
        id: &str,
        version: i32,
    ) -> Result<Option<Version>, StateError> {
        for number in (1..version).rev() {
            if let Some(found) = self.get(state, id, number)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Adds a version, which becomes the latest of its id if its number is the highest.
    pub fn insert(
        self,
        txn: &mut dyn Txn,
        id: &str,
        version: i32,
        key: Key,
    ) -> Result<(), StateError> {
        let numbered = Version {
            version,
            key: key.0,
        };
        insert(txn, &self.numbered_key(id, version), &numbered);
        if self.next(txn, id)? <= version {
            let latest = Latest {
                version,
                key: key.0,
                given: 0,
            };
            put(txn, &self.latest_key(id), &latest);
        }
        Ok(())
    }

    /// Removes a version. If it was the latest, the one before becomes that. Tells whether it was.
    pub fn remove(self, txn: &mut dyn Txn, id: &str, version: i32) -> Result<bool, StateError> {
        delete(txn, &self.numbered_key(id, version));
        let given = self.next(txn, id)? - 1;
        let was_latest = self
            .latest(txn, id)?
            .is_some_and(|latest| latest.version == version);
        if was_latest {
            let before = self.below(txn, id, version)?;
            let latest = Latest {
                version: before.map_or(0, |before| before.version),
                key: before.map_or(0, |before| before.key),
                given,
            };
            put(txn, &self.latest_key(id), &latest);
        }
        Ok(was_latest)
    }
}

//! Which version of an id came with a deployment, and which versions have a tag. What processes, decisions and forms share.
//!
//! **Invariant**: what is here is what there is; a version leaves when it can begin nothing any more.

use prost::Message;
use skep_protocol::Key;
use skep_state::{Read, StateError, TableKey, Txn, Visit};

use super::{decode, delete, insert, read, scan};

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Bound {
    #[prost(int64, tag = "1")]
    key: i64,
}

/// A version, and what it can be found by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// Id of the process, decision or form.
    pub id: &'a str,
    /// Number of the version.
    pub version: i32,
    /// The deployment that brought it.
    pub deployment: Key,
    /// Its tag; empty if it has none.
    pub tag: &'a str,
}

/// A pair of tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bindings {
    /// Prefix of those by deployment.
    pub by_deployment: u8,
    /// Prefix of those by tag.
    pub by_tag: u8,
}

impl Bindings {
    fn deployment_key(self, id: &str, deployment: Key) -> TableKey {
        TableKey::new(self.by_deployment).text(id).i64(deployment.0)
    }

    fn of_tag(self, id: &str, tag: &str) -> TableKey {
        TableKey::new(self.by_tag).text(id).text(tag)
    }

    /// The later versions come first.
    fn tag_key(self, origin: &Origin<'_>) -> TableKey {
        self.of_tag(origin.id, origin.tag)
            .i64(-i64::from(origin.version))
    }

    /// The one that came with a deployment.
    pub fn in_deployment(
        self,
        state: &dyn Read,
        id: &str,
        deployment: Key,
    ) -> Result<Option<Key>, StateError> {
        let bound: Option<Bound> = read(state, &self.deployment_key(id, deployment))?;
        Ok(bound.map(|bound| Key(bound.key)))
    }

    /// The latest that has a tag.
    pub fn tagged(self, state: &dyn Read, id: &str, tag: &str) -> Result<Option<Key>, StateError> {
        let mut found = None;
        scan(state, &self.of_tag(id, tag), |key, value| {
            let bound: Bound = decode(key, value)?;
            found = Some(Key(bound.key));
            Ok(Visit::Stop)
        })?;
        Ok(found)
    }

    /// Adds a version.
    pub fn insert(self, txn: &mut dyn Txn, origin: &Origin<'_>, key: Key) {
        let bound = Bound { key: key.0 };
        let by_deployment = self.deployment_key(origin.id, origin.deployment);
        insert(txn, &by_deployment, &bound);
        if !origin.tag.is_empty() {
            insert(txn, &self.tag_key(origin), &bound);
        }
    }

    /// Removes a version.
    pub fn remove(self, txn: &mut dyn Txn, origin: &Origin<'_>) {
        delete(txn, &self.deployment_key(origin.id, origin.deployment));
        if !origin.tag.is_empty() {
            delete(txn, &self.tag_key(origin));
        }
    }
}

//! Bytes of entries and of the group's blob: `docs/formats/raft-entry.md`. Pure functions.

use std::collections::BTreeSet;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;

use crate::types::{Entry, LogId, Membership, Proposal, Vote, log_id};

const VERSION: u8 = 1;
const HEADER: usize = 10;
/// Bytes that an entry has besides the proposal.
pub(crate) const ENTRY_OVERHEAD: usize = HEADER;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error(
        "consensus data has format version {0}, this release reads version {VERSION}; use the release that wrote it"
    )]
    Version(u8),
    #[error("consensus data has unknown kind {0}; use the release that wrote it")]
    Kind(u8),
    #[error("consensus data ends too early")]
    Short,
    #[error("membership in consensus data is not valid: {0}")]
    Membership(String),
}

pub(crate) fn encode_entry(entry: &Entry) -> Bytes {
    let (kind, size) = match &entry.payload {
        EntryPayload::Blank => (0, 0),
        EntryPayload::Normal(proposal) => (1, proposal.0.len()),
        EntryPayload::Membership(_) => (2, 0),
    };
    let mut out = BytesMut::with_capacity(HEADER + size);
    out.put_u8(VERSION);
    out.put_u8(kind);
    out.put_u64_le(**entry.log_id.committed_leader_id());
    match &entry.payload {
        EntryPayload::Blank => {}
        EntryPayload::Normal(proposal) => out.put_slice(&proposal.0),
        EntryPayload::Membership(membership) => put_membership(&mut out, membership),
    }
    out.freeze()
}

pub(crate) fn decode_entry(index: u64, mut bytes: Bytes) -> Result<Entry, CodecError> {
    take_version(&mut bytes)?;
    let kind = take_u8(&mut bytes)?;
    let term = take_u64(&mut bytes)?;
    let payload = match kind {
        0 => EntryPayload::Blank,
        1 => EntryPayload::Normal(Proposal(bytes)),
        2 => EntryPayload::Membership(take_membership(&mut bytes)?),
        other => return Err(CodecError::Kind(other)),
    };
    Ok(Entry {
        log_id: log_id(index, term),
        payload,
    })
}

/// The group's blob.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Meta {
    pub vote: Option<Vote>,
    pub purged: Option<LogId>,
    /// The member may have forgotten votes and entries.
    pub newcomer: bool,
    /// Ascending; at most two.
    pub memberships: Vec<(LogId, Membership)>,
}

const HAS_VOTE: u8 = 1;
const VOTE_COMMITTED: u8 = 2;
const HAS_PURGED: u8 = 4;
const NEWCOMER: u8 = 8;

impl Meta {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(VERSION);
        let mut flags = 0;
        if let Some(vote) = &self.vote {
            flags |= HAS_VOTE | if vote.committed { VOTE_COMMITTED } else { 0 };
        }
        if self.purged.is_some() {
            flags |= HAS_PURGED;
        }
        if self.newcomer {
            flags |= NEWCOMER;
        }
        out.put_u8(flags);
        if let Some(vote) = &self.vote {
            out.put_u64_le(vote.leader_id.term);
            out.put_u64_le(vote.leader_id.voted_for);
        }
        if let Some(purged) = &self.purged {
            put_log_id(&mut out, purged);
        }
        let count = u8::try_from(self.memberships.len()).expect("at most two memberships");
        out.put_u8(count);
        for (id, membership) in &self.memberships {
            put_log_id(&mut out, id);
            let mut bytes = BytesMut::new();
            put_membership(&mut bytes, membership);
            put_count(&mut out, bytes.len());
            out.put_slice(&bytes);
        }
        out.freeze()
    }

    pub fn decode(mut bytes: Bytes) -> Result<Self, CodecError> {
        take_version(&mut bytes)?;
        let flags = take_u8(&mut bytes)?;
        if flags > HAS_VOTE | VOTE_COMMITTED | HAS_PURGED | NEWCOMER {
            return Err(CodecError::Kind(flags));
        }
        let mut meta = Self {
            newcomer: flags & NEWCOMER != 0,
            ..Self::default()
        };
        if flags & HAS_VOTE != 0 {
            let (term, node) = (take_u64(&mut bytes)?, take_u64(&mut bytes)?);
            let leader_id = openraft::impls::leader_id_std::LeaderId::new(term, node);
            meta.vote = Some(Vote {
                leader_id,
                committed: flags & VOTE_COMMITTED != 0,
            });
        }
        if flags & HAS_PURGED != 0 {
            meta.purged = Some(take_log_id(&mut bytes)?);
        }
        for _ in 0..take_u8(&mut bytes)? {
            let id = take_log_id(&mut bytes)?;
            let length = take_count(&mut bytes)?;
            if bytes.len() < length {
                return Err(CodecError::Short);
            }
            meta.memberships
                .push((id, take_membership(&mut bytes.split_to(length))?));
        }
        Ok(meta)
    }
}

pub(crate) fn put_log_id(out: &mut BytesMut, id: &LogId) {
    out.put_u64_le(id.index);
    out.put_u64_le(**id.committed_leader_id());
}

pub(crate) fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32_le(u32::try_from(count).expect("far fewer than four thousand million nodes"));
}

fn put_membership(out: &mut BytesMut, membership: &Membership) {
    let configs = membership.get_joint_config();
    out.put_u8(u8::try_from(configs.len()).expect("at most two configurations"));
    for voters in configs {
        put_count(out, voters.len());
        voters.iter().for_each(|voter| out.put_u64_le(*voter));
    }
    let nodes: Vec<u64> = membership.nodes().map(|(node, ())| *node).collect();
    put_count(out, nodes.len());
    nodes.iter().for_each(|node| out.put_u64_le(*node));
}

fn take_membership(bytes: &mut Bytes) -> Result<Membership, CodecError> {
    let mut configs = Vec::new();
    for _ in 0..take_u8(bytes)? {
        configs.push(take_nodes(bytes)?);
    }
    let nodes = take_nodes(bytes)?;
    let nodes: std::collections::BTreeMap<u64, ()> = nodes.into_iter().map(|n| (n, ())).collect();
    Membership::new(configs, nodes).map_err(|error| CodecError::Membership(error.to_string()))
}

fn take_nodes(bytes: &mut Bytes) -> Result<BTreeSet<u64>, CodecError> {
    let count = take_count(bytes)?;
    (0..count).map(|_| take_u64(bytes)).collect()
}

fn take_version(bytes: &mut Bytes) -> Result<(), CodecError> {
    match bytes.try_get_u8() {
        Ok(VERSION) => Ok(()),
        Ok(other) => Err(CodecError::Version(other)),
        Err(_) => Err(CodecError::Short),
    }
}

pub(crate) fn take_u8(bytes: &mut Bytes) -> Result<u8, CodecError> {
    bytes.try_get_u8().map_err(|_| CodecError::Short)
}

pub(crate) fn take_u64(bytes: &mut Bytes) -> Result<u64, CodecError> {
    bytes.try_get_u64_le().map_err(|_| CodecError::Short)
}

pub(crate) fn take_count(bytes: &mut Bytes) -> Result<usize, CodecError> {
    Ok(bytes.try_get_u32_le().map_err(|_| CodecError::Short)? as usize)
}

fn take_log_id(bytes: &mut Bytes) -> Result<LogId, CodecError> {
    let index = take_u64(bytes)?;
    Ok(log_id(index, take_u64(bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        Membership::new_with_defaults(vec![BTreeSet::from([0, 2])], [5])
    }

    #[test]
    fn entries_are_read_back_as_written() {
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::from_static(b"abc"))),
            EntryPayload::Membership(membership()),
        ] {
            let entry = Entry {
                log_id: log_id(7, 3),
                payload,
            };
            assert_eq!(decode_entry(7, encode_entry(&entry)), Ok(entry));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format_page() {
        let payload = EntryPayload::Normal(Proposal(Bytes::from_static(b"xy")));
        let entry = Entry {
            log_id: log_id(7, 3),
            payload,
        };
        assert_eq!(&encode_entry(&entry)[..], b"\x01\x01\x03\0\0\0\0\0\0\0xy");
    }

    #[test]
    fn a_blob_is_read_back_as_written() {
        let leader_id = openraft::impls::leader_id_std::LeaderId::new(4, 2);
        let meta = Meta {
            vote: Some(Vote {
                leader_id,
                committed: true,
            }),
            purged: Some(log_id(9, 4)),
            newcomer: true,
            memberships: vec![(log_id(0, 0), membership())],
        };
        assert_eq!(Meta::decode(meta.encode()), Ok(meta));
        assert_eq!(Meta::decode(Meta::default().encode()), Ok(Meta::default()));
    }

    #[test]
    fn shortened_and_newer_bytes_are_refused() {
        let whole = Entry {
            log_id: log_id(1, 1),
            payload: EntryPayload::Membership(membership()),
        };
        let whole = encode_entry(&whole);
        for length in 0..whole.len() {
            assert!(decode_entry(1, whole.slice(..length)).is_err());
        }
        assert_eq!(
            decode_entry(1, Bytes::from_static(&[2])),
            Err(CodecError::Version(2))
        );
        assert_eq!(
            Meta::decode(Bytes::from_static(&[9])),
            Err(CodecError::Version(9))
        );
    }
}

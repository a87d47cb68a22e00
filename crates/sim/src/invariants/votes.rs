//! A vote is durable before it is given: whoever has given it cannot give another one in the same term after a crash.

use bytes::Bytes;
use skep_log::GroupLog;

use crate::violation::{Check, Violation};

/// Where the term is in an answer to a request for a vote, after version, kind and a byte of the vote: docs/formats/raft-rpc.md.
const ANSWERED_TERM: usize = 3;

/// Where flags and the vote's term are in a group's blob, and the flag of a vote: docs/formats/raft-entry.md.
const BLOB_FLAGS: usize = 1;
const HAS_VOTE: u8 = 1;
const BLOB_TERM: usize = 2;

fn term_at(bytes: &[u8], at: usize) -> Option<u64> {
    let term = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_le_bytes(term))
}

/// Checks an answer to a request for a vote at the moment at which it leaves a node.
pub fn check(node: usize, answer: &Bytes, log: &GroupLog) -> Check {
    if answer.last() != Some(&1) {
        return Ok(());
    }
    let term = term_at(answer, ANSWERED_TERM);
    let durable = log.durable_meta();
    let voted = durable.filter(|blob| {
        blob.get(BLOB_FLAGS)
            .is_some_and(|flags| flags & HAS_VOTE != 0)
    });
    if voted.and_then(|blob| term_at(&blob, BLOB_TERM)) >= term {
        return Ok(());
    }
    Err(Violation::new(
        "votes",
        format!("node {node} gives its vote for term {term:?} before that is durable"),
    ))
}

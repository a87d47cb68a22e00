//! Bytes of what members ask each other: `docs/formats/raft-rpc.md`. Pure functions.
//!
//! Invariant: whatever bytes come, the result is an error or a request that openraft can take: entries are consecutive by
//! construction, and their terms neither go back nor exceed the leader's.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use crate::codec::{self, CodecError, take_u8, take_u64};
use crate::types::{Entry, LogId, TypeConfig, Vote, log_id, vote};

const VERSION: u8 = 1;
/// Indexes stay below it, so that none can overflow.
const INDEX_MAX: u64 = 1 << 62;

pub(crate) type Append = AppendEntriesRequest<TypeConfig>;
pub(crate) type Appended = AppendEntriesResponse<TypeConfig>;
pub(crate) type AskVote = VoteRequest<TypeConfig>;
pub(crate) type Voted = VoteResponse<TypeConfig>;
pub(crate) type Transfer = TransferLeaderRequest<TypeConfig>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    #[error(
        "a message between members has version {0}, this release reads version {VERSION}; run adjacent releases only"
    )]
    Version(u8),
    #[error("a message between members is of unknown kind {0}; run adjacent releases only")]
    Kind(u8),
    #[error("a message between members is not valid: {0}")]
    Invalid(&'static str),
    #[error("a message between members: {0}")]
    Entry(#[from] CodecError),
}

/// What a member asks.
#[derive(Debug)]
pub(crate) enum Request {
    Append {
        append: Append,
        /// Entries from this index on are kept by every member: somebody may need them.
        keep_from: u64,
    },
    Vote(AskVote),
    PreVote(AskVote),
    Transfer(Transfer),
    /// The leader has content for a member that lacks more of the log than there is.
    Offer(Offered),
    /// Asks whether the group has had a leader, as far as the member knows.
    History,
}

/// What a leader offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offered {
    pub vote: Vote,
    /// The entry that the content ends with.
    pub last: LogId,
    /// What to fetch it with.
    pub ticket: Bytes,
}

/// What a member says to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It fetches.
    UnderWay,
    /// It has all that is in it.
    Done,
    /// It knows of a higher vote.
    HigherVote(Vote),
    /// It cannot fetch it at present: why.
    Failed(String),
}

const APPEND: u8 = 1;
const VOTE: u8 = 2;
const PRE_VOTE: u8 = 3;
const TRANSFER: u8 = 4;
const OFFER: u8 = 5;
const HISTORY: u8 = 6;

/// What a ticket or a reason may have: they name things.
const TEXT_BYTES_MAX: usize = 4 << 10;

pub(crate) fn encode_append(append: &Append, keep_from: u64) -> Bytes {
    let entries: Vec<Bytes> = append.entries.iter().map(codec::encode_entry).collect();
    let size: usize = entries.iter().map(|entry| entry.len() + 4).sum();
    let mut out = begin(APPEND, 64 + size);
    put_vote(&mut out, &append.vote);
    put_log_id(&mut out, append.prev_log_id.as_ref());
    put_log_id(&mut out, append.leader_commit.as_ref());
    out.put_u64_le(keep_from);
    codec::put_count(&mut out, entries.len());
    for entry in entries {
        codec::put_count(&mut out, entry.len());
        out.put_slice(&entry);
    }
    out.freeze()
}

pub(crate) fn encode_vote(ask: &AskVote) -> Bytes {
    encode_ask(VOTE, ask)
}

pub(crate) fn encode_pre_vote(ask: &AskVote) -> Bytes {
    encode_ask(PRE_VOTE, ask)
}

fn encode_ask(kind: u8, ask: &AskVote) -> Bytes {
    let mut out = begin(kind, 64);
    put_vote(&mut out, &ask.vote);
    put_log_id(&mut out, ask.last_log_id.as_ref());
    out.put_u8(u8::from(ask.leadership_transfer));
    out.freeze()
}

pub(crate) fn encode_transfer(transfer: &Transfer) -> Bytes {
    let mut out = begin(TRANSFER, 64);
    put_vote(&mut out, transfer.from_leader());
    out.put_u64_le(*transfer.to_node_id());
    put_log_id(&mut out, transfer.last_log_id());
    out.freeze()
}

pub(crate) fn encode_offer(offered: &Offered) -> Bytes {
    let mut out = begin(OFFER, 64 + offered.ticket.len());
    put_vote(&mut out, &offered.vote);
    codec::put_log_id(&mut out, &offered.last);
    put_text(&mut out, &offered.ticket);
    out.freeze()
}

pub(crate) fn encode_history_question() -> Bytes {
    begin(HISTORY, 2).freeze()
}

pub(crate) fn decode_request(mut bytes: Bytes) -> Result<Request, RpcError> {
    let request = match take_kind(&mut bytes)? {
        APPEND => take_append(&mut bytes)?,
        VOTE => Request::Vote(take_ask(&mut bytes)?),
        PRE_VOTE => Request::PreVote(take_ask(&mut bytes)?),
        TRANSFER => {
            let from = take_vote(&mut bytes)?;
            let to = take_u64(&mut bytes)?;
            let last = take_log_id(&mut bytes)?;
            Request::Transfer(Transfer::new(from, to, last))
        }
        OFFER => Request::Offer(take_offer(&mut bytes)?),
        HISTORY => Request::History,
        other => return Err(RpcError::Kind(other)),
    };
    no_more(&bytes)?;
    Ok(request)
}

fn take_offer(bytes: &mut Bytes) -> Result<Offered, RpcError> {
    let vote = take_vote(bytes)?;
    let last = take_id(bytes)?;
    if !vote.committed || **last.committed_leader_id() > vote.leader_id.term {
        return Err(RpcError::Invalid("content of a node that does not lead"));
    }
    let ticket = take_text(bytes)?;
    Ok(Offered { vote, last, ticket })
}

fn take_append(bytes: &mut Bytes) -> Result<Request, RpcError> {
    let leader = take_vote(bytes)?;
    if !leader.committed {
        return Err(RpcError::Invalid("entries of a node that does not lead"));
    }
    let prev_log_id = take_log_id(bytes)?;
    let leader_commit = take_log_id(bytes)?;
    let keep_from = take_u64(bytes)?;
    let count = codec::take_count(bytes)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut index = prev_log_id.map_or(0, |id| id.index + 1);
    let mut term = prev_log_id.map_or(0, |id| **id.committed_leader_id());
    for _ in 0..count {
        let length = codec::take_count(bytes)?;
        if bytes.len() < length {
            return Err(RpcError::Entry(CodecError::Short));
        }
        let entry = codec::decode_entry(index, bytes.split_to(length))?;
        let next = **entry.log_id.committed_leader_id();
        if next < term || next > leader.leader_id.term {
            return Err(RpcError::Invalid("terms of entries are out of order"));
        }
        (index, term) = (index + 1, next);
        entries.push(entry);
    }
    let append = Append {
        vote: leader,
        prev_log_id,
        entries,
        leader_commit,
    };
    Ok(Request::Append { append, keep_from })
}

fn take_ask(bytes: &mut Bytes) -> Result<AskVote, RpcError> {
    let vote = take_vote(bytes)?;
    let last_log_id = take_log_id(bytes)?;
    let mut ask = AskVote::new(vote, last_log_id);
    ask.leadership_transfer = take_flag(bytes)?;
    Ok(ask)
}

const SUCCESS: u8 = 0;
const CONFLICT: u8 = 1;
const HIGHER_VOTE: u8 = 2;

pub(crate) fn encode_appended(appended: &Appended) -> Bytes {
    let mut out = begin(APPEND, 32);
    match appended {
        // Our side never takes a part of a request only.
        Appended::Success | Appended::PartialSuccess(_) => out.put_u8(SUCCESS),
        Appended::Conflict => out.put_u8(CONFLICT),
        Appended::HigherVote(vote) => {
            out.put_u8(HIGHER_VOTE);
            put_vote(&mut out, vote);
        }
    }
    out.freeze()
}

pub(crate) fn decode_appended(mut bytes: Bytes) -> Result<Appended, RpcError> {
    expect(&mut bytes, APPEND)?;
    let appended = match take_u8(&mut bytes)? {
        SUCCESS => Appended::Success,
        CONFLICT => Appended::Conflict,
        HIGHER_VOTE => Appended::HigherVote(take_vote(&mut bytes)?),
        other => return Err(RpcError::Kind(other)),
    };
    no_more(&bytes)?;
    Ok(appended)
}

pub(crate) fn encode_voted(voted: &Voted) -> Bytes {
    let mut out = begin(VOTE, 64);
    put_vote(&mut out, &voted.vote);
    put_log_id(&mut out, voted.last_log_id.as_ref());
    out.put_u8(u8::from(voted.vote_granted));
    out.freeze()
}

pub(crate) fn decode_voted(mut bytes: Bytes) -> Result<Voted, RpcError> {
    expect(&mut bytes, VOTE)?;
    let vote = take_vote(&mut bytes)?;
    let last_log_id = take_log_id(&mut bytes)?;
    let vote_granted = take_flag(&mut bytes)?;
    no_more(&bytes)?;
    Ok(Voted {
        vote,
        vote_granted,
        last_log_id,
    })
}

pub(crate) fn encode_transferred() -> Bytes {
    begin(TRANSFER, 2).freeze()
}

pub(crate) fn decode_transferred(mut bytes: Bytes) -> Result<(), RpcError> {
    expect(&mut bytes, TRANSFER)?;
    no_more(&bytes)
}

const UNDER_WAY: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 3;

pub(crate) fn encode_taken(taken: &Taken) -> Bytes {
    let mut out = begin(OFFER, 64);
    match taken {
        Taken::UnderWay => out.put_u8(UNDER_WAY),
        Taken::Done => out.put_u8(DONE),
        Taken::HigherVote(vote) => {
            out.put_u8(HIGHER_VOTE);
            put_vote(&mut out, vote);
        }
        Taken::Failed(reason) => {
            out.put_u8(FAILED);
            put_text(&mut out, reason.as_bytes());
        }
    }
    out.freeze()
}

pub(crate) fn decode_taken(mut bytes: Bytes) -> Result<Taken, RpcError> {
    expect(&mut bytes, OFFER)?;
    let taken = match take_u8(&mut bytes)? {
        UNDER_WAY => Taken::UnderWay,
        DONE => Taken::Done,
        HIGHER_VOTE => Taken::HigherVote(take_vote(&mut bytes)?),
        FAILED => {
            let reason = take_text(&mut bytes)?;
            Taken::Failed(String::from_utf8_lossy(&reason).into_owned())
        }
        other => return Err(RpcError::Kind(other)),
    };
    no_more(&bytes)?;
    Ok(taken)
}

pub(crate) fn encode_history(has: bool) -> Bytes {
    let mut out = begin(HISTORY, 3);
    out.put_u8(u8::from(has));
    out.freeze()
}

pub(crate) fn decode_history(mut bytes: Bytes) -> Result<bool, RpcError> {
    expect(&mut bytes, HISTORY)?;
    let has = take_flag(&mut bytes)?;
    no_more(&bytes)?;
    Ok(has)
}

/// Cut off where it is too long: a reason may be.
fn put_text(out: &mut BytesMut, text: &[u8]) {
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    codec::put_count(out, text.len());
    out.put_slice(text);
}

fn take_text(bytes: &mut Bytes) -> Result<Bytes, RpcError> {
    let length = codec::take_count(bytes)?;
    if length > TEXT_BYTES_MAX || bytes.len() < length {
        return Err(RpcError::Invalid("a text is too long"));
    }
    Ok(bytes.split_to(length))
}

fn begin(kind: u8, capacity: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(capacity);
    out.put_u8(VERSION);
    out.put_u8(kind);
    out
}

fn take_kind(bytes: &mut Bytes) -> Result<u8, RpcError> {
    match take_u8(bytes)? {
        VERSION => Ok(take_u8(bytes)?),
        other => Err(RpcError::Version(other)),
    }
}

fn expect(bytes: &mut Bytes, kind: u8) -> Result<(), RpcError> {
    match take_kind(bytes)? {
        found if found == kind => Ok(()),
        other => Err(RpcError::Kind(other)),
    }
}

fn no_more(bytes: &Bytes) -> Result<(), RpcError> {
    match bytes.has_remaining() {
        false => Ok(()),
        true => Err(RpcError::Invalid("it is longer than it should be")),
    }
}

fn put_vote(out: &mut BytesMut, vote: &Vote) {
    out.put_u8(u8::from(vote.committed));
    out.put_u64_le(vote.leader_id.term);
    out.put_u64_le(vote.leader_id.voted_for);
}

fn take_vote(bytes: &mut Bytes) -> Result<Vote, RpcError> {
    let committed = take_flag(bytes)?;
    let term = take_u64(bytes)?;
    let node = take_u64(bytes)?;
    if term >= INDEX_MAX {
        return Err(RpcError::Invalid("a term is out of range"));
    }
    Ok(vote(term, node, committed))
}

fn put_log_id(out: &mut BytesMut, id: Option<&LogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        codec::put_log_id(out, id);
    }
}

fn take_log_id(bytes: &mut Bytes) -> Result<Option<LogId>, RpcError> {
    match take_flag(bytes)? {
        true => take_id(bytes).map(Some),
        false => Ok(None),
    }
}

fn take_id(bytes: &mut Bytes) -> Result<LogId, RpcError> {
    let (index, term) = (take_u64(bytes)?, take_u64(bytes)?);
    if index >= INDEX_MAX || term >= INDEX_MAX {
        return Err(RpcError::Invalid("a log id is out of range"));
    }
    Ok(log_id(index, term))
}

fn take_flag(bytes: &mut Bytes) -> Result<bool, RpcError> {
    match take_u8(bytes)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(RpcError::Invalid("a flag is neither 0 nor 1")),
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::types::Proposal;

    fn entry(index: u64, term: u64, bytes: &'static [u8]) -> Entry {
        Entry {
            log_id: log_id(index, term),
            payload: EntryPayload::Normal(Proposal(Bytes::from_static(bytes))),
        }
    }

    fn append() -> Append {
        Append {
            vote: vote(5, 2, true),
            prev_log_id: Some(log_id(7, 3)),
            entries: vec![entry(8, 3, b"ab"), entry(9, 5, b"c")],
            leader_commit: Some(log_id(6, 3)),
        }
    }

    fn offered() -> Offered {
        Offered {
            vote: vote(5, 2, true),
            last: log_id(7, 3),
            ticket: Bytes::from_static(b"t"),
        }
    }

    fn requests() -> [Bytes; 7] {
        let mut ask = AskVote::new(vote(6, 1, false), Some(log_id(9, 5)));
        ask.leadership_transfer = true;
        [
            encode_append(&append(), 4),
            encode_vote(&ask),
            encode_pre_vote(&AskVote::new(vote(6, 1, false), None)),
            encode_transfer(&Transfer::new(vote(5, 2, true), 1, Some(log_id(9, 5)))),
            encode_append(
                &Append {
                    prev_log_id: None,
                    entries: Vec::new(),
                    leader_commit: None,
                    ..append()
                },
                u64::MAX,
            ),
            encode_offer(&offered()),
            encode_history_question(),
        ]
    }

    fn again(request: &Request) -> Bytes {
        match request {
            Request::Append { append, keep_from } => encode_append(append, *keep_from),
            Request::Vote(ask) => encode_vote(ask),
            Request::PreVote(ask) => encode_pre_vote(ask),
            Request::Transfer(transfer) => encode_transfer(transfer),
            Request::Offer(offered) => encode_offer(offered),
            Request::History => encode_history_question(),
        }
    }

    #[test]
    fn requests_are_read_back_as_written() {
        for bytes in requests() {
            let read = decode_request(bytes.clone()).unwrap();
            assert_eq!(again(&read), bytes);
        }
        let read = decode_request(encode_append(&append(), 4)).unwrap();
        let Request::Append { append: read, .. } = read else {
            panic!("another kind: {read:?}")
        };
        assert_eq!(read.entries, append().entries);
    }

    #[test]
    fn answers_are_read_back_as_written() {
        let higher = Appended::HigherVote(vote(9, 3, false));
        for answer in [Appended::Success, Appended::Conflict, higher] {
            assert_eq!(decode_appended(encode_appended(&answer)), Ok(answer));
        }
        let voted = Voted {
            vote: vote(6, 1, false),
            vote_granted: true,
            last_log_id: Some(log_id(9, 5)),
        };
        assert_eq!(decode_voted(encode_voted(&voted)), Ok(voted));
        assert_eq!(decode_transferred(encode_transferred()), Ok(()));
        for taken in [
            Taken::UnderWay,
            Taken::Done,
            Taken::HigherVote(vote(9, 3, false)),
            Taken::Failed("no room".to_owned()),
        ] {
            assert_eq!(decode_taken(encode_taken(&taken)), Ok(taken));
        }
        for has in [false, true] {
            assert_eq!(decode_history(encode_history(has)), Ok(has));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format_page() {
        let mut expected = vec![1, 1];
        expected.extend(b"\x01\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        expected.extend(b"\x01\x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
        expected.extend(b"\x01\x06\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
        expected.extend(b"\x04\0\0\0\0\0\0\0\x02\0\0\0");
        expected.extend(b"\x0c\0\0\0\x01\x01\x03\0\0\0\0\0\0\0ab");
        expected.extend(b"\x0b\0\0\0\x01\x01\x05\0\0\0\0\0\0\0c");
        assert_eq!(&encode_append(&append(), 4)[..], &expected[..]);
        let ask = AskVote::new(vote(6, 1, false), None);
        let expected = b"\x01\x02\0\x06\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0";
        assert_eq!(&encode_vote(&ask)[..], expected);
        let expected = b"\x01\x05\x01\x05\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0t";
        assert_eq!(&encode_offer(&offered())[..], &expected[..]);
        assert_eq!(&encode_history_question()[..], b"\x01\x06");
        assert_eq!(
            &encode_taken(&Taken::Failed("x".into()))[..],
            b"\x01\x05\x03\x01\0\0\0x"
        );
        assert_eq!(&encode_history(true)[..], b"\x01\x06\x01");
    }

    #[test]
    fn hostile_bytes_are_refused() {
        for bytes in requests() {
            for length in 0..bytes.len() {
                assert!(decode_request(bytes.slice(..length)).is_err());
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(decode_request(longer.into()).is_err());
            // Any single byte changed: an error or another request, never a panic.
            for at in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut changed = bytes.to_vec();
                    changed[at] = value;
                    if let Ok(request) = decode_request(changed.into()) {
                        again(&request);
                    }
                }
            }
        }
        let of_the_future = Append {
            entries: vec![entry(8, 6, b"x")],
            ..append()
        };
        let going_back = Append {
            entries: vec![entry(8, 2, b"x")],
            ..append()
        };
        let no_leader = Append {
            vote: vote(5, 2, false),
            ..append()
        };
        for refused in [of_the_future, going_back, no_leader] {
            assert!(decode_request(encode_append(&refused, 0)).is_err());
        }
        assert_eq!(
            decode_request(Bytes::from_static(&[2, 1])).unwrap_err(),
            RpcError::Version(2)
        );
    }
}

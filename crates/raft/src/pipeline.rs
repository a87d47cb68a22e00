//! Sends entries to a member without waiting for the answers to those before.
//!
//! Invariants: answers come out in the order of the requests; the first that is not a success is the last; what is on its way
//! is bounded in number and bytes.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, Stream};
use openraft::EntryPayload;
use openraft::raft::StreamAppendResult;

use crate::network::{CallError, Peer};
use crate::rpc::{Append, Appended};
use crate::types::{LogId, TypeConfig};

/// Requests on their way: enough to fill the time of a sync and a way there and back at a thousand batches a second.
const REQUESTS_MAX: usize = 64;

/// Bytes on their way, except that one request may be larger: a few batches of the largest size, or a second of a fast network
/// for a member that catches up.
const BYTES_MAX: usize = 8 << 20;

type Answer = StreamAppendResult<TypeConfig>;

struct Answered {
    bytes: usize,
    answer: Result<Answer, CallError>,
}

pub(crate) struct Pipeline<'a, S> {
    peer: &'a Peer,
    input: S,
    /// No more requests will be sent.
    ended: bool,
    on_their_way: FuturesOrdered<BoxFuture<'static, Answered>>,
    bytes: usize,
}

impl<'a, S> Pipeline<'a, S> {
    pub fn new(peer: &'a Peer, input: S) -> Self {
        Self {
            peer,
            input,
            ended: false,
            on_their_way: FuturesOrdered::new(),
            bytes: 0,
        }
    }

    fn has_room(&self) -> bool {
        let few = self.on_their_way.len() < REQUESTS_MAX && self.bytes < BYTES_MAX;
        !self.ended && (few || self.on_their_way.is_empty())
    }

    fn send(&mut self, append: &Append) {
        let bytes = append.entries.iter().map(bytes_of).sum();
        let previous = append.prev_log_id;
        let last = append.entries.last().map(|entry| entry.log_id).or(previous);
        let answer = self.peer.append(append);
        self.bytes += bytes;
        let answered = answer.map(move |answer| Answered {
            bytes,
            answer: answer.and_then(|appended| answer_of(appended, previous, last)),
        });
        self.on_their_way.push_back(answered.boxed());
    }
}

fn bytes_of(entry: &crate::types::Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

fn answer_of(
    appended: Appended,
    previous: Option<LogId>,
    last: Option<LogId>,
) -> Result<Answer, CallError> {
    if previous.is_none() && appended.is_conflict() {
        // Nothing conflicts with the beginning of the log. Whoever says so is not to be trusted with anything.
        let error = crate::peers::PeerError::Refused("a conflict before the first entry".into());
        return Err(CallError::Unreachable(openraft::errors::Unreachable::new(
            &error,
        )));
    }
    Ok(appended.into_stream_result(previous, last))
}

impl<S: Stream<Item = Append> + Unpin> Stream for Pipeline<'_, S> {
    type Item = Result<Answer, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.has_room() {
            match Pin::new(&mut self.input).poll_next(context) {
                Poll::Ready(Some(append)) => self.send(&append),
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => break,
            }
        }
        match Pin::new(&mut self.on_their_way).poll_next(context) {
            Poll::Ready(Some(Answered { bytes, answer })) => {
                self.bytes -= bytes;
                if !matches!(answer, Ok(Ok(_))) {
                    self.ended = true;
                    self.on_their_way = FuturesOrdered::new();
                }
                Poll::Ready(Some(answer))
            }
            Poll::Ready(None) if self.ended => Poll::Ready(None),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

//! Wrappers for tests: a store that fails by plan, and one that takes notes.
//!
//! Deterministic: what fails depends only on the plan and on the order of calls.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};

use crate::{BlobError, BlobErrorKind, BlobMeta, BlobRef, BlobStore, PutOutcome, Result, Version};

/// Kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `get`, `get_range`, `get_versioned`.
    Get,
    /// `head`.
    Head,
    /// `put`.
    Put,
    /// `put_if_absent`.
    PutIfAbsent,
    /// `put_if_match`.
    PutIfMatch,
    /// `list`.
    List,
    /// `delete`.
    Delete,
}

/// What happens instead of, or after, the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is not carried out and fails with this kind.
    Refuse(BlobErrorKind),
    /// The call is carried out, but its answer is lost: the caller sees a timeout.
    LoseAnswer,
    /// The call never returns.
    Hang,
    /// The call is carried out after this (tokio) time.
    Slow(Duration),
}

/// Which calls fail.
#[derive(Clone, Debug)]
pub enum Plan {
    /// All work.
    None,
    /// The call of this number, counted from 0 over all operations.
    Nth(u64, Fault),
    /// The calls from this number on.
    From(u64, Fault),
    /// The first so many attempts of every pair of operation and path.
    FirstAttempts(u32, Fault),
    /// All calls of this operation.
    Every(Op, Fault),
}

#[derive(Debug)]
struct FaultState {
    plan: Plan,
    calls: u64,
    attempts: BTreeMap<(Op, String), u32>,
}

/// A store whose calls fail by plan.
#[derive(Debug)]
pub struct FaultyBlobStore {
    inner: BlobRef,
    state: Mutex<FaultState>,
}

impl FaultyBlobStore {
    /// Wrap `inner`.
    pub fn new(inner: BlobRef, plan: Plan) -> Self {
        let state = FaultState {
            plan,
            calls: 0,
            attempts: BTreeMap::new(),
        };
        Self {
            inner,
            state: Mutex::new(state),
        }
    }

    /// Change the plan; counting starts again.
    pub fn set_plan(&self, plan: Plan) {
        *lock(&self.state) = FaultState {
            plan,
            calls: 0,
            attempts: BTreeMap::new(),
        };
    }

    /// Calls since the plan was set.
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    fn next_fault(&self, op: Op, path: &str) -> Option<Fault> {
        let mut state = lock(&self.state);
        let number = state.calls;
        state.calls += 1;
        let attempts = state.attempts.entry((op, path.to_owned())).or_default();
        let attempt = *attempts;
        *attempts += 1;
        match &state.plan {
            Plan::Nth(n, fault) if number == *n => Some(fault.clone()),
            Plan::From(n, fault) if number >= *n => Some(fault.clone()),
            Plan::FirstAttempts(k, fault) if attempt < *k => Some(fault.clone()),
            Plan::Every(failing, fault) if *failing == op => Some(fault.clone()),
            _ => None,
        }
    }

    async fn run<T: Send>(
        &self,
        op: Op,
        path: &str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let error = |kind| BlobError::new(kind, &self.location(), path, "injected");
        match self.next_fault(op, path) {
            None => call.await,
            Some(Fault::Refuse(kind)) => Err(error(kind)),
            Some(Fault::LoseAnswer) => call.await.and_then(|_| Err(error(BlobErrorKind::Timeout))),
            Some(Fault::Hang) => future::pending().await,
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                call.await
            }
        }
    }
}

#[async_trait]
impl BlobStore for FaultyBlobStore {
    fn location(&self) -> String {
        self.inner.location()
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        self.run(Op::Get, path, self.inner.get(path)).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        self.run(Op::Get, path, self.inner.get_range(path, range))
            .await
    }

    async fn head(&self, path: &str) -> Result<BlobMeta> {
        self.run(Op::Head, path, self.inner.head(path)).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.run(Op::Put, path, self.inner.put(path, bytes)).await
    }

    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome> {
        self.run(Op::PutIfAbsent, path, self.inner.put_if_absent(path, bytes))
            .await
    }

    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)> {
        self.run(Op::Get, path, self.inner.get_versioned(path))
            .await
    }

    async fn put_if_match(&self, path: &str, bytes: Bytes, version: &Version) -> Result<()> {
        self.run(
            Op::PutIfMatch,
            path,
            self.inner.put_if_match(path, bytes, version),
        )
        .await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>> {
        let error = |kind| BlobError::new(kind, &self.location(), prefix, "injected");
        match self.next_fault(Op::List, prefix) {
            None => self.inner.list(prefix),
            Some(Fault::Refuse(kind)) => stream::iter([Err(error(kind))]).boxed(),
            Some(Fault::LoseAnswer) => stream::iter([Err(error(BlobErrorKind::Timeout))]).boxed(),
            Some(Fault::Hang) => stream::pending().boxed(),
            Some(Fault::Slow(time)) => {
                let listing = self.inner.list(prefix);
                stream::once(tokio::time::sleep(time))
                    .flat_map(move |()| stream::empty())
                    .chain(listing)
                    .boxed()
            }
        }
    }

    async fn delete(&self, paths: &[String]) -> Result<()> {
        let first = paths.first().map_or("", String::as_str);
        self.run(Op::Delete, first, self.inner.delete(paths)).await
    }
}

/// One call as noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The operation.
    pub op: Op,
    /// Its path or prefix; of a deletion the first path.
    pub path: String,
    /// Bytes given to be written.
    pub bytes: u64,
}

/// A store that notes every call.
#[derive(Debug)]
pub struct RecordingBlobStore {
    inner: BlobRef,
    calls: Mutex<Vec<Call>>,
}

impl RecordingBlobStore {
    /// Wrap `inner`.
    pub fn new(inner: BlobRef) -> Self {
        Self {
            inner,
            calls: Mutex::new(Vec::new()),
        }
    }

    /// The calls since the last time, in the order in which they were begun.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.calls))
    }

    /// Bytes given to be written since the last [`Self::take_calls`].
    pub fn bytes_written(&self) -> u64 {
        lock(&self.calls).iter().map(|call| call.bytes).sum()
    }

    fn note(&self, op: Op, path: &str, bytes: usize) {
        lock(&self.calls).push(Call {
            op,
            path: path.to_owned(),
            bytes: bytes as u64,
        });
    }
}

#[async_trait]
impl BlobStore for RecordingBlobStore {
    fn location(&self) -> String {
        self.inner.location()
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        self.note(Op::Get, path, 0);
        self.inner.get(path).await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        self.note(Op::Get, path, 0);
        self.inner.get_range(path, range).await
    }

    async fn head(&self, path: &str) -> Result<BlobMeta> {
        self.note(Op::Head, path, 0);
        self.inner.head(path).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.note(Op::Put, path, bytes.len());
        self.inner.put(path, bytes).await
    }

    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome> {
        self.note(Op::PutIfAbsent, path, bytes.len());
        self.inner.put_if_absent(path, bytes).await
    }

    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)> {
        self.note(Op::Get, path, 0);
        self.inner.get_versioned(path).await
    }

    async fn put_if_match(&self, path: &str, bytes: Bytes, version: &Version) -> Result<()> {
        self.note(Op::PutIfMatch, path, bytes.len());
        self.inner.put_if_match(path, bytes, version).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>> {
        self.note(Op::List, prefix, 0);
        self.inner.list(prefix)
    }

    async fn delete(&self, paths: &[String]) -> Result<()> {
        self.note(Op::Delete, paths.first().map_or("", String::as_str), 0);
        self.inner.delete(paths).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Who waits for jobs of which type, and who may try again when.
//!
//! A *pass* asks all partitions once for jobs of a type. A request makes its first pass when it arrives; if that gives no
//! jobs it is *parked*. A parked request makes another pass (a *repeat*) when there is news of its type: an announcement of a
//! broker, or another request that got as many jobs as it wanted, so that there may be more. Without news for the probe
//! timeout, one request of the type tries nonetheless.
//!
//! **Invariants**
//! - Between two pieces of news of a type at most `min_empty_responses` repeats run or come back empty (the probe's apart).
//!   So news costs the brokers a bounded number of commands, however many requests are parked.
//! - No news is lost: a pass that was running when news came, and came back empty, is repeated or else leaves as many
//!   repeats running as may run. Parking and news are ordered by one lock.
//! - A woken request either makes its pass or gives its turn to the next one.
//!
//! Deliberately less eager than Zeebe, which lets every parked request try on each piece of news: with many workers that
//! floods the brokers with commands that find nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::LongPollingConfig;

/// Who waits for jobs of which type.
#[derive(Debug)]
pub struct LongPolling {
    config: LongPollingConfig,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Types that some request is about at present.
    types: HashMap<String, Type>,
    /// Where the next type that is new begins its round of partitions.
    start: u32,
    last_id: u64,
}

#[derive(Debug)]
struct Type {
    /// Requests of the type, parked or not.
    requests: usize,
    /// Counts the pieces of news.
    news: u64,
    /// Passes that began after the latest news and came back empty.
    empty: u32,
    /// Repeats that have been allowed and have not ended.
    repeats: u32,
    /// Where the next pass begins its round of partitions.
    start: u32,
    /// When a pass of the type last ended, or news came.
    touched: Instant,
    /// Parked requests, the longest waiting first.
    parked: BTreeMap<u64, Arc<Notify>>,
}

/// The right and duty to make one pass; ends with [`LongPolling::end`].
#[derive(Debug)]
#[must_use = "a pass that is not ended blocks the passes of others"]
pub struct Pass {
    /// Where its round of partitions begins.
    pub start: u32,
    news: u64,
    repeat: bool,
}

/// A request that waits; ends with [`LongPolling::unpark`].
#[derive(Debug)]
#[must_use = "a parked request that is not taken out swallows the turns of others"]
pub struct Parked {
    /// Notified when the request may make a pass.
    pub wake: Arc<Notify>,
    id: u64,
}

/// What came of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// As many jobs as were wanted: there may be more.
    AllWanted,
    /// Some jobs, and then there were no more.
    Some,
    /// No job.
    Nothing,
    /// It was not made to its end.
    Abandoned,
}

/// What a request does after a pass without jobs.
#[derive(Debug)]
pub enum Next {
    /// There was news meanwhile.
    Repeat(Pass),
    /// Wait for news.
    Park(Parked),
}

impl LongPolling {
    pub fn new(config: LongPollingConfig) -> LongPolling {
        LongPolling {
            config,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the state whole, so a panic elsewhere in a holder does no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request arrives and makes its first pass. Ends with [`LongPolling::leave`].
    pub fn arrive(&self, job_type: &str) -> Pass {
        let inner = &mut *self.lock();
        if !inner.types.contains_key(job_type) {
            inner.start = inner.start.wrapping_add(1);
            let new = Type::new(inner.start);
            inner.types.insert(job_type.to_owned(), new);
        }
        let this = inner.types.get_mut(job_type).expect("it was just put in");
        this.requests += 1;
        this.pass(false)
    }

    /// A request is over.
    pub fn leave(&self, job_type: &str) {
        let inner = &mut *self.lock();
        let this = inner.of(job_type);
        this.requests -= 1;
        if this.requests == 0 {
            assert!(this.parked.is_empty(), "only requests are parked");
            inner.types.remove(job_type);
        }
    }

    /// A pass ends and its request does not wait.
    pub fn end(&self, job_type: &str, pass: Pass, found: Found) {
        let min_empty = self.min_empty();
        self.lock().of(job_type).end(&pass, found, min_empty);
    }

    /// A pass ends without jobs and its request waits for news.
    pub fn wait(&self, job_type: &str, pass: Pass) -> Next {
        let min_empty = self.min_empty();
        let inner = &mut *self.lock();
        inner.last_id += 1;
        let id = inner.last_id;
        let this = inner.of(job_type);
        let missed_news = pass.news != this.news;
        this.end(&pass, Found::Nothing, min_empty);
        if missed_news && this.may_repeat(min_empty) {
            this.repeats += 1;
            return Next::Repeat(this.pass(true));
        }
        let wake = Arc::new(Notify::new());
        this.parked.insert(id, wake.clone());
        Next::Park(Parked { wake, id })
    }

    /// A request stops waiting, for whatever reason. Gives the pass that it was woken for, if it was.
    pub fn unpark(&self, job_type: &str, parked: Parked) -> Option<Pass> {
        let inner = &mut *self.lock();
        let this = inner.of(job_type);
        let woken = this.parked.remove(&parked.id).is_none();
        woken.then(|| this.pass(true))
    }

    /// A broker announces jobs of a type.
    pub fn announce(&self, job_type: &str) {
        let min_empty = self.min_empty();
        if let Some(this) = self.lock().types.get_mut(job_type) {
            this.news();
            this.wake(1, min_empty);
        }
    }

    /// Announcements were missed, so there may be jobs of any type.
    pub fn announce_all(&self) {
        let min_empty = self.min_empty();
        for this in self.lock().types.values_mut() {
            this.news();
            this.wake(1, min_empty);
        }
    }

    /// Lets one request try of each type that has been silent for the probe timeout.
    pub fn probe(&self) {
        let now = Instant::now();
        for this in self.lock().types.values_mut() {
            if now.duration_since(this.touched) >= self.config.probe_timeout {
                this.touched = now;
                this.wake_first();
            }
        }
    }

    /// At least one pass is allowed, or news would be of no use.
    fn min_empty(&self) -> u32 {
        self.config.min_empty_responses.max(1)
    }
}

impl Inner {
    fn of(&mut self, job_type: &str) -> &mut Type {
        self.types
            .get_mut(job_type)
            .expect("a type stays as long as it has requests")
    }
}

impl Type {
    fn new(start: u32) -> Type {
        Type {
            requests: 0,
            news: 0,
            empty: 0,
            repeats: 0,
            start,
            touched: Instant::now(),
            parked: BTreeMap::new(),
        }
    }

    fn pass(&mut self, repeat: bool) -> Pass {
        let start = self.start;
        self.start = self.start.wrapping_add(1);
        Pass {
            start,
            news: self.news,
            repeat,
        }
    }

    fn news(&mut self) {
        self.news += 1;
        self.empty = 0;
        self.touched = Instant::now();
    }

    fn may_repeat(&self, min_empty: u32) -> bool {
        self.empty + self.repeats < min_empty
    }

    fn end(&mut self, pass: &Pass, found: Found, min_empty: u32) {
        self.touched = Instant::now();
        if pass.repeat {
            self.repeats -= 1;
        }
        match found {
            Found::AllWanted => {
                self.news();
                self.wake(min_empty, min_empty);
            }
            Found::Some => self.empty = 0,
            Found::Nothing => {
                if pass.news == self.news {
                    self.empty = self.empty.saturating_add(1);
                }
                // Perhaps this pass met a partition between two leaders; the next one may fare better.
                if pass.repeat {
                    self.wake(1, min_empty);
                }
            }
            Found::Abandoned => {
                if pass.repeat {
                    self.wake(1, min_empty);
                }
            }
        }
    }

    /// Wakes up to `count` requests, as far as they may repeat.
    fn wake(&mut self, count: u32, min_empty: u32) {
        for _ in 0..count {
            if !self.may_repeat(min_empty) || !self.wake_first() {
                return;
            }
        }
    }

    /// Wakes the request that waits longest, if there is one.
    fn wake_first(&mut self) -> bool {
        match self.parked.pop_first() {
            Some((_, wake)) => {
                self.repeats += 1;
                wake.notify_one();
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;

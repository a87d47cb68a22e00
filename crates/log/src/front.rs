//! What the caller of a group has asked for, durable or not, with the recent entries.
//!
//! Invariant: entries that are not durable are in the cache, which is always the end of the log.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::Damage;

/// What the caller of a group sees.
#[derive(Default)]
pub(crate) struct Front {
    pub first: u64,
    pub next: u64,
    /// The entries up to `next`, each with the ticket of its append.
    cache: VecDeque<(u64, Bytes)>,
    cache_bytes: usize,
    pub durable_ticket: u64,
    pub meta: Option<Bytes>,
    pub damage: Option<Box<Damage>>,
}

impl Front {
    pub fn with_damage(damage: Option<Box<Damage>>) -> Self {
        Self {
            damage,
            ..Self::default()
        }
    }

    pub fn push(&mut self, ticket: u64, payload: Bytes) {
        self.next += 1;
        self.cache_bytes += payload.len();
        self.cache.push_back((ticket, payload));
    }

    fn pop_cache_front(&mut self) {
        if let Some((_, bytes)) = self.cache.pop_front() {
            self.cache_bytes -= bytes.len();
        }
    }

    /// Drops the oldest durable entries from memory until at most `bytes_max` are left.
    pub fn evict(&mut self, bytes_max: usize) {
        while self.cache_bytes > bytes_max
            && self
                .cache
                .front()
                .is_some_and(|(ticket, _)| *ticket <= self.durable_ticket)
        {
            self.pop_cache_front();
        }
    }

    pub fn truncate(&mut self, index: u64) {
        while self.next > index {
            self.next -= 1;
            if let Some((_, bytes)) = self.cache.pop_back() {
                self.cache_bytes -= bytes.len();
            }
        }
    }

    pub fn purge(&mut self, index: u64) {
        self.first = self.first.max(index);
        self.next = self.next.max(index);
        while self.next - (self.cache.len() as u64) < self.first && !self.cache.is_empty() {
            self.pop_cache_front();
        }
    }

    /// Entries before this index are durable.
    pub fn durable_next(&self) -> u64 {
        let waits = |(ticket, _): &&(u64, Bytes)| *ticket > self.durable_ticket;
        self.next - self.cache.iter().rev().take_while(waits).count() as u64
    }

    pub fn cached(&self, index: u64) -> Option<&Bytes> {
        let from = self.next - self.cache.len() as u64;
        let at = usize::try_from(index.checked_sub(from)?).ok()?;
        self.cache.get(at).map(|(_, bytes)| bytes)
    }
}

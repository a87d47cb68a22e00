//! Measures how long a layer waits for its write-back while the store is compacted:
//! `stall <directory> <MB loaded> <MB per second> <seconds>`. Figures: `docs/store.md`.
//!
//! Layers come as a leader freezes them, at a fixed rate whether the store keeps up or not. What waits is what counts: a leader
//! stops processing when 128 MiB do.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_state::{FlushTicket, Op, Overlay, StateError, Store};
use skep_store::{Compact, PartitionStore, StoreOptions, WriteBack};

use crate::content::{Numbers, PAIR_BYTES, key, load, memory, value};

mod content;

/// A leader freezes its layer at this size, unless one is being written back.
const LAYER_BYTES: usize = 24 << 20;
/// Pairs that are applied at once.
const PAIRS_AT_ONCE: u64 = 200;

/// A layer that is in the store, and when it was handed over.
type Flushed = (FlushTicket, Instant);

/// The overlay of a leader that does nothing but write.
struct Leader {
    overlay: Overlay,
    store: Arc<dyn Compact>,
    write_back: WriteBack,
    flushed: (mpsc::Sender<Flushed>, mpsc::Receiver<Flushed>),
    numbers: Numbers,
    count: u64,
    waits: Vec<Duration>,
    unflushed_max: usize,
}

impl Leader {
    /// New entities, changes and deletions, as [`content::batch`] has them.
    fn write(&mut self) -> usize {
        let mut bytes = 0;
        let mut writes = Vec::new();
        for _ in 0..PAIRS_AT_ONCE {
            let kind = self.numbers.next() % 100;
            let number = if kind < 70 {
                self.count += 1;
                self.count
            } else {
                self.numbers.next() % self.count
            };
            let op = match kind {
                0..85 => Op::Put(value(number, kind).into()),
                _ => Op::Delete,
            };
            let key = Bytes::from(key(number));
            bytes += key.len() + op.value().map_or(0, Bytes::len);
            writes.push((key, op));
        }
        self.overlay.apply(writes);
        bytes
    }

    fn take_flushed(&mut self) {
        while let Ok((ticket, submitted)) = self.flushed.1.try_recv() {
            self.overlay.flushed(&ticket);
            self.waits.push(submitted.elapsed());
        }
    }

    fn freeze_if_full(&mut self) -> Result<(), Box<dyn Error>> {
        self.unflushed_max = self.unflushed_max.max(self.overlay.unflushed_bytes());
        if self.overlay.active_bytes() < LAYER_BYTES || self.overlay.frozen_layers() > 0 {
            return Ok(());
        }
        let ticket = self.overlay.rotate(Bytes::from_static(b"meta"));
        let (done, flushed) = (self.flushed.0.clone(), ticket.clone());
        let submitted = Instant::now();
        let answer = Box::new(move |result: Result<(), StateError>| match result {
            // The receiver lives as long as the leader.
            Ok(()) => drop(done.send((flushed, submitted))),
            Err(error) => eprintln!("{error}"),
        });
        Ok(self.write_back.submit(&self.store, ticket, answer)?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, loaded, rate, seconds] = arguments.as_slice() else {
        return Err("usage: stall <directory> <MB loaded> <MB per second> <seconds>".into());
    };
    let (directory, options) = (Path::new(directory), StoreOptions::default());
    let count = loaded.parse::<u64>()? * 1_000_000 / PAIR_BYTES;
    load(directory, &options, count)?;
    let store = Arc::new(PartitionStore::open(directory, &options)?);
    let mut leader = Leader {
        overlay: Overlay::new(Arc::clone(&store) as Arc<dyn Store>),
        store,
        write_back: WriteBack::spawn()?,
        flushed: mpsc::channel(),
        numbers: Numbers(1),
        count,
        waits: Vec::new(),
        unflushed_max: 0,
    };
    let rate = rate.parse::<f64>()? * 1e6;
    let (begin, time) = (Instant::now(), Duration::from_secs(seconds.parse()?));
    let mut written = 0;
    while begin.elapsed() < time {
        let due = begin.elapsed().as_secs_f64() * rate;
        if written as f64 >= due {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            written += leader.write();
        }
        leader.take_flushed();
        leader.freeze_if_full()?;
    }
    leader.waits.sort();
    println!(
        "{} MB in {} layers: waited p50 {:.0?}, max {:.0?}; at most {} MiB waited; {}",
        written / 1_000_000,
        leader.waits.len(),
        leader
            .waits
            .get(leader.waits.len() / 2)
            .copied()
            .unwrap_or_default(),
        leader.waits.last().copied().unwrap_or_default(),
        leader.unflushed_max >> 20,
        memory()
    );
    Ok(())
}

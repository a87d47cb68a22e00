//! Measures a store under the load of a write-back: `load <directory> <MB loaded> <batches>`. Figures and method: `docs/store.md`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_state::{KeyRange, Read, StateError, Store, Visit};
use skep_store::{Compact, PartitionStore, StoreOptions};

use crate::content::{Numbers, PAIR_BYTES, batch, figure, key, load, memory};

mod content;

fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

fn scan(from: &dyn Read, name: &str) -> Result<(), StateError> {
    let (start, mut pairs, mut bytes) = (Instant::now(), 0, 0);
    from.scan(KeyRange::ALL, &mut |key, value| {
        pairs += 1;
        bytes += (key.len() + value.len()) as u64;
        Visit::Next
    })?;
    println!(
        "{name}: {pairs} pairs, {:.0} MB/s",
        rate(bytes, start.elapsed())
    );
    Ok(())
}

fn write(store: &Arc<PartitionStore>, mut count: u64, batches: u64) -> Result<u64, Box<dyn Error>> {
    let mut numbers = Numbers(1);
    let (mut times, mut bytes) = (Vec::new(), 0);
    let written = figure("io", "write_bytes:");
    let snapshot = store.snapshot()?;
    let mut reader = None;
    for generation in 1..=batches {
        let (batch, size) = batch(&mut numbers, &mut count, generation);
        let start = Instant::now();
        let mut writes = batch
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()));
        store.write(&mut writes, &Bytes::from_static(b"meta"))?;
        times.push(start.elapsed());
        bytes += size;
        while store.compact()? {}
        if generation == batches / 4 {
            let snapshot = Arc::clone(&snapshot);
            reader = Some(std::thread::spawn(move || {
                scan(&*snapshot, "snapshot beside batches")
            }));
        }
    }
    if let Some(Ok(outcome)) = reader.map(std::thread::JoinHandle::join) {
        outcome?;
    }
    let written = figure("io", "write_bytes:") - written;
    times.sort();
    println!(
        "{batches} batches, {} MB: p50 {:.0?}, max {:.0?} without compaction; {:.2} bytes written per byte; {}",
        bytes / 1_000_000,
        times.get(times.len() / 2).copied().unwrap_or_default(),
        times.last().copied().unwrap_or_default(),
        written as f64 / bytes as f64,
        memory()
    );
    Ok(count)
}

fn reads(store: &PartitionStore, count: u64) -> Result<(), StateError> {
    let mut numbers = Numbers(2);
    for (name, suffix) in [("present", ""), ("absent", "!")] {
        let mut times = Vec::new();
        for _ in 0..50_000 {
            let mut key = key(numbers.next() % count);
            key.extend_from_slice(suffix.as_bytes());
            let start = Instant::now();
            std::hint::black_box(store.get(&key)?);
            times.push(start.elapsed());
        }
        times.sort();
        println!(
            "get {name}: p50 {:.1?}, p99 {:.1?}",
            times[25_000], times[49_500]
        );
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, megabytes, batches] = arguments.as_slice() else {
        return Err("usage: load <directory> <MB loaded> <batches>".into());
    };
    let (directory, options) = (Path::new(directory), StoreOptions::default());
    let count = megabytes.parse::<u64>()? * 1_000_000 / PAIR_BYTES;
    println!("start: {}", memory());
    load(directory, &options, count)?;
    let start = Instant::now();
    let store = Arc::new(PartitionStore::open(directory, &options)?);
    println!("open: {:.1?}; {}", start.elapsed(), memory());
    scan(&*store, "scan")?;
    let count = write(&store, count, batches.parse()?)?;
    reads(&store, count)?;
    scan(&*store, "scan")?;
    println!("{:?}; {}", store.stats(), memory());
    drop(store);
    let start = Instant::now();
    let store = PartitionStore::open(directory, &options)?;
    println!(
        "open again: {:.1?}, {} tables",
        start.elapsed(),
        store.stats().tables
    );
    Ok(())
}

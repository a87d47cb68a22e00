//! Measures a store under the load of a write-back: `load <directory> <MB loaded> <batches>`. Figures and method: `docs/store.md`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_state::{KeyRange, Read, StateError, Store, Visit};
use skep_store::{Compact, PartitionStore, StoreOptions};

const TABLES: u64 = 8;
const PAIR_BYTES: u64 = 325;

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

fn key(number: u64) -> Vec<u8> {
    let hash = mix(number + 77);
    let mut key = vec![1 + (number % TABLES) as u8];
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&hash.to_be_bytes());
    key.extend((0..hash % 24).map(|at| b'a' + ((hash >> at) % 26) as u8));
    key
}

fn value(number: u64, generation: u64) -> Vec<u8> {
    let mut numbers = Numbers(number * 31 + generation);
    let length = 100 + (numbers.next() % 401) as usize;
    let mut value = Vec::with_capacity(length + 50);
    while value.len() < length {
        let field = format!(
            "{{\"orderId\":{},\"state\":\"ACTIVATED\"}},",
            numbers.next()
        );
        value.extend_from_slice(field.as_bytes());
    }
    value.truncate(length);
    value
}

type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn batch(numbers: &mut Numbers, count: &mut u64, generation: u64) -> (Batch, u64) {
    let size = (5 << 20) + numbers.next() % (25 << 20);
    let (mut batch, mut bytes) = (Batch::new(), 0);
    while bytes < size {
        let kind = numbers.next() % 100;
        let number = if kind < 70 {
            *count += 1;
            *count
        } else {
            numbers.next() % *count
        };
        let value = (kind < 85).then(|| value(number, generation));
        let key = key(number);
        bytes += (key.len() + value.as_ref().map_or(0, Vec::len)) as u64;
        batch.insert(key, value);
    }
    (batch, bytes)
}

/// A figure of a file in `/proc/self`.
fn figure(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

fn memory() -> String {
    let [peak, now] = ["VmHWM:", "VmRSS:"].map(|name| figure("status", name) / 1024);
    // From here on the peak is counted anew.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    format!("memory {now} MiB, peak {peak} MiB (counted anew: {reset})")
}

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

fn load(directory: &Path, options: &StoreOptions, count: u64) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut load = PartitionStore::bulk_load(directory, options)?;
    let mut bytes = 0;
    for table in 0..TABLES {
        for number in (table..count).step_by(TABLES as usize) {
            let (key, value) = (key(number), value(number, 0));
            bytes += (key.len() + value.len()) as u64;
            load.write_sorted(&mut [(key.as_slice(), value.as_slice())].into_iter())?;
        }
    }
    load.finish(&Bytes::from_static(b"meta"))?;
    let time = start.elapsed();
    println!(
        "load of {} MB with making it: {time:.2?}; {}",
        bytes / 1_000_000,
        memory()
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

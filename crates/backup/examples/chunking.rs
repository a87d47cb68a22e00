//! Measure a backup of workflow-like pairs into a directory: first, unchanged, and after 1 % of changes; and a restore.
//!
//! `cargo run --release -p skep-backup --example chunking -- DIRECTORY [MEGABYTES]`

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use skep_backup::*;
use skep_blob::{BlobRef, LocalBlobStore};

type Failure = Box<dyn std::error::Error>;

struct Pairs(BTreeMap<[u8; 17], Vec<u8>>);

impl Content for Pairs {
    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> Visit,
    ) -> Result<(), ContentError> {
        let mut start = [0; 17];
        let len = from.len().min(17);
        start[..len].copy_from_slice(&from[..len]);
        for (key, value) in self.0.range((Bound::Included(start), Bound::Unbounded)) {
            if visit(key, value) == Visit::Stop {
                break;
            }
        }
        Ok(())
    }
}

struct Count(u64);

impl RestoreSink for Count {
    fn write(&mut self, pairs: &chunk::PairRun) -> Result<(), SinkError> {
        self.0 += pairs.content_bytes();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

struct Silent;

impl Progress for Silent {
    fn begin(&self, _: PartitionId, _: u64, _: u64) {}
    fn advance(&self, _: PartitionId, _: u64, _: u64) {}
}

/// A stand-in for a table prefix, a scope key and a variable key.
fn key(n: u64) -> [u8; 17] {
    let mut key = [3; 17];
    key[1..9].copy_from_slice(&(2_251_799_813_685_248 + n / 5 * 37).to_be_bytes());
    key[9..].copy_from_slice(&(n % 5 * 11 + n).to_be_bytes());
    key
}

/// JSON of 100 to 500 bytes, about as repetitive as variables of processes are.
fn value(n: u64, round: u64) -> Vec<u8> {
    let random = (n + round * 7_919 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let random = random ^ random >> 29;
    let mut text = format!(
        "{{\"orderId\":\"{random:016x}\",\"customer\":{{\"id\":{},\"name\":\"Customer {}\",\"tier\":\"gold\"}},\"amount\":{}.{:02},\"items\":[",
        random % 100_000,
        random % 9_973,
        random % 5_000,
        random % 100
    );
    for item in 0..random % 7 {
        let sku = (random ^ item).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        text.push_str(&format!(
            "{{\"sku\":\"{sku:012x}\",\"quantity\":{},\"open\":true}},",
            sku % 10
        ));
    }
    text.push_str("null]}");
    text.into_bytes()
}

fn generate(megabytes: u64) -> Pairs {
    let (mut pairs, mut bytes) = (BTreeMap::new(), 0);
    for n in 0.. {
        let value = value(n, 0);
        bytes += 17 + value.len() as u64;
        pairs.insert(key(n), value);
        if bytes >= megabytes * 1_000_000 {
            println!(
                "{} pairs, {} MB, mean value {} bytes",
                n + 1,
                bytes / 1_000_000,
                bytes / (n + 1) - 17
            );
            break;
        }
    }
    Pairs(pairs)
}

fn request(backup: u64, content: &Arc<Pairs>, base: Option<BaseBackup>) -> UploadRequest {
    UploadRequest {
        identity: PartitionIdentity {
            cluster_id: "bench".into(),
            backup_id: BackupId(backup),
            partition: PartitionId(1),
            partition_count: 1,
            state_version: 1,
            broker_version: env!("CARGO_PKG_VERSION").into(),
            node_id: 0,
            checkpoint_position: backup,
            epoch: 1,
            snapshot_id: None,
        },
        content: Arc::clone(content) as Arc<dyn Content>,
        base: base.map_or(Base::None, Base::Given),
        checkpoint_time_ms: 0,
        now_ms: Arc::new(|| 0),
        cancel: Cancel::new(),
    }
}

async fn back_up(
    store: &BlobRef,
    name: &str,
    backup: u64,
    content: &Arc<Pairs>,
    base: Option<BaseBackup>,
) -> Result<(PartitionManifest, ChunkIndex), Failure> {
    let begin = Instant::now();
    let request = request(backup, content, base);
    let options = UploadOptions::default();
    let draft = upload_chunks(store, &request, &options).await?;
    let (index, stats) = (draft.index(), draft.stats);
    let manifest = publish(store, draft, &options, &request.cancel).await?;
    println!(
        "{name}: {:.2} s, {} chunks, read {} MB, uploaded {} chunks ({} as patches), {:.1} MB",
        begin.elapsed().as_secs_f64(),
        manifest.chunks.len(),
        stats.plan.bytes_read / 1_000_000,
        stats.chunks_uploaded,
        stats.patches_uploaded,
        stats.bytes_uploaded as f64 / 1e6
    );
    Ok((manifest, index))
}

/// Seconds that this thread has run on a core, so that figures hold on a busy machine too. Linux only.
fn cpu_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text
        .split(' ')
        .next()
        .ok_or("unexpected schedstat")?
        .parse()?;
    Ok(nanoseconds / 1e9)
}

/// On one thread, without a store.
fn measure_core(content: &Pairs) -> Result<(), Failure> {
    let begin = cpu_seconds()?;
    let mut encodings = Vec::new();
    let stats = plan_chunks(content, None, &mut |planned| {
        if let PlannedContent::Read(encoding) = planned.content {
            encodings.push(encoding);
        }
        Visit::Continue
    })?;
    let rate = |seconds: f64| stats.bytes_read as f64 / 1e6 / seconds;
    println!(
        "scan, cut, encode, hash: {:.0} MB/s",
        rate(cpu_seconds()? - begin)
    );
    for level in [1, 3] {
        let begin = cpu_seconds()?;
        let mut stored = 0;
        for encoding in &encodings {
            stored += chunk::compress(encoding, level)?.0.len();
        }
        let seconds = cpu_seconds()? - begin;
        println!(
            "zstd {level}: {:.0} MB/s, ratio {:.2}",
            rate(seconds),
            stats.bytes_read as f64 / stored as f64
        );
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let directory = args.next().ok_or("usage: bench DIRECTORY [MEGABYTES]")?;
    let megabytes = args.next().map_or(Ok(1_000), |text| text.parse())?;
    let mut pairs = generate(megabytes);
    measure_core(&pairs)?;
    let store: BlobRef = Arc::new(LocalBlobStore::open(Path::new(&directory))?);
    let content = Arc::new(pairs);
    let (_, index) = back_up(&store, "first", 1, &content, None).await?;
    let index = Arc::new(index);
    let base = |backup, dirty| {
        Some(BaseBackup {
            backup_id: BackupId(backup),
            dirty: Arc::new(dirty),
        })
    };
    back_up(
        &store,
        "unchanged",
        2,
        &content,
        base(1, DirtyChunks::clean(Arc::clone(&index))),
    )
    .await?;
    back_up(
        &store,
        "unchanged, notes lost",
        3,
        &content,
        base(1, DirtyChunks::all(Arc::clone(&index))),
    )
    .await?;
    pairs = Arc::into_inner(content).ok_or("the content is still being read")?;
    let count = pairs.0.len() as u64;
    let mut dirty = DirtyChunks::clean(Arc::clone(&index));
    // The newest 1 %, as in a workflow where old instances wait.
    for n in count - count / 100..count {
        pairs.0.insert(key(n), value(n, 1));
        dirty.mark(&key(n));
    }
    let content = Arc::new(pairs);
    let request_base = base(1, dirty);
    let (_, index) = back_up(&store, "1 % changed, together", 4, &content, request_base).await?;
    let mut dirty = DirtyChunks::clean(Arc::new(index));
    pairs = Arc::into_inner(content).ok_or("the content is still being read")?;
    for n in (0..count).step_by(100) {
        pairs.0.insert(key(n), value(n, 2));
        dirty.mark(&key(n));
    }
    let content = Arc::new(pairs);
    let (last, _) = back_up(
        &store,
        "1 % changed, spread evenly",
        5,
        &content,
        base(4, dirty),
    )
    .await?;
    let begin = Instant::now();
    restore_partition(
        &store,
        &last,
        Box::new(Count(0)),
        &Silent,
        &RestoreOptions::default(),
    )
    .await?;
    println!(
        "restore into nothing: {:.2} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

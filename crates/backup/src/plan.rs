//! The chunks of a content, reading no more than needed.
//!
//! Invariant: with or without [`DirtyChunks`] the chunks are the same, bit for bit. Without, all is read. With, clean
//! chunks are taken from the index; a dirty run is read from the start of its first chunk, where the state of the
//! cutter is known (a chunk begins there), until a cut falls on the first key of a clean chunk of the
//! index: from there on everything repeats itself up to the next dirty chunk.

use bytes::Bytes;

use crate::chunk::{ChunkBuilder, ChunkInfo, Cutter, EncodedChunk, RootHash, RootHasher};
use crate::content::{Content, ContentError, Visit};
use crate::dirty::DirtyChunks;
use crate::limits::PAIR_BYTES_MAX;

/// A chunk of the content.
#[derive(Clone, Debug)]
pub struct PlannedChunk {
    /// Its name and sizes.
    pub info: ChunkInfo,
    /// Where its bytes are.
    pub content: PlannedContent,
    /// The slot of the index that has the same range of keys: the same chunk, earlier.
    pub slot: Option<usize>,
}

/// Whether the chunk was read.
#[derive(Clone, Debug)]
pub enum PlannedContent {
    /// As in the earlier backup; not read.
    Unchanged,
    /// Read; its canonical encoding.
    Read(Bytes),
}

/// What planning has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanStats {
    /// Chunks taken over from the index.
    pub chunks_unchanged: u64,
    /// Chunks read.
    pub chunks_read: u64,
    /// Bytes of their canonical encodings.
    pub bytes_read: u64,
}

/// Give every chunk of `content` to `emit`, in order, until it says stop. Blocking.
///
/// `dirty` holds what was written between the checkpoint of its index and that of `content`.
pub fn plan_chunks(
    content: &dyn Content,
    dirty: Option<&DirtyChunks>,
    emit: &mut dyn FnMut(PlannedChunk) -> Visit,
) -> Result<PlanStats, ContentError> {
    let mut stats = PlanStats::default();
    let slots = dirty.map_or(0, |dirty| dirty.index().chunks().len());
    let mut slot = 0;
    while let Some(dirty) = dirty.filter(|_| slot < slots) {
        let visit = if dirty.is_dirty(slot) {
            let read = read_run(content, Some((dirty, slot)), emit, &mut stats)?;
            slot = read.next_slot;
            read.visit
        } else {
            stats.chunks_unchanged += 1;
            let unchanged = PlannedChunk {
                info: dirty.index().chunks()[slot].clone(),
                content: PlannedContent::Unchanged,
                slot: Some(slot),
            };
            slot += 1;
            emit(unchanged)
        };
        if visit == Visit::Stop {
            return Ok(stats);
        }
    }
    if slots == 0 {
        read_run(content, None, emit, &mut stats)?;
    }
    Ok(stats)
}

/// Hash over all chunks.
pub fn root_hash<'a>(chunks: impl IntoIterator<Item = &'a ChunkInfo>) -> RootHash {
    let mut hasher = RootHasher::new();
    chunks.into_iter().for_each(|chunk| hasher.add(chunk));
    hasher.finish()
}

/// Read one chunk of the content again, whose info is known.
pub(crate) fn read_chunk(content: &dyn Content, info: &ChunkInfo) -> Result<Bytes, ContentError> {
    let mut left = info.pairs;
    let mut builder = ChunkBuilder::default();
    content.scan(&info.first_key, &mut |key, value| {
        if left == 0 || key.len() + value.len() > PAIR_BYTES_MAX {
            return Visit::Stop;
        }
        left -= 1;
        builder.push(key, value);
        if left == 0 {
            Visit::Stop
        } else {
            Visit::Continue
        }
    })?;
    match builder.finish() {
        Some(chunk) if chunk.info == *info => Ok(chunk.encoding),
        _ => Err(unnoted(info)),
    }
}

/// A chunk has changed though nothing says so: better no backup than a wrong one.
pub(crate) fn unnoted(info: &ChunkInfo) -> ContentError {
    let detail = format!(
        "the chunk that begins at key {:x?} was taken as unchanged but has changed: writes were not noted",
        info.first_key
    );
    ContentError { detail }
}

struct ReadRun {
    visit: Visit,
    /// The clean slot to go on with; the number of slots at the end of the content.
    next_slot: usize,
}

/// Read from the start of a dirty slot (or of everything) to the next clean one (or to the end).
fn read_run(
    content: &dyn Content,
    dirty: Option<(&DirtyChunks, usize)>,
    emit: &mut dyn FnMut(PlannedChunk) -> Visit,
    stats: &mut PlanStats,
) -> Result<ReadRun, ContentError> {
    let slots = dirty.map_or(0, |(dirty, _)| dirty.index().chunks().len());
    let from = dirty.map_or(&[][..], |(dirty, slot)| dirty.index().begin(slot));
    let mut candidate = dirty.map_or(0, |(_, slot)| slot + 1);
    let (mut cutter, mut builder) = (Cutter::default(), ChunkBuilder::default());
    let mut run = ReadRun {
        visit: Visit::Continue,
        next_slot: slots,
    };
    let mut too_long = None;
    content.scan(from, &mut |key, value| {
        if key.len() + value.len() > PAIR_BYTES_MAX {
            too_long = Some(pair_too_long(key, value));
            return Visit::Stop;
        }
        if cutter.begins_chunk(key, value) {
            run.visit = emit_read(&mut builder, dirty, Some(key), emit, stats);
            if run.visit == Visit::Stop {
                return Visit::Stop;
            }
            if let Some((dirty, _)) = dirty {
                let first_key = |slot| dirty.index().first_key(slot);
                while first_key(candidate).is_some_and(|first| first < key) {
                    candidate += 1;
                }
                if first_key(candidate) == Some(key) && !dirty.is_dirty(candidate) {
                    run.next_slot = candidate;
                    return Visit::Stop;
                }
            }
        }
        builder.push(key, value);
        Visit::Continue
    })?;
    if let Some(e) = too_long {
        return Err(e);
    }
    if run.visit == Visit::Continue {
        run.visit = emit_read(&mut builder, dirty, None, emit, stats);
    }
    Ok(run)
}

/// The chunk that is complete; `next` is the first key of the one after.
fn emit_read(
    builder: &mut ChunkBuilder,
    dirty: Option<(&DirtyChunks, usize)>,
    next: Option<&[u8]>,
    emit: &mut dyn FnMut(PlannedChunk) -> Visit,
    stats: &mut PlanStats,
) -> Visit {
    let Some(EncodedChunk { info, encoding }) = builder.finish() else {
        return Visit::Continue;
    };
    stats.chunks_read += 1;
    stats.bytes_read += info.raw_bytes;
    let slot = dirty.and_then(|(dirty, _)| dirty.index().slot_spanning(&info.first_key, next));
    emit(PlannedChunk {
        info,
        content: PlannedContent::Read(encoding),
        slot,
    })
}

pub(crate) fn pair_too_long(key: &[u8], value: &[u8]) -> ContentError {
    let bytes = key.len() + value.len();
    let shown = &key[..key.len().min(32)];
    ContentError {
        detail: format!(
            "the pair at key {shown:x?} has {bytes} bytes; the longest that can be backed up is {PAIR_BYTES_MAX}"
        ),
    }
}

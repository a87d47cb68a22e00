//! Reads the segments at start and finds out what is durable: `docs/formats/log.md` says how a
//! torn tail is told from damage.
//!
//! Invariant: nothing is written here but removals of leftovers; the scan itself only reads.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Damage, LogError};
use crate::files::FileSystem;
use crate::frame::{self, BatchHeader, FrameError, SegmentHeaderError};
use crate::ledger::{Ledger, Position};
use crate::segments::{self, Segment};
use crate::{GroupId, LogOptions};

/// What opening the store found.
#[derive(Debug, Clone, Default)]
pub struct RecoveryReport {
    pub segments: usize,
    pub batches: u64,
    /// A batch that was under way when the node stopped, and was dropped.
    pub torn_tail: Option<TornTail>,
    /// Groups that can't go on, each with the reason.
    pub damaged: Vec<Damage>,
    /// Frames were lost that can't be attributed, so that groups of which nothing was found are
    /// refused too: they may have been there.
    pub unknown_refused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub file: PathBuf,
    pub offset: u64,
}

/// The result of the scan: where to go on.
pub(crate) struct Recovered {
    pub ledger: Ledger,
    /// All segments that hold batches; the last one is written next.
    pub segments: Vec<Segment>,
    /// The empty one after it, if it was prepared already.
    pub prepared: Option<Segment>,
    /// Empty ones that are of no use.
    pub surplus: Vec<Segment>,
    pub next_sequence: u64,
    pub next_offset: u64,
    /// Where the last batch is in the last segment, if it is there: it may be in the kernel's cache alone.
    pub unproven: Option<Range<u64>>,
    pub report: RecoveryReport,
}

/// Opens all segments of the directory in order, and removes leftovers.
pub(crate) fn open_segments(files: &dyn FileSystem, dir: &Path) -> Result<Vec<Segment>, LogError> {
    let names = files
        .list(dir)
        .map_err(|e| LogError::io("list the log's directory", &e))?;
    for name in names.iter().filter(|name| segments::is_leftover(name)) {
        files
            .remove(&dir.join(name))
            .map_err(|e| LogError::io(format!("remove {name}"), &e))?;
    }
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| segments::number_of(name))
        .collect();
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        if pair[1] != pair[0] + 1 {
            return Err(LogError::Open(format!(
                "{} is missing in {}; put it back, or empty the data directory and restore a backup: \
                 skep restore --backupId=N",
                segments::name(pair[0] + 1),
                dir.display()
            )));
        }
    }
    numbers
        .into_iter()
        .map(|number| open_segment(files, dir, number))
        .collect()
}

fn open_segment(files: &dyn FileSystem, dir: &Path, number: u64) -> Result<Segment, LogError> {
    let path = dir.join(segments::name(number));
    let read = || -> io::Result<_> {
        let file = files.open(&path)?;
        let mut head = vec![0; frame::DATA_START as usize];
        let read = file.read_at(0, &mut head)?;
        head.truncate(read);
        Ok((file, head))
    };
    let (file, head) = read().map_err(|e| LogError::io(format!("open {}", path.display()), &e))?;
    let header = frame::decode_segment_header(&head).map_err(|error| {
        LogError::Open(match error {
            SegmentHeaderError::Damaged => format!(
                "{} is damaged at offset 0: both copies of its header; put the file back from a copy, or empty the \
                 data directory and restore a backup: skep restore --backupId=N",
                path.display()
            ),
            SegmentHeaderError::Version(version) => format!(
                "{} has format version {version}, this release reads version 1; \
                 use the release that wrote it",
                path.display()
            ),
        })
    })?;
    if header.number != number {
        let found = segments::name(header.number);
        return Err(LogError::Open(format!(
            "{} was renamed, it is {found}",
            path.display()
        )));
    }
    Ok(Segment {
        number,
        salt: header.salt,
        bytes: header.bytes,
        path,
        file,
    })
}

/// Reads everything and builds the ledger.
pub(crate) fn scan(segments: Vec<Segment>, options: &LogOptions) -> Result<Recovered, LogError> {
    let mut scan = Scan {
        segments: &segments,
        loaded: None,
        ledger: Ledger::default(),
        report: RecoveryReport {
            segments: segments.len(),
            ..RecoveryReport::default()
        },
        expected: segments
            .first()
            .filter(|first| first.number == 1)
            .map(|_| 1),
        tail: Place {
            segment: 0,
            offset: frame::DATA_START,
        },
        last: None,
    };
    scan.run()?;
    let Scan {
        ledger,
        mut report,
        expected,
        tail,
        last: whole,
        ..
    } = scan;
    let last = &segments[tail.segment];
    for (id, group) in ledger.groups() {
        let here = |what| damage_at(GroupId(id), last, tail.offset, what);
        if let Some(damage) = group.final_damage(here) {
            report.damaged.push(*damage);
        }
    }
    report.unknown_refused = ledger.damage_of_unknown(GroupId(0)).is_some();
    let mut used = segments;
    let mut surplus = used.split_off(tail.segment + 1);
    let usable = surplus
        .first()
        .is_some_and(|next| next.bytes == options.segment_bytes);
    let prepared = usable.then(|| surplus.remove(0));
    Ok(Recovered {
        ledger,
        segments: used,
        prepared,
        surplus,
        next_sequence: expected.unwrap_or(1),
        next_offset: tail.offset,
        unproven: whole
            .filter(|(segment, _)| *segment == tail.segment)
            .map(|(_, range)| range),
        report,
    })
}

/// A place where a batch may begin.
#[derive(Debug, Clone, Copy)]
struct Place {
    segment: usize,
    offset: u64,
}

struct Scan<'a> {
    segments: &'a [Segment],
    loaded: Option<(usize, Bytes)>,
    ledger: Ledger,
    report: RecoveryReport,
    /// Sequence of the next batch; none before the first one was seen.
    expected: Option<u64>,
    tail: Place,
    /// The last whole batch: its segment, and where it is in it.
    last: Option<(usize, Range<u64>)>,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), LogError> {
        let mut place = self.tail;
        loop {
            if let Some(end) = self.take_batch(place)? {
                place = end;
                self.tail = end;
                continue;
            }
            // Not a whole batch of the expected sequence. Only a later one proves damage.
            let Some((found, sequence)) = self.find_batch(place)? else {
                self.note_torn_tail(place)?;
                return Ok(());
            };
            if self.expected.is_none_or(|expected| sequence > expected) {
                self.take_damaged(place, sequence)?;
            }
            self.expected = Some(sequence);
            place = found;
            self.tail = found;
        }
    }

    fn data(&mut self, segment: usize) -> Result<Bytes, LogError> {
        if let Some((number, data)) = &self.loaded
            && *number == segment
        {
            return Ok(data.clone());
        }
        self.loaded = None;
        let Segment {
            file, path, bytes, ..
        } = &self.segments[segment];
        let mut data = vec![0; *bytes as usize];
        let read = file
            .read_at(0, &mut data)
            .map_err(|e| LogError::io(format!("read {}", path.display()), &e))?;
        data.truncate(read);
        let data = Bytes::from(data);
        self.loaded = Some((segment, data.clone()));
        Ok(data)
    }

    fn header(&mut self, place: Place) -> Result<Option<(BatchHeader, Bytes)>, LogError> {
        let salt = self.segments[place.segment].salt;
        let data = self.data(place.segment)?;
        let Some(rest) = data.get(place.offset as usize..) else {
            return Ok(None);
        };
        Ok(frame::decode_batch_header(rest, salt).map(|header| {
            let from = place.offset as usize + frame::BATCH_HEADER;
            let to = (from + header.body_bytes as usize).min(data.len());
            (header, data.slice(from.min(to)..to))
        }))
    }

    /// Applies the batch at `place` if it is the expected one and whole; gives its end.
    fn take_batch(&mut self, place: Place) -> Result<Option<Place>, LogError> {
        let Some((header, body)) = self.header(place)? else {
            return Ok(None);
        };
        if header.sequence != self.expected.unwrap_or(header.sequence)
            || body.len() != header.body_bytes as usize
            || !header.matches(&body)
        {
            return Ok(None);
        }
        self.take_frames(place, &header, &body)?;
        self.expected = Some(header.sequence + 1);
        self.report.batches += 1;
        let end = place.offset + header.disk_bytes();
        self.last = Some((place.segment, place.offset..end));
        Ok(Some(Place {
            offset: end,
            ..place
        }))
    }

    /// Applies frame after frame; damaged ones are noted with their group, and when the frames
    /// can't be told apart any more, the rest counts as lost.
    fn take_frames(
        &mut self,
        place: Place,
        header: &BatchHeader,
        body: &Bytes,
    ) -> Result<(), LogError> {
        let segment = &self.segments[place.segment];
        let mut at = 0;
        for _ in 0..header.frames {
            let offset = place.offset + (frame::BATCH_HEADER + at) as u64;
            let frame = match frame::decode_frame_header(&body[at.min(body.len())..], segment.salt)
            {
                Ok(frame) => frame,
                Err(FrameError::UnknownKind(kind)) => {
                    return Err(LogError::Open(format!(
                        "{} holds a frame of kind {kind} at offset {offset}, which this release \
                         does not know; use the release that wrote it",
                        segment.path.display()
                    )));
                }
                Err(FrameError::Damaged) => {
                    self.lose(segment, offset, "frames can't be read");
                    return Ok(());
                }
            };
            let bytes = frame::FRAME_HEADER + frame.payload_bytes as usize;
            let position = Position {
                segment: segment.number,
                offset: offset as u32,
                bytes: bytes as u32,
            };
            let group = GroupId(frame.group);
            if frame::payload(&frame, &body[at..]).is_some() {
                // Entries stay on disk; only the small blobs are kept from here.
                let payload = match frame.kind {
                    frame::Kind::Meta => {
                        Bytes::copy_from_slice(&body[at + frame::FRAME_HEADER..at + bytes])
                    }
                    _ => Bytes::new(),
                };
                let here = |what| damage_at(group, segment, offset, what);
                if let Err(damage) = self.ledger.apply(&frame, payload, position, here) {
                    tracing::error!(group = frame.group, "{damage}");
                }
            } else {
                let what = format!("checksum of entry {} does not match", frame.index);
                let damage = damage_at(group, segment, offset, what);
                self.ledger.apply_damaged(&frame, position, damage);
            }
            at += bytes;
        }
        Ok(())
    }

    fn lose(&mut self, segment: &Segment, offset: u64, what: &str) {
        self.ledger
            .apply_loss(damage_at(GroupId(0), segment, offset, what.to_owned()));
    }

    /// What is left of the batches between `place` and the batch of `next_sequence`.
    fn take_damaged(&mut self, place: Place, next_sequence: u64) -> Result<(), LogError> {
        let segment = &self.segments[place.segment];
        let expected = self.expected;
        if let Some((header, body)) = self.header(place)?
            && header.sequence == expected.unwrap_or(header.sequence)
        {
            self.take_frames(place, &header, &body)?;
            if next_sequence == header.sequence + 1 {
                return Ok(());
            }
        }
        self.lose(
            segment,
            place.offset,
            &format!("batches before {next_sequence} can't be read"),
        );
        Ok(())
    }

    /// The next place with a valid batch header that is not earlier than the expected one.
    fn find_batch(&mut self, from: Place) -> Result<Option<(Place, u64)>, LogError> {
        let expected = self.expected.unwrap_or(0);
        for segment in from.segment..self.segments.len() {
            let salt = self.segments[segment].salt;
            let data = self.data(segment)?;
            let mut offset = match segment == from.segment {
                true => from.offset + frame::ALIGN,
                false => frame::DATA_START,
            };
            while let Some(rest) = data.get(offset as usize..)
                && !rest.is_empty()
            {
                if let Some(header) = frame::decode_batch_header(rest, salt)
                    && header.sequence >= expected
                {
                    return Ok(Some((Place { segment, offset }, header.sequence)));
                }
                offset += frame::ALIGN;
            }
        }
        Ok(None)
    }

    fn note_torn_tail(&mut self, place: Place) -> Result<(), LogError> {
        if self.header(place)?.is_some() {
            let file = self.segments[place.segment].path.clone();
            tracing::warn!(file = %file.display(), offset = place.offset, "cut a torn batch");
            self.report.torn_tail = Some(TornTail {
                file,
                offset: place.offset,
            });
        }
        Ok(())
    }
}

fn damage_at(group: GroupId, segment: &Segment, offset: u64, what: String) -> Box<Damage> {
    Box::new(Damage {
        group,
        file: segment.path.clone(),
        offset,
        what,
    })
}

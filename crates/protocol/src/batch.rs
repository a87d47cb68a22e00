//! The entries of the raft log: epochs and batches (docs/formats/batch.md).
//!
//! **Invariants**: a batch is applied whole or not at all; its writes are in key order, one per key; its checkpoint, if it
//! has one, is its last record.

use bytes::Bytes;

use crate::wire::{Reader, put_bytes, put_i64, put_varint};
use crate::{CheckpointId, DecodeError, Epoch, Position, Record, Sequence};

/// Format version of log entries.
const ENTRY_VERSION: u8 = 1;
const KIND_EPOCH: u8 = 1;
const KIND_BATCH: u8 = 2;
/// A batch's body never decompresses to more than this.
const BODY_BYTES_MAX: usize = 64 << 20;

/// One entry of a partition's raft log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEntry {
    /// The beginning of a leadership.
    Epoch(EpochEntry),
    /// An outcome.
    Batch(Batch),
}

/// A new leader's first entry. Applying it raises the partition's epoch by one; batches of former epochs are fenced from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// Drawn by the leader, so that it knows its own entry.
    pub nonce: u64,
    /// The leader's clock, in epoch milliseconds.
    pub time: i64,
}

/// What fences and places a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Leadership that evaluated it.
    pub epoch: Epoch,
    /// Its number in the leadership.
    pub sequence: Sequence,
    /// The leader's clock, in epoch milliseconds; never lower than the batch before.
    pub time: i64,
    /// Position of its first record.
    pub first_position: Position,
    /// The checkpoint that its last record creates; [`CheckpointId::NONE`] for none.
    pub checkpoint: CheckpointId,
}

/// One change of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOp {
    /// The key did not exist before; now it has this value.
    Insert(Bytes),
    /// The key has this value now.
    Put(Bytes),
    /// The key exists no more.
    Delete,
}

/// An outcome: records and state writes, applied together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What fences and places it.
    pub header: BatchHeader,
    /// The audit stream.
    pub records: Vec<Record>,
    /// The change of the state, in key order, one write per key.
    pub writes: Vec<(Bytes, WriteOp)>,
}

impl LogEntry {
    /// The entry's bytes.
    pub fn encode(&self) -> Bytes {
        let mut out = vec![ENTRY_VERSION];
        match self {
            LogEntry::Epoch(entry) => {
                out.push(KIND_EPOCH);
                out.extend_from_slice(&entry.nonce.to_le_bytes());
                put_i64(&mut out, entry.time);
            }
            LogEntry::Batch(batch) => {
                out.push(KIND_BATCH);
                batch.encode(&mut out);
            }
        }
        out.into()
    }

    /// Reads only what fences and places a batch; `None` for an entry that is no batch.
    pub fn decode_header(bytes: &[u8]) -> Result<Option<BatchHeader>, DecodeError> {
        match bytes {
            [ENTRY_VERSION, KIND_BATCH, rest @ ..] => {
                BatchHeader::decode(&mut Reader::new(rest)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads only the records of a batch, which is what exporters need; none of an entry that is no batch.
    pub fn decode_records(bytes: &[u8]) -> Result<Vec<Record>, DecodeError> {
        let [ENTRY_VERSION, KIND_BATCH, rest @ ..] = bytes else {
            return Ok(Vec::new());
        };
        let reader = &mut Reader::new(rest);
        BatchHeader::decode(reader)?;
        decode_records(&mut Reader::new(&decode_body(reader)?))
    }

    /// Reads an entry back.
    pub fn decode(bytes: &[u8]) -> Result<LogEntry, DecodeError> {
        let reader = &mut Reader::new(bytes);
        match reader.u8("log entry version")? {
            ENTRY_VERSION => {}
            code => {
                return Err(DecodeError::Unknown {
                    what: "log entry version",
                    code: u64::from(code),
                });
            }
        }
        match reader.u8("log entry kind")? {
            KIND_EPOCH => {
                let mut nonce = [0u8; 8];
                for byte in &mut nonce {
                    *byte = reader.u8("epoch nonce")?;
                }
                Ok(LogEntry::Epoch(EpochEntry {
                    nonce: u64::from_le_bytes(nonce),
                    time: reader.i64("epoch time")?,
                }))
            }
            KIND_BATCH => Ok(LogEntry::Batch(Batch::decode(reader)?)),
            code => Err(DecodeError::Unknown {
                what: "log entry kind",
                code: u64::from(code),
            }),
        }
    }
}

impl BatchHeader {
    fn decode(reader: &mut Reader<'_>) -> Result<BatchHeader, DecodeError> {
        Ok(BatchHeader {
            epoch: Epoch(reader.varint("batch epoch")?),
            sequence: Sequence(reader.varint("batch sequence")?),
            time: reader.i64("batch time")?,
            first_position: Position(reader.i64("batch position")?),
            checkpoint: CheckpointId(reader.i64("batch checkpoint")?),
        })
    }
}

impl Batch {
    fn encode(&self, out: &mut Vec<u8>) {
        let header = &self.header;
        put_varint(out, header.epoch.0);
        put_varint(out, header.sequence.0);
        put_i64(out, header.time);
        put_i64(out, header.first_position.0);
        put_i64(out, header.checkpoint.0);
        let mut body = Vec::with_capacity(4096);
        put_varint(&mut body, self.records.len() as u64);
        for record in &self.records {
            record.encode(&mut body);
        }
        for (key, op) in &self.writes {
            let (code, value) = match op {
                WriteOp::Insert(value) => (0, Some(value)),
                WriteOp::Put(value) => (1, Some(value)),
                WriteOp::Delete => (2, None),
            };
            body.push(code);
            put_bytes(&mut body, key);
            if let Some(value) = value {
                put_bytes(&mut body, value);
            }
        }
        put_varint(out, body.len() as u64);
        out.extend_from_slice(&lz4_flex::block::compress(&body));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Batch, DecodeError> {
        let header = BatchHeader::decode(reader)?;
        let body = decode_body(reader)?;
        let reader = &mut Reader::new(&body);
        let records = decode_records(reader)?;
        let mut writes = Vec::new();
        while !reader.is_empty() {
            writes.push(decode_write(reader)?);
        }
        Ok(Batch {
            header,
            records,
            writes,
        })
    }
}

/// The body, decompressed.
fn decode_body(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let length = reader.varint("batch length")? as usize;
    if length > BODY_BYTES_MAX {
        return Err(DecodeError::invalid(
            "batch",
            format!("its body of {length} bytes exceeds {BODY_BYTES_MAX}"),
        ));
    }
    lz4_flex::block::decompress(reader.rest(), length)
        .map_err(|error| DecodeError::invalid("batch", error))
}

/// The records, which come first in a body.
fn decode_records(reader: &mut Reader<'_>) -> Result<Vec<Record>, DecodeError> {
    let count = reader.varint("record count")?;
    let mut records = Vec::new();
    for _ in 0..count {
        records.push(Record::decode(reader)?);
    }
    Ok(records)
}

fn decode_write(reader: &mut Reader<'_>) -> Result<(Bytes, WriteOp), DecodeError> {
    let code = reader.u8("write")?;
    let key = Bytes::copy_from_slice(reader.bytes("write key")?);
    let op = match code {
        0 => WriteOp::Insert(Bytes::copy_from_slice(reader.bytes("write value")?)),
        1 => WriteOp::Put(Bytes::copy_from_slice(reader.bytes("write value")?)),
        2 => WriteOp::Delete,
        code => {
            return Err(DecodeError::Unknown {
                what: "write",
                code: u64::from(code),
            });
        }
    };
    Ok((key, op))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CheckpointIntent, Intent, Key, OperationReference, RecordType, values};

    fn batch() -> Batch {
        Batch {
            header: BatchHeader {
                epoch: Epoch(3),
                sequence: Sequence(9),
                time: 1_700_000_000_000,
                first_position: Position(17),
                checkpoint: CheckpointId(5),
            },
            records: vec![Record {
                record_type: RecordType::Event,
                intent: Intent::Checkpoint(CheckpointIntent::Created),
                key: Key::NONE,
                source_position: Position(16),
                operation_reference: OperationReference(70),
                rejection: None,
                value: values::Checkpoint {
                    checkpoint_id: 5,
                    checkpoint_position: 17,
                    failure_reason: String::new(),
                }
                .into(),
            }],
            writes: vec![
                (
                    Bytes::from_static(b"a"),
                    WriteOp::Insert(Bytes::from_static(b"1")),
                ),
                (
                    Bytes::from_static(b"b"),
                    WriteOp::Put(Bytes::from_static(b"2")),
                ),
                (Bytes::from_static(b"c"), WriteOp::Delete),
            ],
        }
    }

    #[test]
    fn entries_come_back_as_they_were() {
        for entry in [
            LogEntry::Batch(batch()),
            LogEntry::Epoch(EpochEntry { nonce: 7, time: -3 }),
        ] {
            assert_eq!(LogEntry::decode(&entry.encode()).unwrap(), entry);
        }
    }

    #[test]
    fn entries_of_version_1_can_be_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/golden/batch-v1.bin"
        );
        let entry = LogEntry::Batch(batch());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, entry.encode()).unwrap();
        }
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(LogEntry::decode(&bytes).unwrap(), entry);
        let LogEntry::Batch(batch) = entry else {
            unreachable!()
        };
        assert_eq!(LogEntry::decode_header(&bytes).unwrap(), Some(batch.header));
        assert_eq!(LogEntry::decode_records(&bytes).unwrap(), batch.records);
    }

    #[test]
    fn a_cut_entry_is_an_error_and_never_a_panic() {
        let bytes = LogEntry::Batch(batch()).encode();
        for end in 0..bytes.len() {
            assert!(LogEntry::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_body_that_claims_to_be_huge_is_refused_before_memory_is_taken() {
        let mut bytes = vec![ENTRY_VERSION, KIND_BATCH, 1, 1, 0, 0, 0];
        put_varint(&mut bytes, u64::MAX >> 1);
        assert!(LogEntry::decode(&bytes).is_err());
    }
}

//! The unit of the audit stream.

use crate::wire::{Reader, put_i64, put_text, put_varint};
use crate::{
    DecodeError, Intent, Key, OperationReference, Position, RecordValue, Rejection, RejectionType,
};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordType {
    /// A fact: a change that has been made.
    Event = 0,
    /// A request for a change.
    Command = 1,
    /// A command refused.
    CommandRejection = 2,
}

impl RecordType {
    /// Name in the record stream.
    pub const fn name(self) -> &'static str {
        match self {
            RecordType::Event => "EVENT",
            RecordType::Command => "COMMAND",
            RecordType::CommandRejection => "COMMAND_REJECTION",
        }
    }
}

/// One record. Its position is its place in the batch after the batch's first position; its timestamp is the batch's.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Event, command or rejection.
    pub record_type: RecordType,
    /// Value type and intent.
    pub intent: Intent,
    /// The entity; [`Key::NONE`] where a command has none.
    pub key: Key,
    /// Position of the command that caused it; [`Position::NONE`] if none did.
    pub source_position: Position,
    /// What the client calls the operation that it came of.
    pub operation_reference: OperationReference,
    /// Only of a rejection.
    pub rejection: Option<Rejection>,
    /// The value.
    pub value: RecordValue,
}

impl Record {
    /// Appends the record's bytes (docs/formats/batch.md).
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert_eq!(
            self.intent.value_type(),
            self.value.value_type(),
            "intent and value of a record must agree"
        );
        let (value_type, intent) = self.intent.codes();
        out.extend_from_slice(&[self.record_type as u8, value_type, intent]);
        put_i64(out, self.key.0);
        put_i64(out, self.source_position.0);
        put_i64(out, self.operation_reference.0);
        if let Some(rejection) = &self.rejection {
            assert_eq!(
                self.record_type,
                RecordType::CommandRejection,
                "only rejections are rejected"
            );
            out.push(rejection.rejection_type.code());
            put_text(out, &rejection.reason);
        }
        put_varint(out, self.value.encoded_len() as u64);
        self.value.encode(out);
    }

    /// Reads one record back.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
        let record_type = match reader.u8("record type")? {
            0 => RecordType::Event,
            1 => RecordType::Command,
            2 => RecordType::CommandRejection,
            code => {
                return Err(DecodeError::Unknown {
                    what: "record type",
                    code: u64::from(code),
                });
            }
        };
        let intent = Intent::from_codes(reader.u8("value type")?, reader.u8("intent")?)?;
        let key = Key(reader.i64("key")?);
        let source_position = Position(reader.i64("source position")?);
        let operation_reference = OperationReference(reader.i64("operation reference")?);
        let rejection = match record_type {
            RecordType::CommandRejection => {
                let code = reader.u8("rejection type")?;
                let rejection_type =
                    RejectionType::from_code(code).ok_or(DecodeError::Unknown {
                        what: "rejection type",
                        code: u64::from(code),
                    })?;
                Some(Rejection {
                    rejection_type,
                    reason: reader.text("rejection reason")?.to_owned(),
                })
            }
            _ => None,
        };
        let value = RecordValue::decode(intent.value_type(), reader.bytes("record value")?)?;
        Ok(Record {
            record_type,
            intent,
            key,
            source_position,
            operation_reference,
            rejection,
            value,
        })
    }
}

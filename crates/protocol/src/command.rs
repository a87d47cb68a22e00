//! Commands, what travels between partitions, and answers to clients.

use crate::wire::{Reader, put_bytes, put_i64, put_varint};
use crate::{
    CheckpointId, DecodeError, Intent, Key, OperationReference, PartitionId, RecordValue, Rejection,
};

/// A request for a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Entity that it speaks of; [`Key::NONE`] where it creates one.
    pub key: Key,
    /// What is asked.
    pub intent: Intent,
    /// What its client calls it, in all records that come of it.
    pub operation_reference: OperationReference,
    /// With what.
    pub value: RecordValue,
}

impl Command {
    /// A command about an entity.
    pub fn new(key: Key, intent: impl Into<Intent>, value: impl Into<RecordValue>) -> Command {
        Command {
            key,
            intent: intent.into(),
            operation_reference: OperationReference::NONE,
            value: value.into(),
        }
    }

    /// The same command, called so by its client.
    #[must_use]
    pub fn referred_to_as(mut self, operation_reference: OperationReference) -> Command {
        self.operation_reference = operation_reference;
        self
    }

    /// Appends the command's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert_eq!(
            self.intent.value_type(),
            self.value.value_type(),
            "intent and value of a command must agree"
        );
        let (value_type, intent) = self.intent.codes();
        out.extend_from_slice(&[value_type, intent]);
        put_i64(out, self.key.0);
        put_i64(out, self.operation_reference.0);
        put_varint(out, self.value.encoded_len() as u64);
        self.value.encode(out);
    }

    /// Reads a command back.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
        let intent = Intent::from_codes(reader.u8("value type")?, reader.u8("intent")?)?;
        let key = Key(reader.i64("key")?);
        let operation_reference = OperationReference(reader.i64("operation reference")?);
        let value = RecordValue::decode(intent.value_type(), reader.bytes("command value")?)?;
        Ok(Command {
            key,
            intent,
            operation_reference,
            value,
        })
    }
}

/// Who waits for an answer: a request of one gateway, numbered by it.
///
/// `gateway` is a random number that a gateway draws at start, so that an answer to a request of its former life finds nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId {
    /// The gateway's life.
    pub gateway: u64,
    /// The request.
    pub request: u64,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Who waits for it.
    pub request: RequestId,
    /// The event, or the refusal.
    pub result: ResponseResult,
}

/// The event that answers a command (its key, what has happened, with what), or why there is none.
pub type ResponseResult = Result<Command, Rejection>;

/// What one partition sends to another. Every envelope carries the sender's checkpoint id: a receiver that has a lower one
/// takes that checkpoint before it takes the envelope in.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The partition that sends.
    pub source: PartitionId,
    /// Latest checkpoint of the sender.
    pub checkpoint_id: CheckpointId,
    /// What it carries.
    pub body: EnvelopeBody,
}

/// Content of an [`Envelope`].
#[derive(Debug, Clone, PartialEq)]
pub enum EnvelopeBody {
    /// A command, numbered per pair of partitions from 1; taken in exactly once and in order.
    Command {
        /// Its number.
        number: u64,
        /// The command.
        command: Command,
    },
    /// All commands up to and including this number have been taken in.
    Acknowledgement {
        /// The number.
        number: u64,
    },
}

const ENVELOPE_VERSION: u8 = 1;

impl Envelope {
    /// The envelope's bytes (docs/formats/envelope.md).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![ENVELOPE_VERSION];
        put_varint(&mut out, u64::from(self.source.0));
        put_i64(&mut out, self.checkpoint_id.0);
        match &self.body {
            EnvelopeBody::Command { number, command } => {
                out.push(0);
                put_varint(&mut out, *number);
                let mut bytes = Vec::with_capacity(command.value.encoded_len() + 16);
                command.encode(&mut bytes);
                put_bytes(&mut out, &bytes);
            }
            EnvelopeBody::Acknowledgement { number } => {
                out.push(1);
                put_varint(&mut out, *number);
            }
        }
        out
    }

    /// Reads an envelope back.
    pub fn decode(bytes: &[u8]) -> Result<Envelope, DecodeError> {
        let reader = &mut Reader::new(bytes);
        match reader.u8("envelope version")? {
            ENVELOPE_VERSION => {}
            code => {
                return Err(DecodeError::Unknown {
                    what: "envelope version",
                    code: u64::from(code),
                });
            }
        }
        let source = u32::try_from(reader.varint("source partition")?)
            .map_err(|_| DecodeError::invalid("source partition", "it exceeds 32 bits"))?;
        let checkpoint_id = CheckpointId(reader.i64("checkpoint id")?);
        let kind = reader.u8("envelope kind")?;
        let number = reader.varint("envelope number")?;
        let body = match kind {
            0 => EnvelopeBody::Command {
                number,
                command: Command::decode(&mut Reader::new(reader.bytes("envelope command")?))?,
            },
            1 => EnvelopeBody::Acknowledgement { number },
            code => {
                return Err(DecodeError::Unknown {
                    what: "envelope kind",
                    code: u64::from(code),
                });
            }
        };
        Ok(Envelope {
            source: PartitionId(source),
            checkpoint_id,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageIntent, values};

    fn envelopes() -> [Envelope; 2] {
        let message = values::Message {
            name: "paid".to_owned(),
            correlation_key: "order-1".to_owned(),
            ..Default::default()
        };
        let command = Command::new(Key(7), MessageIntent::Publish, message)
            .referred_to_as(OperationReference(70));
        [
            EnvelopeBody::Command {
                number: 300,
                command,
            },
            EnvelopeBody::Acknowledgement { number: 4 },
        ]
        .map(|body| Envelope {
            source: PartitionId(2),
            checkpoint_id: CheckpointId(-1),
            body,
        })
    }

    #[test]
    fn envelopes_come_back_as_they_were_and_a_cut_one_is_an_error() {
        for envelope in envelopes() {
            let bytes = envelope.encode();
            assert_eq!(Envelope::decode(&bytes).unwrap(), envelope);
            for end in 0..bytes.len() {
                assert!(Envelope::decode(&bytes[..end]).is_err(), "cut at {end}");
            }
        }
    }

    #[test]
    fn envelopes_of_version_1_can_be_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/golden/envelope-v1.bin"
        );
        let [envelope, _] = envelopes();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, envelope.encode()).unwrap();
        }
        assert_eq!(
            Envelope::decode(&std::fs::read(path).unwrap()).unwrap(),
            envelope
        );
    }
}

//! Frames of an established connection: `docs/formats/node-frame.md`. Pure functions.

use bytes::{Buf, BufMut, Bytes};

use crate::limits::PAYLOAD_BYTES_MAX;

/// Which queue a message takes: those of one channel keep their order, those of several take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel(u8);

impl Channel {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// The channel of that number; there are [`Channel::COUNT`].
    pub const fn new(number: u8) -> Channel {
        assert!(
            (number as usize) < Channel::COUNT,
            "there are five channels"
        );
        Channel(number)
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// Bytes of the length.
pub(crate) const LENGTH: usize = 4;
/// Bytes between length and payload: kind, channel, id.
const HEAD: usize = 10;
const CHECKSUM: usize = 4;
/// Bytes of a frame besides its payload.
pub(crate) const OVERHEAD: usize = LENGTH + HEAD + CHECKSUM;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Wants no answer.
    Message,
    /// Wants an answer with its id.
    Request,
    /// The answer to the request of that id.
    Answer,
    /// The request of that id is not served; the payload says why.
    Refusal,
    /// A sign of life.
    Ping,
    /// Nobody waits for the answer to the request of that id any more.
    Withdrawal,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Message,
        Kind::Request,
        Kind::Answer,
        Kind::Refusal,
        Kind::Ping,
        Kind::Withdrawal,
    ];

    const fn code(self) -> u8 {
        self as u8 + 1
    }

    fn of(code: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub kind: Kind,
    pub channel: Channel,
    pub id: u64,
    pub payload: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes is announced, which is not possible")]
    Length(u32),
    #[error("a frame has another checksum than its content")]
    Checksum,
    #[error("a frame has unknown {what} {code}: the peer is of another version")]
    Unknown { what: &'static str, code: u8 },
}

impl Frame {
    /// What comes before the payload, and the checksum that comes after it.
    pub fn head(&self) -> ([u8; LENGTH + HEAD], [u8; CHECKSUM]) {
        let length = HEAD + self.payload.len() + CHECKSUM;
        let mut head = [0; LENGTH + HEAD];
        let mut out = &mut head[..];
        out.put_u32_le(u32::try_from(length).expect("a payload has at most 16 MiB"));
        out.put_u8(self.kind.code());
        out.put_u8(self.channel.0);
        out.put_u64_le(self.id);
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&head), &self.payload);
        (head, checksum.to_le_bytes())
    }

    /// Bytes of the whole frame.
    pub fn size(&self) -> usize {
        OVERHEAD + self.payload.len()
    }
}

/// How many bytes follow the length, if that is possible.
pub(crate) fn checked_length(length: [u8; LENGTH]) -> Result<usize, FrameError> {
    let announced = u32::from_le_bytes(length);
    let bytes = announced as usize;
    match (HEAD + CHECKSUM..=HEAD + CHECKSUM + PAYLOAD_BYTES_MAX).contains(&bytes) {
        true => Ok(bytes),
        false => Err(FrameError::Length(announced)),
    }
}

/// The frame whose length and the bytes after it are given.
pub(crate) fn decode(length: [u8; LENGTH], mut rest: Bytes) -> Result<Frame, FrameError> {
    let expected = checked_length(length)?;
    if rest.len() != expected {
        return Err(FrameError::Length(u32::from_le_bytes(length)));
    }
    let found = rest.split_off(rest.len() - CHECKSUM).get_u32_le();
    if crc32c::crc32c_append(crc32c::crc32c(&length), &rest) != found {
        return Err(FrameError::Checksum);
    }
    let (kind, channel, id) = (rest.get_u8(), rest.get_u8(), rest.get_u64_le());
    let kind = Kind::of(kind).ok_or(FrameError::Unknown {
        what: "kind",
        code: kind,
    })?;
    if usize::from(channel) >= Channel::COUNT {
        return Err(FrameError::Unknown {
            what: "channel",
            code: channel,
        });
    }
    Ok(Frame {
        kind,
        channel: Channel(channel),
        id,
        payload: rest,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn bytes(frame: &Frame) -> ([u8; LENGTH], Vec<u8>) {
        let (head, checksum) = frame.head();
        let mut rest = head[LENGTH..].to_vec();
        rest.extend_from_slice(&frame.payload);
        rest.extend_from_slice(&checksum);
        (head[..LENGTH].try_into().unwrap(), rest)
    }

    fn frame(payload: &[u8]) -> Frame {
        Frame {
            kind: Kind::Request,
            channel: Channel::new(2),
            id: 0x0102_0304,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format_page() {
        let (length, rest) = bytes(&frame(b"abc"));
        assert_eq!(length, [17, 0, 0, 0]);
        assert_eq!(&rest[..13], b"\x02\x02\x04\x03\x02\x01\0\0\0\0abc");
        assert_eq!(&rest[13..], [0xaa, 0x3c, 0xd5, 0x96]);
    }

    #[test]
    fn every_damaged_byte_and_every_other_length_is_noticed() {
        let (length, rest) = bytes(&frame(b"payload"));
        for at in 0..rest.len() {
            let mut damaged = rest.clone();
            damaged[at] ^= 0x10;
            assert!(decode(length, damaged.into()).is_err(), "byte {at}");
        }
        for cut in 0..rest.len() {
            assert!(decode(length, Bytes::copy_from_slice(&rest[..cut])).is_err());
            let shorter = (cut as u32).to_le_bytes();
            assert!(decode(shorter, Bytes::copy_from_slice(&rest[..cut])).is_err());
        }
    }

    #[test]
    fn a_length_is_believed_up_to_the_largest_frame() {
        let largest = (HEAD + CHECKSUM + PAYLOAD_BYTES_MAX) as u32;
        assert!(checked_length(largest.to_le_bytes()).is_ok());
        for impossible in [0, 13, largest + 1, u32::MAX] {
            assert!(checked_length(impossible.to_le_bytes()).is_err());
        }
    }

    proptest! {
        #[test]
        fn frames_are_read_back_as_written(kind in 0usize..6, channel in 0u8..4, id: u64, payload: Vec<u8>) {
            let frame = Frame {
                kind: Kind::ALL[kind],
                channel: Channel::new(channel),
                id,
                payload: payload.into(),
            };
            let (length, rest) = bytes(&frame);
            prop_assert_eq!(decode(length, rest.into()), Ok(frame));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(length: [u8; 4], rest: Vec<u8>) {
            let _ = decode(length, rest.clone().into());
            let fitting = (rest.len() as u32).to_le_bytes();
            let _ = decode(fitting, rest.into());
        }
    }
}

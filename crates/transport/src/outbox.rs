//! What waits to be written to one node: a bounded queue for each channel, which take turns.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::frame::{Channel, Frame};
use crate::limits::{OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX};

#[derive(Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
}

#[derive(Default)]
struct Queues {
    channels: [Queue; Channel::COUNT],
    /// Whose turn it is.
    next: usize,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct Outbox {
    queues: Mutex<Queues>,
    filled: Notify,
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

impl Outbox {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // No code that can panic runs under the lock.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame, unless too much waits on its channel.
    pub fn push(&self, frame: Frame) -> Result<(), Refused> {
        let mut queues = self.queues();
        if queues.closed {
            return Err(Refused::Closed);
        }
        let queue = &mut queues.channels[usize::from(frame.channel.number())];
        let size = frame.size();
        if queue.bytes + size > OUTBOX_BYTES_MAX || queue.frames.len() >= OUTBOX_FRAMES_MAX {
            return Err(Refused::Full);
        }
        queue.bytes += size;
        queue.frames.push_back(frame);
        drop(queues);
        self.filled.notify_one();
        Ok(())
    }

    /// The next frame, if one waits.
    pub fn try_next(&self) -> Option<Frame> {
        let mut queues = self.queues();
        let begin = queues.next;
        let turns = (0..Channel::COUNT).map(|step| (begin + step) % Channel::COUNT);
        let (turn, frame) = turns.into_iter().find_map(|turn| {
            let queue = &mut queues.channels[turn];
            let frame = queue.frames.pop_front()?;
            queue.bytes -= frame.size();
            Some((turn, frame))
        })?;
        queues.next = (turn + 1) % Channel::COUNT;
        Some(frame)
    }

    /// Waits until something may wait or it is closed. A drop of the future loses nothing.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    pub fn is_closed(&self) -> bool {
        self.queues().closed
    }

    /// Takes nothing in any more and forgets what waits.
    pub fn close(&self) {
        let mut queues = self.queues();
        queues.closed = true;
        queues.channels = Default::default();
        drop(queues);
        self.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use bytes::Bytes;

    use super::*;
    use crate::frame::Kind;

    fn frame(channel: u8, id: u64, bytes: usize) -> Frame {
        Frame {
            kind: Kind::Message,
            channel: Channel::new(channel),
            id,
            payload: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn channels_take_turns_and_each_keeps_its_order() {
        let outbox = Outbox::default();
        for (channel, id) in [(0, 1), (0, 2), (0, 3), (2, 4), (3, 5), (2, 6)] {
            outbox.push(frame(channel, id, 0)).unwrap();
        }
        let order: Vec<u64> = std::iter::from_fn(|| outbox.try_next())
            .map(|frame| frame.id)
            .collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
    }

    #[test]
    fn a_full_channel_takes_nothing_and_the_others_go_on() {
        let outbox = Outbox::default();
        let large = OUTBOX_BYTES_MAX - frame(0, 0, 0).size();
        assert_eq!(outbox.push(frame(0, 0, large + 1)), Err(Refused::Full));
        outbox.push(frame(0, 1, large)).unwrap();
        assert_eq!(outbox.push(frame(0, 2, 0)), Err(Refused::Full));
        outbox.push(frame(1, 3, 0)).unwrap();
        assert_eq!(outbox.try_next().unwrap().id, 1);
        outbox.push(frame(0, 4, 0)).unwrap();
        for id in 0..OUTBOX_FRAMES_MAX as u64 {
            outbox.push(frame(2, id, 0)).unwrap();
        }
        assert_eq!(outbox.push(frame(2, 5, 0)), Err(Refused::Full));
    }

    #[test]
    fn a_closed_outbox_forgets_what_waited() {
        let outbox = Outbox::default();
        outbox.push(frame(0, 1, 0)).unwrap();
        outbox.close();
        assert_eq!(outbox.try_next(), None);
        assert_eq!(outbox.push(frame(0, 1, 0)), Err(Refused::Closed));
    }
}

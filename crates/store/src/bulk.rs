//! Loading a whole store at once, for a restore.
//!
//! The caller's thread checks and packs pairs, a thread of the load compresses and writes them, so that on two cores the
//! load is as fast as the slower of the two.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use skep_state::{LocalMeta, StateError};

use crate::directory::Layout;
use crate::engine::Engine;
use crate::error::{self, StoreError};
use crate::marker;
use crate::options::{SharedCache, StoreOptions};
use crate::run::{KEY_BYTES_MAX, META_KEY, Run};

/// Pairs travel to the writing thread in packets of about this size.
const PACKET_BYTES: usize = 256 << 10;
/// Packets under way: bounds memory.
const PACKETS_MAX: usize = 8;
const LENGTHS_BYTES: usize = 8;

enum Message {
    /// Pairs, each as length of key, length of value, key, value.
    Packet(Vec<u8>),
    /// That was all.
    Finish(LocalMeta),
}

/// A store being loaded. Dropped before [`BulkLoad::finish`], nothing of it is left.
pub struct BulkLoad {
    layout: Layout,
    packet: Vec<u8>,
    last_key: Vec<u8>,
    /// `None` when the load has failed or is finished.
    writer: Option<Writer>,
}

struct Writer {
    messages: SyncSender<Message>,
    thread: JoinHandle<Result<(), StateError>>,
}

impl BulkLoad {
    pub(crate) fn begin(directory: &Path, options: &StoreOptions) -> Result<BulkLoad, StoreError> {
        let layout = Layout::new(directory);
        let loading = layout.loading();
        loading.remove()?;
        loading.create()?;
        let (messages, received) = sync_channel(PACKETS_MAX);
        let cache = options.cache.clone();
        let thread = std::thread::Builder::new()
            .name("store-load".to_owned())
            .spawn(move || load(&loading, &cache, &received))
            .map_err(|error| error::io("start a thread", &error))?;
        Ok(BulkLoad {
            layout,
            packet: Vec::new(),
            last_key: Vec::new(),
            writer: Some(Writer { messages, thread }),
        })
    }

    /// Adds pairs. All keys of all calls ascend.
    pub fn write_sorted<'a>(
        &mut self,
        pairs: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), StateError> {
        for (key, value) in pairs {
            check_key(key, &self.last_key)?;
            self.last_key.clear();
            self.last_key.extend_from_slice(key);
            pack(&mut self.packet, key, value)?;
            if self.packet.len() >= PACKET_BYTES {
                self.send_packet()?;
            }
        }
        Ok(())
    }

    /// Makes what was loaded the store of the directory, durably.
    pub fn finish(mut self, meta: &LocalMeta) -> Result<(), StateError> {
        self.send_packet()?;
        self.send(Message::Finish(meta.clone()))?;
        self.join()?;
        self.layout.replace_with_loaded()
    }

    fn send_packet(&mut self) -> Result<(), StateError> {
        let next = Vec::with_capacity(PACKET_BYTES + PACKET_BYTES / 8);
        let packet = std::mem::replace(&mut self.packet, next);
        self.send(Message::Packet(packet))
    }

    fn send(&mut self, message: Message) -> Result<(), StateError> {
        let sent = match &self.writer {
            Some(writer) => writer.messages.send(message).is_ok(),
            None => false,
        };
        if sent {
            Ok(())
        } else {
            Err(self.join().err().unwrap_or_else(abandoned))
        }
    }

    fn join(&mut self) -> Result<(), StateError> {
        let Some(Writer { messages, thread }) = self.writer.take() else {
            return Err(abandoned());
        };
        drop(messages);
        thread.join().unwrap_or_else(|_| Err(abandoned()))
    }
}

impl Drop for BulkLoad {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // Ends with an error, because nobody said that it was all.
            let _ = self.join();
            if let Err(error) = self.layout.loading().remove() {
                tracing::warn!(%error, "an abandoned load is not removed");
            }
        }
    }
}

/// What is loaded comes from outside, so that a key out of place is an error and no broken invariant.
pub(crate) fn check_key(key: &[u8], last: &[u8]) -> Result<(), StateError> {
    let reason = if key.is_empty() || key >= META_KEY {
        "it doesn't begin with the number of a table".to_owned()
    } else if key.len() > KEY_BYTES_MAX {
        format!(
            "it has {} bytes, at most {KEY_BYTES_MAX} are possible",
            key.len()
        )
    } else if key <= last {
        "it isn't after the key before it".to_owned()
    } else {
        return Ok(());
    };
    let shown = &key[..key.len().min(64)];
    Err(StateError::Corrupt {
        place: format!("key {shown:02x?} of the content to be loaded"),
        reason,
        mend: "Take the content from another backup or replica".to_owned(),
    })
}

/// Adds a pair to a packet, which [`Pairs`] unpacks.
pub(crate) fn pack(packet: &mut Vec<u8>, key: &[u8], value: &[u8]) -> Result<(), StateError> {
    for part in [key, value] {
        let length = u32::try_from(part.len()).map_err(|_| StateError::Corrupt {
            place: "value of the content to be loaded".to_owned(),
            reason: format!("it has {} bytes", part.len()),
            mend: "Take the content from another backup or replica".to_owned(),
        })?;
        packet.extend_from_slice(&length.to_le_bytes());
    }
    packet.extend_from_slice(key);
    packet.extend_from_slice(value);
    Ok(())
}

fn abandoned() -> StateError {
    StateError::Io {
        action: "load a store".to_owned(),
        reason: "the load was given up before it was complete".to_owned(),
    }
}

fn load(
    layout: &Layout,
    cache: &SharedCache,
    messages: &Receiver<Message>,
) -> Result<(), StateError> {
    let engine = Engine::start(layout, cache)?;
    engine.change(|| {
        let mut run = Run::begin(&engine)?;
        loop {
            match messages.recv() {
                Ok(Message::Packet(packet)) => {
                    for (key, value) in Pairs(&packet) {
                        run.add(key, Some(value))?;
                    }
                }
                Ok(Message::Finish(meta)) => return run.finish(&meta),
                Err(_) => return Err(abandoned()),
            }
        }
    })?;
    // Nothing is there to merge with: this only tells the engine so.
    engine.compact_step()?;
    marker::create(layout)
}

/// Unpacks a packet.
pub(crate) struct Pairs<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (lengths, rest) = self.0.split_at_checked(LENGTHS_BYTES)?;
        let length = |at: usize| {
            let field = lengths[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(field) as usize
        };
        let (key, rest) = rest.split_at(length(0));
        let (value, rest) = rest.split_at(length(4));
        self.0 = rest;
        Some((key, value))
    }
}

//! Giving a store another replica's content: by one write, as atomic and durable as every other.
//!
//! What is the same is not written, so that a replica that is nearly right costs little, and views of the former content stay good.
//! The caller's thread hands the content over, one of the replacement's compares and writes it; meanwhile nothing else can be written.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use skep_state::{KeyRange, LocalMeta, StateError, Visit};

use crate::bulk::{Pairs, check_key, pack};
use crate::engine::{Engine, NEWEST};
use crate::error;
use crate::run::Run;
use crate::snapshot;
use crate::store::PartitionStore;

/// Parts under way: bounds memory, as a part is about a megabyte.
const PARTS_MAX: usize = 4;

enum Message {
    Part(Part),
    /// That was all of the content.
    Prepare(SyncSender<()>),
    Finish(LocalMeta),
}

/// What the keys from the last part's end up to this one's are to hold.
struct Part {
    /// Without it: all that are left.
    to: Option<Vec<u8>>,
    packed: Vec<u8>,
}

/// Another content for a store, on its way. Dropped before [`Replacement::finish`], the store is as it was.
pub struct Replacement {
    /// Keys below it have been handed over.
    from: Vec<u8>,
    /// `None` when it has failed or is finished.
    writer: Option<Writer>,
}

struct Writer {
    messages: SyncSender<Message>,
    thread: JoinHandle<Result<(), StateError>>,
}

impl Replacement {
    pub(crate) fn begin(engine: &Arc<Engine>) -> Result<Replacement, StateError> {
        let (messages, received) = sync_channel(PARTS_MAX);
        let engine = Arc::clone(engine);
        let thread = std::thread::Builder::new()
            .name("store-replace".to_owned())
            .spawn(move || replace(&engine, &received))
            .map_err(|failure| error::io("start a thread", &failure))?;
        Ok(Replacement {
            from: Vec::new(),
            writer: Some(Writer { messages, thread }),
        })
    }

    /// Of the keys that no earlier call was about, those below `to` (without it: all) are to hold these pairs and nothing else.
    pub fn put<'a>(
        &mut self,
        to: Option<&[u8]>,
        pairs: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<(), StateError> {
        let mut packed = Vec::new();
        let mut last: &[u8] = &[];
        for (key, value) in pairs {
            check_key(key, last)?;
            if key < self.from.as_slice() || to.is_some_and(|to| key >= to) {
                return Err(StateError::Corrupt {
                    place: format!(
                        "key {:02x?} of another replica's content",
                        &key[..key.len().min(64)]
                    ),
                    reason: "it is outside of its part".to_owned(),
                    mend: "Fetch the content again".to_owned(),
                });
            }
            pack(&mut packed, key, value)?;
            last = key;
        }
        let to = to.map(<[u8]>::to_vec);
        self.from = to.clone().unwrap_or_else(|| vec![u8::MAX]);
        self.send(Message::Part(Part { to, packed }))
    }

    /// Waits until all that was handed over is compared and written, though not visible yet.
    pub fn prepare(&mut self) -> Result<(), StateError> {
        let (done, prepared) = sync_channel(1);
        self.send(Message::Prepare(done))?;
        match prepared.recv() {
            Ok(()) => Ok(()),
            Err(_) => Err(self.join().err().unwrap_or_else(given_up)),
        }
    }

    /// Makes it the store's content, together with its meta, durably.
    pub fn finish(mut self, meta: &LocalMeta) -> Result<(), StateError> {
        self.send(Message::Finish(meta.clone()))?;
        self.join()
    }

    fn send(&mut self, message: Message) -> Result<(), StateError> {
        let sent = match &self.writer {
            Some(writer) => writer.messages.send(message).is_ok(),
            None => false,
        };
        match sent {
            true => Ok(()),
            false => Err(self.join().err().unwrap_or_else(given_up)),
        }
    }

    fn join(&mut self) -> Result<(), StateError> {
        let Some(Writer { messages, thread }) = self.writer.take() else {
            return Err(given_up());
        };
        drop(messages);
        thread.join().unwrap_or_else(|_| Err(given_up()))
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.writer.is_some() {
            // Ends with an error, because nobody said that it was all.
            let _ = self.join();
        }
    }
}

impl PartitionStore {
    /// Begins to give the store another content. Writes wait until it is finished or dropped.
    pub fn replace(&self) -> Result<Replacement, StateError> {
        self.engine().check()?;
        Replacement::begin(self.engine())
    }
}

fn given_up() -> StateError {
    StateError::Io {
        action: "replace a store's content".to_owned(),
        reason: "it was given up before it was complete".to_owned(),
    }
}

fn replace(engine: &Engine, messages: &Receiver<Message>) -> Result<(), StateError> {
    let _changing = engine.lock_changes();
    engine.bound_runs()?;
    engine.change(|| {
        let mut run = Run::begin(engine)?;
        let mut from = Some(Vec::new());
        loop {
            match messages.recv() {
                Ok(Message::Part(Part { to, packed })) => {
                    let begin = from.ok_or_else(given_up)?;
                    write_part(engine, &mut run, (&begin, to.as_deref()), &packed)?;
                    from = to;
                }
                Ok(Message::Prepare(done)) => {
                    if from.is_some() {
                        return Err(given_up());
                    }
                    // Whoever asked may have gone away.
                    let _ = done.send(());
                }
                Ok(Message::Finish(meta)) if from.is_none() => return run.finish(&meta),
                Ok(Message::Finish(_)) | Err(_) => return Err(given_up()),
            }
        }
    })
}

/// Writes what a part has otherwise than the store.
fn write_part(
    engine: &Engine,
    run: &mut Run<'_>,
    (from, to): (&[u8], Option<&[u8]>),
    packed: &[u8],
) -> Result<(), StateError> {
    let mut pairs = Pairs(packed).peekable();
    let mut outcome = Ok(());
    let compared = snapshot::scan(engine, NEWEST, KeyRange { from, to }, &mut |key, value| {
        outcome = (|| {
            while let Some((new_key, new_value)) = pairs.next_if(|(new, _)| *new < key) {
                run.add(new_key, Some(new_value))?;
            }
            match pairs.next_if(|(new, _)| *new == key) {
                Some((_, new_value)) if new_value == value => Ok(()),
                Some((_, new_value)) => run.add(key, Some(new_value)),
                None => run.add(key, None),
            }
        })();
        match outcome {
            Ok(()) => Visit::Next,
            Err(_) => Visit::Stop,
        }
    });
    compared?;
    outcome?;
    pairs.try_for_each(|(key, value)| run.add(key, Some(value)))
}

#[cfg(test)]
mod tests;

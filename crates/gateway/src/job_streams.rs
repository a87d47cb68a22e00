//! Who has a stream of jobs open. Streams that ask for the same are one *registration*: its jobs go to whoever takes them.
//!
//! **Invariants**
//! - A registration is here exactly as long as it has clients, and is served by one task: the one that [`JobStreams::join`] asks for.
//! - A job is activated only for a client that has room for it; what a client did not take before it went is given back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tonic::Status;

use crate::limits::STREAM_JOBS_BUFFERED_MAX;
use crate::proto::ActivatedJob;

/// What a stream asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Registration {
    /// Job type.
    pub job_type: String,
    /// Name of the worker.
    pub worker: String,
    /// How long a job stays locked, in milliseconds.
    pub timeout: i64,
    /// Names of the variables wanted; empty for all.
    pub fetch_variables: Vec<String>,
}

/// What goes to a client.
pub type Item = Result<ActivatedJob, Status>;

/// The clients of a registration.
#[derive(Debug, Default)]
struct Clients {
    senders: Vec<mpsc::Sender<Item>>,
    /// Where the next job begins to look for a client.
    turn: usize,
    room: Arc<Notify>,
}

/// Everybody who has a stream open.
#[derive(Debug, Default)]
pub struct JobStreams {
    clients: Mutex<HashMap<Registration, Clients>>,
}

/// A client that has joined.
#[derive(Debug)]
pub struct Joined {
    /// What comes for it.
    pub jobs: mpsc::Receiver<Item>,
    /// To be notified when it has taken a job, or has gone.
    pub room: Arc<Notify>,
    /// Whether it is the first, so that nobody serves the registration yet.
    pub is_first: bool,
}

impl JobStreams {
    fn lock(&self) -> MutexGuard<'_, HashMap<Registration, Clients>> {
        // Every change leaves the map whole, so a panic elsewhere in a holder does no harm.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new client.
    pub fn join(&self, registration: &Registration) -> Joined {
        let mut all = self.lock();
        let is_first = !all.contains_key(registration);
        let clients = all.entry(registration.clone()).or_default();
        let (sender, jobs) = mpsc::channel(STREAM_JOBS_BUFFERED_MAX);
        clients.senders.push(sender);
        clients.room.notify_one();
        Joined {
            jobs,
            room: Arc::clone(&clients.room),
            is_first,
        }
    }

    /// How many jobs the clients of a registration have room for; `None` if the last has gone, and the registration with it.
    pub fn room(&self, registration: &Registration) -> Option<usize> {
        let mut all = self.lock();
        let clients = all.get_mut(registration)?;
        clients.senders.retain(|sender| !sender.is_closed());
        if clients.senders.is_empty() {
            all.remove(registration);
            return None;
        }
        Some(clients.senders.iter().map(mpsc::Sender::capacity).sum())
    }

    /// Gives a job to the next client that has room. `false` if none has.
    pub fn push(&self, registration: &Registration, job: ActivatedJob) -> bool {
        let mut item = Ok(job);
        let mut all = self.lock();
        let Some(clients) = all.get_mut(registration) else {
            return false;
        };
        for _ in 0..clients.senders.len() {
            clients.turn = (clients.turn + 1) % clients.senders.len();
            match clients.senders[clients.turn].try_send(item) {
                Ok(()) => return true,
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => item = back,
            }
        }
        false
    }

    /// Ends all streams of a registration with a status.
    pub fn end(&self, registration: &Registration, status: &Status) {
        let clients = self.lock().remove(registration);
        for sender in clients.into_iter().flat_map(|clients| clients.senders) {
            // One that has no room for it finds its stream ended all the same.
            let _ = sender.try_send(Err(status.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration {
            job_type: "pay".to_owned(),
            worker: String::new(),
            timeout: 1,
            fetch_variables: Vec::new(),
        }
    }

    #[test]
    fn jobs_go_round_the_clients_that_have_room() {
        let streams = JobStreams::default();
        let one = streams.join(&registration());
        let mut other = streams.join(&registration());
        assert!(one.is_first && !other.is_first);
        assert_eq!(
            streams.room(&registration()),
            Some(2 * STREAM_JOBS_BUFFERED_MAX)
        );
        for _ in 0..2 {
            assert!(streams.push(&registration(), ActivatedJob::default()));
        }
        assert_eq!(one.jobs.len(), 1);
        assert!(other.jobs.try_recv().is_ok());
        drop(one);
        for _ in 0..STREAM_JOBS_BUFFERED_MAX {
            assert!(streams.push(&registration(), ActivatedJob::default()));
        }
        let taken = streams.push(&registration(), ActivatedJob::default());
        assert!(!taken, "nobody has room");
    }

    #[test]
    fn a_registration_goes_with_its_last_client() {
        let streams = JobStreams::default();
        drop(streams.join(&registration()));
        assert_eq!(streams.room(&registration()), None);
        assert!(streams.join(&registration()).is_first);
    }
}

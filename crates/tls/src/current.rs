//! A certificate in use, which is read again when its files have changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use crate::identity::{Identity, TlsError};

/// What is used now, and by whom it may be replaced. What was taken from it before stays as it was.
pub(crate) struct Current<T>(Mutex<T>);

impl<T: Clone> Current<T> {
    pub fn new(first: T) -> Current<T> {
        Current(Mutex::new(first))
    }

    pub fn get(&self) -> T {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    pub fn replace(&self, next: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}

/// Reads the files again and, if they can be used, uses them from then on.
type Renew = dyn Fn() -> Result<(), TlsError> + Send + Sync;

/// The files behind whatever uses them.
pub struct Watched {
    /// Who uses them, in words.
    pub what: &'static str,
    identity: Identity,
    renew: Box<Renew>,
    /// Of what the files held when they were read last.
    seen: Mutex<u64>,
    expires_at: AtomicI64,
    renewed: AtomicU64,
    refused: AtomicU64,
}

impl Watched {
    /// Opens what uses the files; `renew` is how it reads them again. Blocking.
    pub fn open<T: Clone + Send + Sync + 'static>(
        what: &'static str,
        identity: Identity,
        open: impl FnOnce(&Identity) -> Result<T, TlsError>,
        renew: impl Fn(&T) -> Result<(), TlsError> + Send + Sync + 'static,
    ) -> Result<(T, Watched), TlsError> {
        // Before they are read: what changes meanwhile is read again.
        let seen = identity.fingerprint();
        let opened = open(&identity)?;
        let expires_at = identity.expires_at();
        let user = opened.clone();
        let watched = Watched {
            what,
            identity,
            renew: Box::new(move || renew(&user)),
            seen: Mutex::new(seen),
            expires_at: AtomicI64::new(expires_at),
            renewed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        Ok((opened, watched))
    }

    /// Reads the files again if they have changed; blocking. Those that cannot be used change nothing, and are told once.
    pub fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.identity.fingerprint();
        if found == *seen {
            return;
        }
        *seen = found;
        match (self.renew)() {
            Ok(()) => {
                self.expires_at
                    .store(self.identity.expires_at(), Ordering::Relaxed);
                self.renewed.fetch_add(1, Ordering::Relaxed);
                info!(server = self.what, "uses a new certificate");
            }
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                warn!(
                    server = self.what,
                    %error,
                    "a new certificate cannot be used; the one before stays in use"
                );
            }
        }
    }

    /// Seconds since 1970 at which the certificate in use ceases to be valid; 0 if it does not say.
    pub fn expires_at(&self) -> i64 {
        self.expires_at.load(Ordering::Relaxed)
    }

    /// How often a new one was taken, and how often one was refused.
    pub fn changes(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.renewed), load(&self.refused))
    }
}

impl Identity {
    /// Of what the files hold. Not of their times: those need not change with them.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let authorities = self.client_authorities.as_ref();
        for path in [&self.certificate_chain, &self.private_key]
            .into_iter()
            .chain(authorities)
        {
            match std::fs::read(path) {
                Ok(content) => content.hash(&mut hasher),
                Err(error) => error.kind().hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}

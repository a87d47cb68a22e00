//! Places for connections that are at their handshakes: who is silent there keeps nobody out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// How long a connection keeps its place though another one wants it: more than the handshake of somebody who speaks takes,
/// over a slow network as well. So many places as an address may begin connections in that time are more than it can hold.
pub const HANDSHAKE_TURN: Duration = Duration::from_secs(1);

/// So many places. When all are taken, the one that was taken first is taken back for whoever comes, after its turn.
pub struct HandshakePlaces {
    free: Arc<Semaphore>,
    count: usize,
    turn: Duration,
    /// In the order in which they were taken. Some may be free again.
    taken: VecDeque<(Instant, Weak<Held>)>,
}

/// The place of one connection.
pub struct HandshakePlace(Arc<Held>);

struct Held {
    /// Whoever takes it out of here has the place.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    taken_back: Notify,
}

impl Held {
    fn take(&self) -> Option<OwnedSemaphorePermit> {
        // No code that can panic runs under the lock.
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.take()
    }
}

impl HandshakePlaces {
    /// All free.
    pub fn new(count: usize, turn: Duration) -> HandshakePlaces {
        HandshakePlaces {
            free: Arc::new(Semaphore::new(count)),
            count,
            turn,
            taken: VecDeque::new(),
        }
    }

    /// A place for a connection that has come. Dropped, it has taken none.
    pub async fn take(&mut self) -> HandshakePlace {
        let permit = self.permit().await;
        if self.taken.len() >= 2 * self.count {
            self.taken.retain(|(_, held)| held.strong_count() > 0);
        }
        let held = Arc::new(Held {
            permit: Mutex::new(Some(permit)),
            taken_back: Notify::new(),
        });
        let entry = (Instant::now(), Arc::downgrade(&held));
        self.taken.push_back(entry);
        HandshakePlace(held)
    }

    async fn permit(&mut self) -> OwnedSemaphorePermit {
        loop {
            let free = Arc::clone(&self.free).acquire_owned();
            let permit = match self.taken.front() {
                Some((since, _)) => timeout_at(*since + self.turn, free).await,
                // All who have places are done and keep them for what comes after.
                None => Ok(free.await),
            };
            if let Ok(permit) = permit {
                return permit.expect("the semaphore is never closed");
            }
            let first = self.taken.pop_front();
            let Some(held) = first.and_then(|(_, held)| held.upgrade()) else {
                continue;
            };
            if let Some(permit) = held.take() {
                held.taken_back.notify_one();
                return permit;
            }
        }
    }
}

impl HandshakePlace {
    /// Does the handshake as long as the place is not taken back; nothing if it is. Who is done keeps the place as long as what is
    /// given along exists.
    pub async fn during<T>(
        self,
        handshake: impl Future<Output = T>,
    ) -> Option<(T, OwnedSemaphorePermit)> {
        tokio::select! {
            done = handshake => Some((done, self.0.take()?)),
            () = self.0.taken_back.notified() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_first_and_is_not_done_makes_room_and_no_other_does() {
        let mut places = HandshakePlaces::new(2, HANDSHAKE_TURN);
        let first = tokio::spawn(places.take().await.during(pending::<()>()));
        let second = places.take().await;
        let _third = places.take().await;
        assert!(first.await.expect("it does not panic").is_none());
        assert!(second.during(ready(())).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_done_in_time_keeps_its_place_until_it_gives_it_back() {
        let mut places = HandshakePlaces::new(1, HANDSHAKE_TURN);
        let first = places.take().await.during(ready(7)).await;
        let (done, kept) = first.expect("nobody wants its place");
        assert_eq!(done, 7);
        let early = tokio::time::timeout(10 * HANDSHAKE_TURN, places.take());
        assert!(early.await.is_err(), "there is one place");
        drop(kept);
        let _second = places.take().await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_makes_room_before_its_turn_is_over() {
        let mut places = HandshakePlaces::new(1, HANDSHAKE_TURN);
        let begun = Instant::now();
        let _first = places.take().await;
        let _second = places.take().await;
        assert!(Instant::now() - begun >= HANDSHAKE_TURN);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_of_places_is_bounded() {
        let mut places = HandshakePlaces::new(2, HANDSHAKE_TURN);
        let _long = places.take().await;
        for _ in 0..100 {
            drop(places.take().await);
        }
        assert!(places.taken.len() <= 2 * 2);
    }
}

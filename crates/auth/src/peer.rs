//! Who tries again and again.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use skep_rate::{PerAddress, Rate};

use crate::Denied;

/// Wrong answers of one address that are looked at: a person's mistakes, then one a second. Passwords are guessed no faster.
const WRONG: Rate = Rate::new(1, 10);

/// A connection that requests come from.
#[derive(Debug)]
pub struct Peer {
    address: IpAddr,
    /// Somebody has been let in by it.
    is_known: AtomicBool,
}

impl Peer {
    /// From this address. Nobody has been let in by it yet.
    pub fn new(address: IpAddr) -> Peer {
        Peer {
            address,
            is_known: AtomicBool::new(false),
        }
    }
}

/// The addresses that wrong answers came from.
pub(crate) struct Wrong(PerAddress);

impl Wrong {
    pub fn new() -> Wrong {
        Wrong(PerAddress::new(WRONG, Instant::now()))
    }

    /// Checks as `check` does, but not what comes from an address that was wrong too often: it is told neither whether it is right now.
    /// A connection by which somebody was let in is not held up by others that have the same address.
    pub fn check(
        &self,
        peer: &Peer,
        now: Instant,
        check: impl FnOnce() -> Result<(), Denied>,
    ) -> Result<(), Denied> {
        let is_known = peer.is_known.load(Ordering::Relaxed);
        if !is_known && !self.0.has_one(peer.address, now) {
            return Err(Denied::TooOften);
        }
        let checked = check();
        match checked {
            Ok(()) if !is_known => peer.is_known.store(true, Ordering::Relaxed),
            Err(Denied::Unknown | Denied::Token) => {
                self.0.take(peer.address, now);
            }
            _ => {}
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn peer(number: u8) -> Peer {
        Peer::new(Ipv4Addr::new(10, 0, 0, number).into())
    }

    fn wrong_ten_times(wrong: &Wrong, peer: &Peer, now: Instant) {
        for _ in 0..10 {
            let checked = wrong.check(peer, now, || Err(Denied::Unknown));
            assert_eq!(checked, Err(Denied::Unknown));
        }
    }

    #[test]
    fn who_was_wrong_ten_times_is_not_looked_at_but_once_a_second() {
        let (wrong, now) = (Wrong::new(), Instant::now());
        wrong_ten_times(&wrong, &peer(1), now);
        let unseen = || panic!("nobody looks at it");
        assert_eq!(wrong.check(&peer(1), now, unseen), Err(Denied::TooOften));
        assert_eq!(wrong.check(&peer(2), now, || Ok(())), Ok(()));
        let later = now + Duration::from_secs(1);
        assert_eq!(wrong.check(&peer(1), later, || Ok(())), Ok(()));
    }

    #[test]
    fn a_connection_that_somebody_was_let_in_by_goes_on() {
        let (wrong, now) = (Wrong::new(), Instant::now());
        let known = peer(1);
        assert_eq!(wrong.check(&known, now, || Ok(())), Ok(()));
        wrong_ten_times(&wrong, &peer(1), now);
        assert_eq!(wrong.check(&known, now, || Ok(())), Ok(()));
        let unseen = || panic!("nobody looks at it");
        assert_eq!(wrong.check(&peer(1), now, unseen), Err(Denied::TooOften));
    }

    #[test]
    fn what_is_no_guess_does_not_count() {
        let (wrong, now) = (Wrong::new(), Instant::now());
        for denied in [Denied::Missing, Denied::Time, Denied::Audience] {
            for _ in 0..20 {
                let checked = wrong.check(&peer(1), now, || Err(denied));
                assert_eq!(checked, Err(denied));
            }
        }
    }
}

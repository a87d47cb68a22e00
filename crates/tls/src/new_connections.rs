//! How often each address may begin a connection.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use skep_rate::{PerAddress, Rate};
use tracing::warn;

/// Counts new connections by the address that they come from.
pub struct NewConnections {
    addresses: PerAddress,
    /// It was said that one begins too many.
    told: AtomicBool,
}

impl NewConnections {
    /// None yet.
    pub fn new(rate: Rate) -> NewConnections {
        NewConnections {
            addresses: PerAddress::new(rate, Instant::now()),
            told: AtomicBool::new(false),
        }
    }

    /// Whether a connection may begin that comes from there. If not, close it before anything is spent on it.
    ///
    /// Who is on this machine may as often as it likes: it could do worse, and may stand before others of everywhere.
    pub fn allows(&self, from: IpAddr, now: Instant) -> bool {
        let allowed = from.to_canonical().is_loopback() || self.addresses.take(from, now);
        if !allowed && !self.told.swap(true, Ordering::Relaxed) {
            warn!(
                %from,
                "an address begins connections faster than it may; what is too fast is closed at once"
            );
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_is_held_up_by_itself_alone_and_this_machine_never() {
        let rate = NewConnections::new(Rate::new(1, 2));
        let now = Instant::now();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        assert!(rate.allows(one, now) && rate.allows(one, now));
        assert!(!rate.allows(one, now));
        assert!(rate.allows(other, now));
        assert!(rate.allows(one, now + Duration::from_secs(1)));
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(address) {
            assert!((0..10).all(|_| rate.allows(here, now)));
        }
    }
}

//! A bucket for each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::Rate;

/// Addresses whose buckets are not full that are remembered. Those that come when there are as many share one.
const ADDRESSES_MAX: usize = 8_192;

/// Whom the addresses that are not remembered count as.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Buckets that all fill at one rate, each full when its address is seen first.
#[derive(Debug)]
pub struct PerAddress {
    rate: Rate,
    made: Instant,
    /// When each will be full, in nanoseconds since this was made.
    full_at: Mutex<HashMap<IpAddr, u64>>,
}

impl PerAddress {
    /// None seen yet.
    pub fn new(rate: Rate, now: Instant) -> PerAddress {
        PerAddress {
            rate,
            made: now,
            full_at: Mutex::default(),
        }
    }

    /// Whether there is one in the address's bucket.
    pub fn has_one(&self, address: IpAddr, now: Instant) -> bool {
        self.look(address, now, 0)
    }

    /// Takes one from the address's bucket, if there is one.
    pub fn take(&self, address: IpAddr, now: Instant) -> bool {
        self.look(address, now, 1)
    }

    fn look(&self, address: IpAddr, now: Instant, taken: u64) -> bool {
        let now = now.saturating_duration_since(self.made).as_nanos() as u64;
        // No code that can panic runs under the lock.
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = holder(address);
        if all.len() >= ADDRESSES_MAX && !all.contains_key(&key) {
            all.retain(|_, full_at| *full_at > now);
            if all.len() >= ADDRESSES_MAX {
                key = OTHERS;
            }
        }
        let full_at = all.get(&key).copied().unwrap_or(0);
        let there = self.rate.has_one(full_at, now);
        if there && taken > 0 {
            all.insert(key, self.rate.take(full_at, now, taken));
        }
        there
    }
}

/// What one holder of addresses has: of IPv6 that is a network, of which any address can be taken.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn v4(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(number))
    }

    #[test]
    fn each_address_has_a_bucket_of_its_own() {
        let now = Instant::now();
        let table = PerAddress::new(Rate::new(1, 2), now);
        assert!(table.take(v4(1), now) && table.take(v4(1), now));
        assert!(!table.take(v4(1), now) && !table.has_one(v4(1), now));
        assert!(table.take(v4(2), now));
        assert!(table.take(v4(1), now + Duration::from_secs(1)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_ipv4_within_ipv6_is_the_same() {
        let now = Instant::now();
        let table = PerAddress::new(Rate::new(1, 1), now);
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(table.take(address("2001:db8::1"), now));
        assert!(!table.take(address("2001:db8::ffff:1"), now));
        assert!(table.take(address("2001:db8:0:1::1"), now));
        assert!(table.take(address("10.0.0.1"), now));
        assert!(!table.take(address("::ffff:10.0.0.1"), now));
    }

    #[test]
    fn when_the_table_is_full_the_others_share_one_bucket_until_some_are_full_again() {
        let now = Instant::now();
        let table = PerAddress::new(Rate::new(1, 1), now);
        for number in 0..ADDRESSES_MAX as u32 {
            assert!(table.take(v4(number), now));
        }
        let others = v4(ADDRESSES_MAX as u32)..v4(ADDRESSES_MAX as u32 + 2);
        assert!(table.take(others.start, now));
        assert!(!table.take(others.end, now));
        let later = now + Duration::from_secs(1);
        assert!(table.take(others.start, later) && table.take(others.end, later));
    }
}

//! How often something may happen: so often in the long run, and so much at once before that.
//!
//! Owns: buckets that fill by the clock, one alone or one for each address.
//!
//! Invariants:
//! - Nothing is looked at but the time that the caller gives, so that a test needs no clock.
//! - A bucket of its own takes no lock. A table of addresses has a bound, whatever addresses come.
//!
//! Deliberately absent: waiting. Who finds the bucket empty is refused.

mod addresses;
mod bucket;

pub use addresses::PerAddress;
pub use bucket::{Bucket, Rate};

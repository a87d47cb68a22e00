//! One file per invariant. Each is checked after every step that can break it.

pub mod answered;
pub mod channels;
pub mod cut;
pub mod equal_states;
pub mod exactly_once;
pub mod liveness;
pub mod log_matching;
pub mod one_leader;
pub mod positions;
pub mod restored;
pub mod shadow;
pub mod store_behind_log;
pub mod votes;

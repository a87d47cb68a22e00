//! What a replica's store holds is in its log, or was once, or has come as content; and its log has all that is not in the
//! store. A log that is lost stands for nothing, and neither does a state that is lost: whoever loses them has lost what they held.

use skep_log::GroupLog;
use skep_partition::LocalPosition;

use crate::cluster::Stored;
use crate::violation::{Check, Violation};
use crate::world::Place;

/// Compares what both hold when a node starts.
pub fn check(place: Place, replica: &Stored, log: &GroupLog) -> Check {
    let (applied, installed) = (replica.applied, replica.installed);
    let violated = |detail: String| Err(Violation::new("store behind log", detail));
    let (first, next) = (
        log.first_index().unwrap_or(0),
        log.next_index().unwrap_or(0),
    );
    let stored = match applied == LocalPosition::default() {
        true => 0,
        false => applied.index + 1,
    };
    if stored > next && installed.is_none_or(|installed| stored > installed + 1) {
        return violated(format!(
            "{place:?} starts with entry {} in its store, but its log ends before entry {next}",
            applied.index
        ));
    }
    if first > stored && !replica.lost {
        return violated(format!(
            "{place:?} starts with a log from entry {first} on, but its store ends before entry {stored}"
        ));
    }
    Ok(())
}

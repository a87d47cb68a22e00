//! What a replica's store holds is in its log, or was once, or has come as content; and its log has all that is not in the store.

use skep_log::GroupLog;
use skep_partition::LocalPosition;

use crate::violation::{Check, Violation};
use crate::world::Place;

/// Compares what both hold when a node starts.
pub fn check(
    place: Place,
    applied: LocalPosition,
    installed: Option<u64>,
    log: &GroupLog,
) -> Check {
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
    if first > stored {
        return violated(format!(
            "{place:?} starts with a log from entry {first} on, but its store ends before entry {stored}"
        ));
    }
    Ok(())
}

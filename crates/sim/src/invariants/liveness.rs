//! When all faults are lifted and people do their work, everything completes: nothing is left but definitions and bookkeeping.

use std::collections::BTreeMap;

use skep_engine::tables::{incidents, prefix};
use skep_protocol::Key;
use skep_state::{KeyRange, KeyReader, Read, StateError, Visit};

use crate::violation::{Check, Violation};

/// Tables that are empty when nothing is under way.
const TRANSIENT: [(u8, &str); 25] = [
    (prefix::ELEMENT_INSTANCES, "element instances"),
    (prefix::ELEMENT_INSTANCE_CHILDREN, "children"),
    (prefix::TAKEN_SEQUENCE_FLOWS, "tokens at joins"),
    (prefix::VARIABLES, "variables"),
    (prefix::JOBS, "jobs"),
    (prefix::ACTIVATABLE_JOBS, "activatable jobs"),
    (prefix::JOB_DEADLINES, "deadlines of jobs"),
    (prefix::JOB_BACK_OFFS, "back-offs of jobs"),
    (prefix::INCIDENTS, "incidents"),
    (prefix::INCIDENT_BY_OWNER, "incidents by owner"),
    (prefix::TIMERS, "timers"),
    (prefix::TIMER_DUE_DATES, "due dates of timers"),
    (prefix::EVENT_TRIGGERS, "event triggers"),
    (prefix::BANNED_INSTANCES, "banned instances"),
    (prefix::AWAITED_RESULTS, "awaited results"),
    (prefix::CONTINUATIONS, "continuations"),
    (prefix::MESSAGES, "messages"),
    (prefix::MESSAGE_DEADLINES, "deadlines of messages"),
    (prefix::CORRELATED_MESSAGES, "correlated messages"),
    (prefix::MESSAGE_SUBSCRIPTIONS, "message subscriptions"),
    (
        prefix::WAITING_MESSAGE_SUBSCRIPTIONS,
        "waiting message subscriptions",
    ),
    (
        prefix::PROCESS_MESSAGE_SUBSCRIPTIONS,
        "process message subscriptions",
    ),
    (
        prefix::MESSAGE_STARTED_INSTANCES,
        "instances started by message",
    ),
    (prefix::PENDING_DISTRIBUTIONS, "pending distributions"),
    (prefix::OUTBOX, "commands not acknowledged"),
];

/// What is left in a state, by table; empty when nothing is under way.
pub fn left(state: &dyn Read) -> Check<BTreeMap<&'static str, usize>> {
    let mut left = BTreeMap::new();
    for (table, name) in TRANSIENT {
        let (from, to) = ([table], [table + 1]);
        let range = KeyRange {
            from: &from,
            to: Some(&to),
        };
        let mut count = 0;
        state
            .scan(range, &mut |_, _| {
                count += 1;
                Visit::Next
            })
            .map_err(|error| Violation::new("state", error.to_string()))?;
        if count > 0 {
            left.insert(name, count);
        }
    }
    Ok(left)
}

/// The first incident of a state, to tell why something does not go on.
pub fn an_incident(state: &dyn Read) -> Check<Option<String>> {
    let failed = |error: StateError| Violation::new("state", error.to_string());
    let (from, to) = ([prefix::INCIDENTS], [prefix::INCIDENTS + 1]);
    let range = KeyRange {
        from: &from,
        to: Some(&to),
    };
    let mut first = None;
    state
        .scan(range, &mut |key, _| {
            first = Some(Key(KeyReader::new(key).i64()));
            Visit::Stop
        })
        .map_err(failed)?;
    let Some(key) = first else {
        return Ok(None);
    };
    let incident = incidents::get(state, key).map_err(failed)?;
    Ok(incident.map(|incident| format!("incident {key}: {incident:?}")))
}

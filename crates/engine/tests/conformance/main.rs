//! Behaviours that Zeebe's own tests pin down, by area.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod banned;
mod bindings;
mod boundary_events;
mod call_activity;
mod cancel;
mod combinations;
mod compensation;
mod create;
mod decisions;
mod deletion;
mod errors;
mod escalations;
mod event_based_gateway;
mod event_sub_processes;
mod execution_listeners;
mod format;
mod gateways;
mod guards;
mod harness;
mod helpers;
mod incidents;
mod inclusive_joins;
mod jobs;
mod links;
mod many_elements;
mod messages;
mod migrate;
mod migrate_waiting;
mod modify;
mod multi_instance;
mod names;
mod random;
mod references;
mod safety;
mod scopes;
mod scripts;
mod signals;
mod tasks;
mod terminate;
mod timer_starts;
mod timers;
mod tokens;
mod user_tasks;
mod variables;

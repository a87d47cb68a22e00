//! What several processors and elements share, one file each.

pub(crate) mod calls;
pub(crate) mod channel;
pub(crate) mod decisions;
pub(crate) mod deployments;
pub(crate) mod errors;
pub(crate) mod escalations;
pub(crate) mod event_sub_processes;
pub(crate) mod events;
pub(crate) mod expressions;
pub(crate) mod incidents;
pub(crate) mod instances;
pub(crate) mod jobs;
pub(crate) mod joins;
pub(crate) mod lifecycle;
pub(crate) mod listeners;
pub(crate) mod mappings;
pub(crate) mod message_starts;
pub(crate) mod messages;
pub(crate) mod repetitions;
pub(crate) mod results;
pub(crate) mod signals;
pub(crate) mod start_names;
pub(crate) mod subscriptions;
pub(crate) mod timer_starts;
pub(crate) mod timers;
pub(crate) mod variables;

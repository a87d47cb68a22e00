//! What several processors and elements share, one file each.

pub(crate) mod channel;
pub(crate) mod deployments;
pub(crate) mod message_starts;
pub(crate) mod messages;

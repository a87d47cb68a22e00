//! One file per value type: what each of its commands does.

pub(crate) mod channel;
pub(crate) mod checkpoint;
pub(crate) mod deployment;
pub(crate) mod message;
pub(crate) mod message_subscription;
pub(crate) mod process_message_subscription;

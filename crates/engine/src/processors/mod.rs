//! One file per value type: what each of its commands does.

pub(crate) mod channel;
pub(crate) mod checkpoint;
pub(crate) mod command_distribution;
pub(crate) mod decision_evaluation;
pub(crate) mod deployment;
pub(crate) mod incident;
pub(crate) mod job;
pub(crate) mod job_batch;
pub(crate) mod message;
pub(crate) mod message_subscription;
pub(crate) mod process_instance;
pub(crate) mod process_instance_batch;
pub(crate) mod process_instance_creation;
pub(crate) mod process_instance_migration;
pub(crate) mod process_instance_modification;
pub(crate) mod process_message_subscription;
pub(crate) mod resource_deletion;
pub(crate) mod signal;
pub(crate) mod timer;
pub(crate) mod user_task;
pub(crate) mod variable_document;

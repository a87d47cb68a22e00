//! Records as JSON of Zeebe 8.6's shape.
//!
//! Names of fields, and which there are, follow Zeebe's record stream. What only Skep needs to know is not printed. What
//! Zeebe prints and Skep has no word for (tenants, authorizations) is printed as Zeebe prints it where it is not used.

mod decision;
mod deployment;
mod distribution;
mod event;
mod form;
mod incident;
mod job;
mod message;
mod operations;
mod process_instance;
mod user_task;
mod variable;
mod writer;

use skep_protocol::{Key, RecordValue, Rejection};

use crate::Exported;
use writer::Object;

/// Version of the records' shape, which Zeebe counts per intent.
const RECORD_VERSION: i64 = 1;

/// Appends the record as one object on one line, without the line's end.
pub(crate) fn put_record(out: &mut Vec<u8>, exported: &Exported<'_>, broker_version: &str) {
    let record = exported.record;
    let rejection = record.rejection.as_ref();
    let rejection_type = rejection.map_or("NULL_VAL", |rejection| rejection.rejection_type.name());
    let reason = rejection.map_or("", |Rejection { reason, .. }| reason);
    Object::write(out, |object| {
        object
            .number("position", exported.position.0)
            .optional("sourceRecordPosition", record.source_position.0)
            .number("key", record.key.0)
            .number("timestamp", exported.timestamp)
            .text("recordType", record.record_type.name())
            .text("valueType", record.intent.value_type().name())
            .text("intent", record.intent.name())
            .text("rejectionType", rejection_type)
            .text("rejectionReason", reason)
            .text("brokerVersion", broker_version)
            .number("recordVersion", RECORD_VERSION)
            .number("partitionId", exported.partition.0)
            .object("authorizations", |_| {})
            .number("operationReference", record.operation_reference.0)
            .object("value", |object| {
                put_value(object, &record.value, record.key)
            });
    });
}

// A table of all value types, which may be long. The key is the record's.
fn put_value(object: &mut Object<'_>, value: &RecordValue, key: Key) {
    match value {
        RecordValue::Job(value) => job::job(object, value),
        RecordValue::JobBatch(value) => job::batch(object, value),
        RecordValue::Deployment(value) => deployment::deployment(object, value, key),
        RecordValue::Process(value) => deployment::process(object, value),
        RecordValue::CommandDistribution(value) => distribution::distribution(object, value, key),
        RecordValue::ProcessInstance(value) => process_instance::instance(object, value),
        RecordValue::ProcessInstanceCreation(value) => process_instance::creation(object, value),
        RecordValue::ProcessInstanceResult(value) => process_instance::result(object, value),
        RecordValue::ProcessInstanceBatch(value) => process_instance::batch(object, value),
        RecordValue::ProcessEvent(value) => process_instance::event(object, value),
        RecordValue::Incident(value) => incident::incident(object, value),
        RecordValue::Error(value) => incident::error(object, value),
        RecordValue::Message(value) => message::message(object, value),
        RecordValue::MessageBatch(value) => message::batch(object, value),
        RecordValue::MessageSubscription(value) => message::subscription(object, value),
        RecordValue::ProcessMessageSubscription(value) => {
            message::process_subscription(object, value)
        }
        RecordValue::MessageStartEventSubscription(value) => {
            message::start_event_subscription(object, value)
        }
        RecordValue::Timer(value) => message::timer(object, value),
        RecordValue::Variable(value) => variable::variable(object, value),
        RecordValue::VariableDocument(value) => variable::document(object, value),
        RecordValue::Escalation(value) => event::escalation(object, value),
        RecordValue::Signal(value) => event::signal(object, value),
        RecordValue::SignalSubscription(value) => event::signal_subscription(object, value),
        RecordValue::CompensationSubscription(value) => {
            event::compensation_subscription(object, value)
        }
        RecordValue::Decision(value) => decision::decision(object, value),
        RecordValue::DecisionRequirements(value) => decision::requirements(object, value),
        RecordValue::DecisionEvaluation(value) => decision::evaluation(object, value),
        RecordValue::Form(value) => form::form(object, value),
        RecordValue::UserTask(value) => user_task::user_task(object, value),
        RecordValue::ResourceDeletion(value) => operations::resource_deletion(object, value),
        RecordValue::ProcessInstanceModification(value) => operations::modification(object, value),
        RecordValue::ProcessInstanceMigration(value) => operations::migration(object, value),
        RecordValue::Checkpoint(value) => operations::checkpoint(object, value),
    }
}

//! Values of records and commands. Field numbers are part of the durable formats: add, never change or reuse.
//!
//! Documents (variables, headers) are raw JSON text; an empty text means the empty document.

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

pub use decision::*;
pub use deployment::*;
pub use distribution::*;
pub use event::*;
pub use form::*;
pub use incident::*;
pub use job::*;
pub use message::*;
pub use operations::*;
pub use process_instance::*;
pub use user_task::*;
pub use variable::*;

use prost::Message as _;

use crate::{DecodeError, ValueType};

macro_rules! record_values {
    ($( $variant:ident($value:ty) ),+ $(,)?) => {
        /// The value of a record or command, by value type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum RecordValue { $( #[doc = concat!("Of value type ", stringify!($variant), ".")] $variant($value) ),+ }

        $( impl From<$value> for RecordValue {
            fn from(value: $value) -> RecordValue { RecordValue::$variant(value) }
        } )+

        impl RecordValue {
            /// What the value is about.
            pub const fn value_type(&self) -> ValueType {
                match self { $( RecordValue::$variant(_) => ValueType::$variant ),+ }
            }
            /// Appends the value's bytes.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self { $( RecordValue::$variant(value) => value.encode(out).expect("a Vec grows as needed") ),+ }
            }
            /// How many bytes [`RecordValue::encode`] appends.
            pub fn encoded_len(&self) -> usize {
                match self { $( RecordValue::$variant(value) => value.encoded_len() ),+ }
            }
            /// Reads the value of that type back.
            pub fn decode(value_type: ValueType, bytes: &[u8]) -> Result<RecordValue, DecodeError> {
                match value_type {
                    $( ValueType::$variant => <$value>::decode(bytes)
                        .map(RecordValue::$variant)
                        .map_err(|error| DecodeError::invalid(stringify!($variant), error)), )+
                    #[allow(unreachable_patterns)]
                    other => Err(DecodeError::Unknown { what: "value type", code: u64::from(other.code()) }),
                }
            }
        }
    };
}

record_values! {
    Job(Job), Deployment(Deployment), ProcessInstance(ProcessInstance), Incident(Incident), Message(Message),
    MessageSubscription(MessageSubscription), ProcessMessageSubscription(ProcessMessageSubscription),
    JobBatch(JobBatch), Timer(Timer), MessageStartEventSubscription(MessageStartEventSubscription),
    Variable(Variable), VariableDocument(VariableDocument), ProcessInstanceCreation(ProcessInstanceCreation),
    Error(Error), ProcessInstanceResult(ProcessInstanceResult), Process(Process),
    CommandDistribution(CommandDistribution), ProcessEvent(ProcessEvent), MessageBatch(MessageBatch),
    Escalation(Escalation), Signal(Signal), CompensationSubscription(CompensationSubscription), SignalSubscription(SignalSubscription),
    ProcessInstanceBatch(ProcessInstanceBatch), Checkpoint(Checkpoint),
    Decision(Decision), DecisionRequirements(DecisionRequirements), DecisionEvaluation(DecisionEvaluation),
    Form(Form), UserTask(UserTask), ResourceDeletion(ResourceDeletion),
    ProcessInstanceModification(ProcessInstanceModification), ProcessInstanceMigration(ProcessInstanceMigration),
}

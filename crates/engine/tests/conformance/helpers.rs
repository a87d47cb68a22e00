//! What tests of several areas set up and look at.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{
    Command, Intent, Key, RecordValue, RejectionType, ResourceDeletionIntent, ResponseResult,
    SignalIntent, values,
};

use crate::harness::Harness;

/// A partition with that process, whose id is `p`, and an instance of it.
pub fn created(process: &ProcessBuilder, variables: &str) -> (Harness, Key) {
    let mut harness = Harness::with(&process.xml());
    let instance = harness.create("p", variables);
    (harness, instance)
}

/// Why something was refused.
pub fn refusal(answer: ResponseResult) -> (RejectionType, String) {
    let rejection = answer.unwrap_err();
    (rejection.rejection_type, rejection.reason)
}

/// Deletes the resource of that key.
pub fn delete(harness: &mut Harness, key: Key) -> ResponseResult {
    let value = values::ResourceDeletion {
        resource_key: key.0,
        is_distributed: false,
    };
    let intent = ResourceDeletionIntent::Delete;
    harness.ask(Command::new(Key::NONE, intent, value))
}

/// Broadcasts a signal.
pub fn broadcast(harness: &mut Harness, name: &str, variables: &str) -> ResponseResult {
    let signal = values::Signal {
        signal_name: name.to_owned(),
        variables: variables.to_owned(),
        ..Default::default()
    };
    harness.ask(Command::new(Key::NONE, SignalIntent::Broadcast, signal))
}

/// The value of one value type.
pub trait Value: Sized {
    /// The value, if it is of the type.
    fn of(value: RecordValue) -> Option<Self>;
}

macro_rules! values {
    ($($name:ident),+ $(,)?) => {
        $(impl Value for values::$name {
            fn of(value: RecordValue) -> Option<Self> {
                match value {
                    RecordValue::$name(value) => Some(value),
                    _ => None,
                }
            }
        })+
    };
}

values! {
    CompensationSubscription, Decision, DecisionEvaluation, Deployment, Error, Escalation, Form, Job, Process,
    ProcessInstanceCreation, ProcessInstanceMigration,
    ProcessInstanceModification, ProcessInstanceResult, ProcessMessageSubscription, Timer, UserTask,
}

fn expect<V: Value>(value: RecordValue) -> V {
    let found = format!("{value:?}");
    V::of(value).unwrap_or_else(|| panic!("unexpected value {found}"))
}

/// The values of the events with that intent.
pub fn values_of<V: Value>(harness: &Harness, intent: impl Into<Intent>) -> Vec<V> {
    let events = harness.events(intent).into_iter();
    events.map(|record| expect(record.value.clone())).collect()
}

/// The value of an answer.
pub fn answered<V: Value>(answer: ResponseResult) -> V {
    expect(answer.unwrap().value)
}

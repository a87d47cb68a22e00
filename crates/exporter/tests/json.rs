//! The JSON of records: one of every value type as a golden file, and every intent.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod samples;

use std::collections::BTreeSet;

use serde_json::Value;
use skep_exporter::Exported;
use skep_protocol::values::{Job, Signal, Variable};
use skep_protocol::{
    Intent, JobIntent, Key, OperationReference, PartitionId, Position, Record, RecordType,
    RecordValue, Rejection, SignalIntent, ValueType, VariableIntent,
};

fn record(intent: Intent, value: RecordValue) -> Record {
    let record_type = if intent.is_event() {
        RecordType::Event
    } else {
        RecordType::Command
    };
    Record {
        record_type,
        intent,
        key: Key(2_251_799_813_685_249),
        source_position: Position(11),
        operation_reference: OperationReference::NONE,
        rejection: None,
        value,
    }
}

fn line(record: &Record) -> String {
    let exported = Exported {
        partition: PartitionId(1),
        position: Position(12),
        timestamp: 1_795_527_404_123,
        record,
    };
    let mut out = Vec::new();
    exported.put_json(&mut out, "8.6.0");
    String::from_utf8(out).unwrap()
}

fn json(record: &Record) -> Value {
    serde_json::from_str(&line(record)).unwrap()
}

#[test]
fn one_record_of_every_value_type_looks_as_it_always_did() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/golden/records.jsonl"
    );
    let lines = samples::all()
        .into_iter()
        .map(|(intent, value)| line(&record(intent, value)) + "\n");
    let text: String = lines.collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    for (found, expected) in text.lines().zip(golden.lines()) {
        assert_eq!(found, expected, "run with UPDATE_GOLDEN=1 if it is meant");
    }
    assert_eq!(text.lines().count(), golden.lines().count());
}

#[test]
fn there_is_a_sample_of_every_value_type_that_is_written_and_all_its_fields_are_set() {
    let sampled: BTreeSet<ValueType> = samples::all()
        .iter()
        .map(|(_, value)| value.value_type())
        .collect();
    for value_type in ValueType::ALL {
        let is_written = RecordValue::decode(*value_type, &[]).is_ok();
        assert_eq!(
            sampled.contains(value_type),
            is_written,
            "{}",
            value_type.name()
        );
    }
    // What is the same in all records, or comes from the record's key.
    let fixed = ["tenantId", "tenantIds", "changedAttributes", "duplicate"];
    for (intent, value) in samples::all() {
        let is_deployment = value.value_type() == ValueType::Deployment;
        let empty = RecordValue::decode(value.value_type(), &[]).unwrap();
        let (full, empty) = (json(&record(intent, value)), json(&record(intent, empty)));
        let fields = full["value"].as_object().unwrap();
        assert!(!fields.is_empty());
        for (name, found) in fields {
            let is_fixed =
                fixed.contains(&name.as_str()) || is_deployment && name == "deploymentKey";
            assert!(
                is_fixed || *found != empty["value"][name],
                "{}.{name} is {found} whether it is set or not",
                intent.value_type().name()
            );
        }
    }
}

#[test]
fn every_intent_of_every_value_type_has_a_json_form() {
    let mut intents = 0;
    for value_type in ValueType::ALL {
        let Ok(value) = RecordValue::decode(*value_type, &[]) else {
            continue;
        };
        for code in 0..=u8::MAX {
            let Ok(intent) = Intent::from_codes(value_type.code(), code) else {
                continue;
            };
            let json = json(&record(intent, value.clone()));
            assert_eq!(json["valueType"], value_type.name());
            assert_eq!(json["intent"], intent.name());
            assert!(json["value"].is_object());
            intents += 1;
        }
    }
    assert!(intents > 140, "{intents} intents");
}

#[test]
fn the_envelope_has_zeebes_fields() {
    let json = json(&record(JobIntent::Created.into(), Job::default().into()));
    let names: BTreeSet<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "authorizations",
        "brokerVersion",
        "intent",
        "key",
        "operationReference",
        "partitionId",
        "position",
        "recordType",
        "recordVersion",
        "rejectionReason",
        "rejectionType",
        "sourceRecordPosition",
        "timestamp",
        "value",
        "valueType",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    assert_eq!(json["position"], 12);
    assert_eq!(json["sourceRecordPosition"], 11);
    assert_eq!(json["recordType"], "EVENT");
    assert_eq!(json["rejectionType"], "NULL_VAL");
}

#[test]
fn a_record_says_what_its_client_called_the_operation() {
    let mut record = record(JobIntent::Created.into(), Job::default().into());
    assert_eq!(json(&record)["operationReference"], -1);
    record.operation_reference = OperationReference(70);
    assert_eq!(json(&record)["operationReference"], 70);
}

#[test]
fn a_rejection_says_why() {
    let mut rejected = record(JobIntent::Complete.into(), Job::default().into());
    rejected.record_type = RecordType::CommandRejection;
    rejected.rejection = Some(Rejection::not_found("no job \"7\"\nwas found"));
    let json = json(&rejected);
    assert_eq!(json["recordType"], "COMMAND_REJECTION");
    assert_eq!(json["rejectionType"], "NOT_FOUND");
    assert_eq!(json["rejectionReason"], "no job \"7\"\nwas found");
}

#[test]
fn a_variable_is_a_text_that_holds_json_and_documents_are_objects_on_one_line() {
    let variable = Variable {
        name: "order".to_owned(),
        value: "{\"a\": [1, \"x\\n\"]}".to_owned(),
        ..Variable::default()
    };
    let json = json(&record(VariableIntent::Created.into(), variable.into()));
    assert_eq!(json["value"]["value"], "{\"a\": [1, \"x\\n\"]}");
    let signal = Signal {
        variables: "{\n  \"a\": {\"b\":\r\n 1.50}\n}".to_owned(),
        ..Signal::default()
    };
    let text = line(&record(SignalIntent::Broadcasted.into(), signal.into()));
    assert!(!text.contains(['\n', '\r']), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["value"]["variables"]["a"]["b"], 1.5);
}

#[test]
fn what_only_skep_knows_is_not_printed() {
    for (intent, value) in samples::all() {
        let text = line(&record(intent, value));
        for internal in [
            "up_to",
            "upTo",
            "reached",
            "isDistributed",
            "correlating",
            "subscriptionPartition",
            "failureReason",
        ] {
            assert!(!text.contains(internal), "{internal} in {text}");
        }
    }
}

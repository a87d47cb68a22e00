//! Which records an exporter wants.

use skep_protocol::{Record, RecordType, ValueType};
use thiserror::Error;

/// A name that is none of a record type or value type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{name}' is no {what}; there are {known}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    known: String,
}

/// Wanted record types and value types.
#[derive(Debug, Clone)]
pub struct Filter {
    record_types: [bool; 3],
    value_types: [bool; 256],
}

const RECORD_TYPES: [RecordType; 3] = [
    RecordType::Event,
    RecordType::Command,
    RecordType::CommandRejection,
];

impl Default for Filter {
    /// Wants everything.
    fn default() -> Filter {
        Filter {
            record_types: [true; 3],
            value_types: [true; 256],
        }
    }
}

impl Filter {
    /// Wants those of these names; of an empty list, all.
    pub fn of_names(
        record_types: &[String],
        value_types: &[String],
    ) -> Result<Filter, UnknownName> {
        let mut filter = Filter::default();
        if !record_types.is_empty() {
            filter.record_types = [false; 3];
        }
        for name in record_types {
            let found = find("record type", name, &RECORD_TYPES, RecordType::name)?;
            filter.record_types[found as usize] = true;
        }
        if !value_types.is_empty() {
            filter.value_types = [false; 256];
        }
        for name in value_types {
            let found = find("value type", name, ValueType::ALL, ValueType::name)?;
            filter.value_types[usize::from(found.code())] = true;
        }
        Ok(filter)
    }

    /// Whether it is wanted.
    pub fn wants(&self, record: &Record) -> bool {
        self.record_types[record.record_type as usize]
            && self.value_types[usize::from(record.intent.value_type().code())]
    }
}

fn find<T: Copy>(
    what: &'static str,
    name: &str,
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
) -> Result<T, UnknownName> {
    let found = all
        .iter()
        .find(|one| name_of(**one).eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|one| name_of(*one)).collect();
        UnknownName {
            what,
            name: name.to_owned(),
            known: known.join(", "),
        }
    })
}

#[cfg(test)]
mod tests {
    use skep_protocol::values::{Job, Timer};
    use skep_protocol::{
        Intent, JobIntent, Key, OperationReference, Position, RecordValue, TimerIntent,
    };

    use super::*;

    fn record(record_type: RecordType, intent: Intent, value: RecordValue) -> Record {
        Record {
            record_type,
            intent,
            key: Key(1),
            source_position: Position::NONE,
            operation_reference: OperationReference::NONE,
            rejection: None,
            value,
        }
    }

    #[test]
    fn a_filter_wants_what_it_names_in_any_case_and_everything_if_it_names_nothing() {
        let job = record(
            RecordType::Event,
            JobIntent::Created.into(),
            Job::default().into(),
        );
        let timer = record(
            RecordType::Command,
            TimerIntent::Trigger.into(),
            Timer::default().into(),
        );
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let filter = Filter::of_names(&[], &names(&["job"])).unwrap();
        assert!(filter.wants(&job) && !filter.wants(&timer));
        let filter = Filter::of_names(&names(&["COMMAND"]), &[]).unwrap();
        assert!(!filter.wants(&job) && filter.wants(&timer));
        assert!(Filter::default().wants(&job) && Filter::default().wants(&timer));
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_there_are() {
        let error = Filter::of_names(&["EVENTS".to_owned()], &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "'EVENTS' is no record type; there are EVENT, COMMAND, COMMAND_REJECTION"
        );
        let error = Filter::of_names(&[], &["WORK".to_owned()]).unwrap_err();
        assert!(
            error.to_string().contains("PROCESS_INSTANCE, INCIDENT"),
            "{error}"
        );
    }
}

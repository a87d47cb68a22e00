//! Random processes, random commands: whatever happens, nothing is left behind.
//!
//! The harness evaluates every command twice and compares, and looks over the state after each.

mod blocks;

use std::collections::BTreeMap;

use proptest::prelude::*;
use skep_bpmn::model::{Element, ElementKind, Process};
use skep_engine::tables::element_instances::StoredElementInstance;
use skep_protocol::{
    Command, JobIntent, Key, ProcessInstanceMigrationIntent, ProcessInstanceModificationIntent,
    ProcessIntent, RejectionType, values,
};

use crate::harness::Harness;
use crate::helpers::{broadcast, values_of};
use crate::migrate::migrate;

#[derive(Debug, Clone)]
enum Step {
    Complete,
    Fail {
        retries: i32,
    },
    Throw,
    Resolve,
    Advance,
    Set,
    Signal,
    Message,
    /// Fails with a time to wait for.
    BackOff,
    /// Sets a variable at any element instance.
    SetLocal(usize),
    /// Has the locks of all jobs end.
    TimeOut,
    /// Activates any element, terminates any element instance, or both.
    Modify {
        activate: Option<usize>,
        terminate: Option<usize>,
    },
    /// Goes over to the other version of the process, with its events or without.
    Migrate {
        events: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Complete),
        2 => (0..2).prop_map(|retries| Step::Fail { retries }),
        2 => Just(Step::Throw),
        2 => Just(Step::Resolve),
        3 => Just(Step::Advance),
        1 => Just(Step::Set),
        2 => Just(Step::Signal),
        2 => Just(Step::Message),
        2 => any::<bool>().prop_map(|events| Step::Migrate { events }),
        1 => Just(Step::BackOff),
        1 => any::<usize>().prop_map(Step::SetLocal),
        1 => Just(Step::TimeOut),
        2 => any::<(Option<usize>, Option<usize>)>()
            .prop_map(|(activate, terminate)| Step::Modify { activate, terminate }),
    ]
}

fn apply(harness: &mut Harness, step: &Step, n: i64) {
    match step {
        Step::Complete => {
            for (job, _) in harness.activate("work", 1) {
                harness.complete(job, &format!(r#"{{"n":{n}}}"#)).unwrap();
            }
        }
        Step::Fail { retries } => {
            let value = values::Job {
                retries: *retries,
                ..Default::default()
            };
            report(harness, JobIntent::Fail, &value);
        }
        Step::Throw => {
            let value = values::Job {
                error_code: "E".to_owned(),
                ..Default::default()
            };
            report(harness, JobIntent::ThrowError, &value);
        }
        Step::BackOff => {
            let value = values::Job {
                retries: 1,
                retry_back_off: 1_500,
                ..Default::default()
            };
            report(harness, JobIntent::Fail, &value);
        }
        Step::SetLocal(which) => {
            if let Some(scope) = any_of(&harness.element_instances(), *which) {
                let _ = harness.set_variables(scope, &format!(r#"{{"n":{n}}}"#), true);
            }
        }
        Step::TimeOut => harness.advance(60_000),
        Step::Modify {
            activate,
            terminate,
        } => modify(harness, *activate, *terminate),
        Step::Resolve => resolve_all(harness),
        Step::Advance => harness.advance(1_000),
        Step::Set => {
            let instance = harness.key_of("p");
            let _ = harness.set_variables(instance, &format!(r#"{{"n":{n}}}"#), false);
        }
        Step::Signal => broadcast(harness, "alarm", "{}").map(drop).unwrap(),
        Step::Message => publish(harness, &format!(r#"{{"n":{n}}}"#)),
        Step::Migrate { events } => migrate_to_other(harness, *events),
    }
}

fn any_of(instances: &BTreeMap<i64, StoredElementInstance>, which: usize) -> Option<Key> {
    let place = which.checked_rem(instances.len())?;
    instances.keys().nth(place).map(|&key| Key(key))
}

fn modify(harness: &mut Harness, activate: Option<usize>, terminate: Option<usize>) {
    let instance = harness.key_of("p");
    let process = first_version(harness);
    let activate = activate.map(|which| values::ActivateInstruction {
        element_id: process.elements[which % process.elements.len()]
            .id
            .to_string(),
        ..Default::default()
    });
    let instances = harness.element_instances();
    let terminate = terminate
        .and_then(|which| any_of(&instances, which))
        .map(|key| values::TerminateInstruction {
            element_instance_key: key.0,
        });
    let modification = values::ProcessInstanceModification {
        process_instance_key: instance.0,
        activate_instructions: activate.into_iter().collect(),
        terminate_instructions: terminate.into_iter().collect(),
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    if let Err(rejection) = harness.ask(Command::new(instance, intent, modification)) {
        let expected = [RejectionType::InvalidArgument, RejectionType::NotFound];
        assert!(
            expected.contains(&rejection.rejection_type),
            "{rejection:?}"
        );
    }
}

fn first_version(harness: &Harness) -> Process {
    let versions: Vec<values::Process> = values_of(harness, ProcessIntent::Created);
    let version = versions
        .iter()
        .find(|version| version.bpmn_process_id == "p");
    skep_bpmn::parse("p.bpmn", &version.unwrap().resource)
        .unwrap()
        .remove(0)
}

/// Versions of the process differ in nothing, so that the instance goes on as if nothing had happened, or stays where it is.
fn migrate_to_other(harness: &mut Harness, events: bool) {
    let instance = harness.key_of("p");
    let versions: Vec<values::Process> = values_of(harness, ProcessIntent::Created);
    let versions: Vec<values::Process> = versions
        .into_iter()
        .filter(|version| version.bpmn_process_id == "p")
        .collect();
    let migrated: Vec<values::ProcessInstanceMigration> =
        values_of(harness, ProcessInstanceMigrationIntent::Migrated);
    // Instances begin with the last.
    let target = &versions[migrated.len() % 2];
    let process = skep_bpmn::parse("p.bpmn", &target.resource)
        .unwrap()
        .remove(0);
    let is_meant = |element: &&Element| {
        let is_attached = matches!(
            element.kind,
            ElementKind::BoundaryEvent(_) | ElementKind::StartEvent(_)
        );
        element.index != Process::ROOT && (events || !is_attached)
    };
    let ids: Vec<String> = process
        .elements
        .iter()
        .filter(is_meant)
        .map(|element| element.id.to_string())
        .collect();
    let mapping: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
    let key = Key(target.process_definition_key);
    if let Err(rejection) = migrate(harness, instance, key, &mapping) {
        let expected = [RejectionType::InvalidState, RejectionType::NotFound];
        assert!(
            expected.contains(&rejection.rejection_type),
            "{rejection:?}"
        );
    }
}

fn report(harness: &mut Harness, intent: JobIntent, value: &values::Job) {
    for (job, _) in harness.activate("work", 1) {
        harness.report(job, intent, value.clone()).unwrap();
    }
}

fn publish(harness: &mut Harness, variables: &str) {
    for name in ["go", "knock"] {
        harness.publish(name, "k", variables);
    }
}

fn resolve_all(harness: &mut Harness) {
    for (incident, value) in harness.incidents() {
        if value.job_key > 0 {
            let retries = values::Job {
                retries: 1,
                ..Default::default()
            };
            let _ = harness.report(Key(value.job_key), JobIntent::UpdateRetries, retries);
        }
        let _ = harness.resolve(incident);
    }
}

/// Does all work until the instance is over. Gives whether it is.
fn run_to_the_end(harness: &mut Harness) -> bool {
    for _ in 0..200 {
        if harness.active().is_empty() {
            return true;
        }
        resolve_all(harness);
        harness.advance(1_000);
        broadcast(harness, "alarm", "{}").unwrap();
        publish(harness, "{}");
        for (job, _) in harness.activate("work", 100) {
            // It is gone if another one's completion has ended its scope.
            if let Err(rejection) = harness.complete(job, "{}") {
                assert_eq!(rejection.rejection_type, RejectionType::NotFound);
            }
        }
        // Locks of jobs that a step activated and never reported on.
        harness.advance(60_000);
    }
    false
}

/// Few, unless more are asked for.
fn cases() -> u32 {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => 32,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_of_an_instance_that_ended(
        block in blocks::block(),
        steps in prop::collection::vec((step(), -1i64..2), 0..12),
        cancel: bool,
    ) {
        let mut harness = Harness::new();
        let processes = blocks::processes(&block);
        for process in &processes {
            harness.deploy(process);
        }
        let process = processes.last().unwrap();
        harness.deploy(&process.replace("targetNamespace", "name=\"other\" targetNamespace"));
        let instance = harness.create("p", r#"{"n":1,"key":"k"}"#);
        for (step, n) in &steps {
            apply(&mut harness, step, *n);
        }
        if cancel && !harness.active().is_empty() {
            harness.cancel(instance).unwrap();
        }
        if !run_to_the_end(&mut harness) {
            // Tokens that were put elsewhere may wait at a join for ever.
            let is_modified = steps.iter().any(|(step, _)| matches!(step, Step::Modify { .. }));
            prop_assert!(is_modified, "the instance does not come to an end: {:?}", harness.active());
            harness.cancel(instance).unwrap();
        }
        // Messages that nobody waited for.
        harness.advance(1_001);
        harness.assert_clean();
        let ends = harness.count("p COMPLETED") + harness.count("p TERMINATED");
        prop_assert_eq!(ends, 1);
    }
}

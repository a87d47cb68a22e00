//! Timer start events: their timers, and the instances that they start.
//!
//! **Invariants**
//! - Only the deployment partition has them, so that each starts one instance at a time in the whole cluster.
//! - Only the latest version of a process has timers.

use skep_bpmn::model::{self, Trigger};
use skep_feel::Environment;
use skep_protocol::{Key, TimerIntent, routing::DEPLOYMENT_PARTITION, values};

use crate::behaviours::instances::{self, Start};
use crate::behaviours::timers::{self, Schedule};
use crate::processing::{Processing, Result};
use crate::tables::processes;

/// The timer start events of a process, with when each is first due, or why it has no time.
pub(crate) fn schedules<'a>(
    process: &'a model::Process,
    now: i64,
    environment: &Environment,
) -> Vec<(
    &'a model::Element,
    std::result::Result<Option<Schedule>, String>,
)> {
    let starts = process.scope().start_events.iter();
    starts
        .map(|&index| process.element(index))
        .filter_map(|start| match start.trigger() {
            Some(Trigger::Timer(timer)) => Some((
                start,
                timers::schedule_without_instance(timer, now, environment),
            )),
            _ => None,
        })
        .collect()
}

/// A new version of a process is the latest: its timers take the place of those of the version before.
pub(crate) fn definition_deployed(p: &mut Processing, definition: Key) -> Result<()> {
    if p.config.partition != DEPLOYMENT_PARTITION {
        return Ok(());
    }
    let Some(definition) = p.definitions.process(p.txn, definition)? else {
        return Ok(());
    };
    if let Some(before) = processes::version_below(p.txn, &definition.id, definition.version)? {
        timers::cancel_where(p, before.key(), &|_| true)?;
    }
    let environment = Environment::at_epoch_millis(p.now(), p.context.seed);
    for (start, schedule) in schedules(&definition, p.now(), &environment) {
        // It was evaluated when it was deployed; one that depends on the clock may still fail here, and then is never due.
        let Ok(Some(schedule)) = schedule else {
            continue;
        };
        let timer = values::Timer {
            element_instance_key: Key::NONE.0,
            process_instance_key: Key::NONE.0,
            process_definition_key: definition.key.0,
            target_element_id: start.id.to_string(),
            ..values::Timer::default()
        };
        timers::set(p, timer, schedule)?;
    }
    Ok(())
}

/// The time of a start event has come: TIMER TRIGGERED, the next timer, and an instance that begins there.
pub(crate) fn trigger(p: &mut Processing, key: Key, timer: &values::Timer) -> Result<()> {
    let definition = p
        .definitions
        .process(p.txn, Key(timer.process_definition_key))?
        .expect("timers of start events belong to deployed definitions");
    let start = definition
        .element_by_id(&timer.target_element_id)
        .expect("a start event is an element of its definition");
    p.event(key, TimerIntent::Triggered, timer.clone());
    if let Some(Trigger::Timer(model)) = start.trigger() {
        let environment = Environment::at_epoch_millis(p.now(), p.context.seed);
        timers::create_next_without_instance(p, model, timer, &environment)?;
    }
    instances::create(p, &definition, Start::Event(start.index), "")?;
    Ok(())
}

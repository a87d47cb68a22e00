//! TIMER: a due date has come.

use skep_protocol::{Command, Key, RecordValue, Rejection, TimerIntent};

use crate::behaviours::events::{self, Trigger};
use crate::behaviours::{incidents, timer_starts, timers as behaviour};
use crate::processing::{Processing, Result};
use crate::tables::timers;

/// Evaluates a TIMER command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::Timer(value) = &command.value else {
        unreachable!("a TIMER command carries a timer");
    };
    let owner = timers::owner(value);
    let Some(timer) = timers::get(p.txn, owner, command.key)? else {
        let reason = format!(
            "Expected to trigger timer with key '{}', but no such timer was found",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    timers::delete(p.txn, command.key, &timer);
    if !Key(timer.element_instance_key).is_some() {
        return timer_starts::trigger(p, command.key, &timer);
    }
    if events::trigger(p, owner, &timer.target_element_id, "")? == Trigger::Refused {
        // It stays until its element ends and cancels it, but its time does not come again.
        timers::create(p.txn, command.key, &timer);
        timers::forget_due_date(p.txn, command.key, &timer);
        let reason = format!(
            "Expected to trigger timer with key '{}', but its element instance does not wait for it any more",
            command.key
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    }
    p.event(command.key, TimerIntent::Triggered, timer.clone());
    if let Some(instance) = p.instance(owner)? {
        let next = behaviour::create_next(p, &instance, &timer);
        incidents::raise_if_stopped(p, &instance, next)?;
    }
    Ok(())
}

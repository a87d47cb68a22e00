//! The engine as its partition sees it.

use skep_protocol::values;
use skep_protocol::{
    Command, Envelope, ErrorIntent, Intent, JobIntent, Key, RecordType, RecordValue, Rejection,
    RejectionType, RequestId, TimerIntent,
};
use skep_state::{Read, StateError, Txn};

use crate::behaviours::messages;
use crate::definitions::Definitions;
use crate::processing::{FollowUp, Processing, Result};
use crate::processors;
use crate::processors::channel::Received;
use crate::tables::{banned, continuations, jobs, timers};
use crate::{Context, EngineConfig, Outcome, limits};

/// What is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A client's command.
    Client {
        /// The command.
        command: Command,
        /// Who waits for the answer.
        request: Option<RequestId>,
    },
    /// A command that the partition feeds itself: something is due.
    Internal(Command),
    /// Something from another partition, or from this partition to itself.
    Envelope(Envelope),
}

/// What is due in a partition.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Due {
    /// Commands to feed to the engine now.
    pub commands: Vec<Command>,
    /// When to look again, in epoch milliseconds; `None` if nothing waits for a time.
    pub next: Option<i64>,
}

impl Due {
    /// Looks again at that time at the latest.
    pub(crate) fn look_again(&mut self, time: Option<i64>) {
        self.next = match (self.next, time) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    fn room(&self) -> usize {
        limits::DUE_COMMANDS_MAX.saturating_sub(self.commands.len())
    }
}

/// Evaluates the commands of one partition.
///
/// It holds nothing that does not follow from the state: another engine on the same state evaluates the same.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    definitions: Definitions,
}

impl Engine {
    /// An engine for a partition.
    pub fn new(config: EngineConfig) -> Engine {
        Engine {
            config,
            definitions: Definitions::default(),
        }
    }

    /// Evaluates an input in a transaction, together with what follows from it.
    ///
    /// # Errors
    /// If the state cannot be read. The transaction is to be dropped, and the replica to be stopped.
    pub fn process(
        &mut self,
        input: Input,
        txn: &mut dyn Txn,
        context: &Context,
    ) -> std::result::Result<Outcome, StateError> {
        let mut p = self.begin(txn, context);
        if let Some((first, request)) = accept(&mut p, input)? {
            evaluate(&mut p, first, request)?;
        }
        Ok(p.finish())
    }

    /// What came of an input whose evaluation panicked, in a new transaction: a client's command is rejected; the process
    /// instance of any other command is banned, so that the command does not come again.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn failed(
        &mut self,
        input: Input,
        txn: &mut dyn Txn,
        context: &Context,
        message: &str,
    ) -> std::result::Result<Outcome, StateError> {
        // What is in memory may be half changed.
        self.definitions = Definitions::default();
        let mut p = self.begin(txn, context);
        let is_client = matches!(input, Input::Client { .. });
        if let Some((failed, request)) = accept(&mut p, input)? {
            p.source = failed.position;
            p.request = request;
            give_up(&mut p, &failed, is_client, message)?;
        }
        Ok(p.finish())
    }

    /// What is due at a time.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn due(&self, state: &dyn Read, now: i64) -> std::result::Result<Due, StateError> {
        let mut due = Due::default();
        for (_, command) in continuations::oldest(state, due.room())? {
            due.commands.push(command);
        }
        due_timers(state, now, &mut due)?;
        due_jobs(state, now, &mut due)?;
        messages::due(state, now, &mut due)?;
        Ok(due)
    }

    fn begin<'a>(&'a mut self, txn: &'a mut dyn Txn, context: &Context) -> Processing<'a> {
        Processing::new(txn, &self.config, &mut self.definitions, *context)
    }
}

/// The command of an input, with the position of its record; `None` if there is nothing to evaluate.
fn accept(p: &mut Processing, input: Input) -> Result<Option<(FollowUp, Option<RequestId>)>> {
    let (command, request) = match input {
        Input::Client { command, request } => (command, request),
        Input::Internal(command) => {
            // A continuation has its record already.
            if let Some((position, continuation)) = continuations::oldest(p.txn, 1)?.pop()
                && continuation == command
            {
                continuations::delete(p.txn, position);
                return Ok(Some((FollowUp { command, position }, None)));
            }
            (command, None)
        }
        Input::Envelope(envelope) => match processors::channel::receive(p, &envelope)? {
            Received::Command(command) => (command, None),
            Received::Nothing => return Ok(None),
        },
    };
    let position = p.record(
        RecordType::Command,
        command.key,
        command.intent,
        command.value.clone(),
        None,
    );
    Ok(Some((FollowUp { command, position }, request)))
}

/// Evaluates a command and what follows from it, as far as there is room.
fn evaluate(p: &mut Processing, first: FollowUp, request: Option<RequestId>) -> Result<()> {
    p.request = request;
    let mut banned = BannedInstances::default();
    let mut next = Some(first);
    let mut evaluated = 0;
    while let Some(FollowUp { command, position }) = next {
        p.source = position;
        if banned.contains(p, &command)? {
            skip_banned(p, &command)?;
        } else {
            dispatch(p, &command)?;
        }
        p.request = None;
        evaluated += 1;
        if evaluated > limits::FOLLOW_UPS_MAX {
            for later in std::mem::take(&mut p.follow_ups) {
                continuations::create(p.txn, later.position, &later.command);
            }
        }
        next = p.follow_ups.pop_front();
    }
    Ok(())
}

fn dispatch(p: &mut Processing, command: &Command) -> Result<()> {
    match &command.value {
        RecordValue::ProcessInstance(_) => processors::process_instance::process(p, command),
        RecordValue::Job(_) => processors::job::process(p, command),
        RecordValue::JobBatch(_) => processors::job_batch::process(p, command),
        RecordValue::ProcessInstanceCreation(_) => {
            processors::process_instance_creation::process(p, command)
        }
        RecordValue::Incident(_) => processors::incident::process(p, command),
        RecordValue::VariableDocument(_) => processors::variable_document::process(p, command),
        RecordValue::Timer(_) => processors::timer::process(p, command),
        RecordValue::Deployment(_) | RecordValue::DeploymentDistribution(_) => {
            processors::deployment::process(p, command)
        }
        RecordValue::Message(_) | RecordValue::MessageBatch(_) => {
            processors::message::process(p, command)
        }
        RecordValue::MessageSubscription(_) => {
            processors::message_subscription::process(p, command)
        }
        RecordValue::ProcessMessageSubscription(_) => {
            processors::process_message_subscription::process(p, command)
        }
        RecordValue::Checkpoint(_) => processors::checkpoint::process(p, command),
        RecordValue::MessageStartEventSubscription(_)
        | RecordValue::Variable(_)
        | RecordValue::Error(_)
        | RecordValue::ProcessInstanceResult(_)
        | RecordValue::Process(_)
        | RecordValue::ProcessEvent(_) => {
            let reason = format!("{} is not a command", command.intent.name());
            p.reject(command, Rejection::invalid_argument(reason));
            Ok(())
        }
    }
}

/// The process instance that a command speaks of by itself. A client's command about a job, an incident or a variable names
/// none, and finds out by what it changes.
fn process_instance_of(command: &Command) -> Option<Key> {
    let key = match &command.value {
        RecordValue::ProcessInstance(_) if is_cancel(command) => command.key.0,
        RecordValue::ProcessInstance(value) => value.process_instance_key,
        RecordValue::Timer(value) => value.process_instance_key,
        RecordValue::Job(value) => value.process_instance_key,
        RecordValue::ProcessMessageSubscription(value) => value.process_instance_key,
        _ => return None,
    };
    (key > 0).then_some(Key(key))
}

fn is_cancel(command: &Command) -> bool {
    command.intent == Intent::ProcessInstance(skep_protocol::ProcessInstanceIntent::Cancel)
}

/// Answers of the table of banned instances, the latest of which is remembered: most commands of an evaluation are of one.
#[derive(Default)]
struct BannedInstances {
    latest: Option<(Key, bool)>,
}

impl BannedInstances {
    fn contains(&mut self, p: &mut Processing, command: &Command) -> Result<bool> {
        let Some(key) = process_instance_of(command) else {
            return Ok(false);
        };
        if let Some((latest, is_banned)) = self.latest
            && latest == key
        {
            return Ok(is_banned);
        }
        let is_banned = banned::is_banned(p.txn, key)?;
        self.latest = Some((key, is_banned));
        Ok(is_banned)
    }
}

/// A command of a banned instance does nothing. What was due is not due again. A client learns why nothing happens.
fn skip_banned(p: &mut Processing, command: &Command) -> Result<()> {
    forget_due(p, command);
    if p.request.is_some() {
        let reason = "The process instance is banned after an unexpected failure: its commands are not processed";
        p.reject(command, Rejection::invalid_state(reason));
    }
    Ok(())
}

/// Takes what a command was due for out of the queue of its time.
fn forget_due(p: &mut Processing, command: &Command) {
    match &command.value {
        RecordValue::Timer(timer) => timers::forget_due_date(p.txn, command.key, timer),
        RecordValue::Job(job) => jobs::forget_time(p.txn, command.key, job),
        _ => {}
    }
}

/// What is left to do about a command that cannot be evaluated.
fn give_up(p: &mut Processing, failed: &FollowUp, is_client: bool, message: &str) -> Result<()> {
    let command = &failed.command;
    let instance = process_instance_of(command);
    let bans = !is_client && !matches!(command.value, RecordValue::Job(_));
    let error = values::Error {
        exception_message: message.to_owned(),
        stacktrace: String::new(),
        error_event_position: failed.position.0,
        process_instance_key: instance.map_or(Key::NONE.0, Key::get),
    };
    let reason = format!(
        "Expected to process the command without failure, but processing failed: {message}"
    );
    p.reject(
        command,
        Rejection::new(RejectionType::ProcessingError, reason),
    );
    let key = p.next_key()?;
    p.event(key, ErrorIntent::Created, error);
    if !is_client {
        forget_due(p, command);
    }
    if let Some(instance) = instance.filter(|_| bans) {
        banned::ban(p.txn, instance);
    }
    Ok(())
}

fn due_timers(state: &dyn Read, now: i64, due: &mut Due) -> Result<()> {
    let (found, next) = timers::due(state, now, due.room())?;
    for (owner, key) in found {
        let timer = timers::get(state, owner, key)?;
        let timer =
            timer.unwrap_or_else(|| panic!("timer {key} has a due date but does not exist"));
        due.commands
            .push(Command::new(key, TimerIntent::Trigger, timer));
    }
    due.look_again(next);
    Ok(())
}

fn due_jobs(state: &dyn Read, now: i64, due: &mut Due) -> Result<()> {
    let (timed_out, next) = jobs::timed_out(state, now, due.room())?;
    push_jobs(state, timed_out, JobIntent::TimeOut, due)?;
    due.look_again(next);
    let (backed_off, next) = jobs::backed_off(state, now, due.room())?;
    push_jobs(state, backed_off, JobIntent::RecurAfterBackoff, due)?;
    due.look_again(next);
    Ok(())
}

fn push_jobs(state: &dyn Read, keys: Vec<Key>, intent: JobIntent, due: &mut Due) -> Result<()> {
    for key in keys {
        let stored = jobs::get(state, key)?;
        let stored = stored.unwrap_or_else(|| panic!("job {key} has a time but does not exist"));
        due.commands.push(Command::new(key, intent, stored.job));
    }
    Ok(())
}

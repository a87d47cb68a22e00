//! The engine as its partition sees it.

use skep_protocol::{
    Command, Envelope, EnvelopeBody, JobIntent, Key, Position, RecordType, RecordValue, Rejection,
    RejectionType, RequestId, TimerIntent,
};
use skep_state::{LimitExceeded, Read, StateError, Txn};

use crate::banned::{self, Banned};
use crate::behaviours::messages;
use crate::definitions::Definitions;
use crate::processing::{FollowUp, Processing, Result};
use crate::processors;
use crate::processors::channel::Received;
use crate::subject::{Subject, Unwatched, Watch};
use crate::tables::{continuations, jobs, timers};
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
    /// A process instance whose evaluation fails in a way that leaves no other choice is to be banned, if it still exists.
    Ban {
        /// The instance.
        process_instance: Key,
        /// What happened, for the record stream.
        reason: String,
    },
}

/// Why an evaluation came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It panicked.
    Panic(String),
    /// It exceeded a limit.
    Limit(LimitExceeded),
}

/// What is left of an input whose evaluation came to no end.
#[derive(Debug)]
pub struct Failed {
    /// What the partition does about it, in the new transaction.
    pub outcome: Outcome,
    /// The input, if it is to be evaluated once more: an instance that it happened to meet is banned now.
    pub again: Option<Input>,
}

impl Failure {
    fn message(&self) -> String {
        match self {
            Failure::Panic(message) => message.clone(),
            Failure::Limit(limit) => limit.to_string(),
        }
    }

    fn rejection(&self, command: &Command) -> Rejection {
        let is_modification = matches!(command.value, RecordValue::ProcessInstanceModification(_));
        if is_modification && *self == Failure::Limit(LimitExceeded::Evaluation) {
            return Rejection::invalid_argument(format!(
                "Unable to modify process instance with key '{}' as the size exceeds the maximum batch size. \
                 Please reduce the size by splitting the modification into multiple commands.",
                command.key
            ));
        }
        let (rejection_type, lead) = match self {
            Failure::Panic(_) => (
                RejectionType::ProcessingError,
                "Expected to process the command without failure, but processing failed",
            ),
            Failure::Limit(LimitExceeded::Key { .. }) => (
                RejectionType::InvalidArgument,
                "Expected to process the command, but it exceeds a limit",
            ),
            Failure::Limit(LimitExceeded::Evaluation) => (
                RejectionType::ExceededBatchRecordSize,
                "Expected to process the command, but it exceeds a limit",
            ),
        };
        Rejection::new(rejection_type, format!("{lead}: {}", self.message()))
    }
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
    banned: Banned,
    /// Whose evaluation is under way, or panicked.
    subject: Option<Subject>,
}

impl Engine {
    /// An engine for a partition.
    pub fn new(config: EngineConfig) -> Engine {
        Engine {
            config,
            definitions: Definitions::default(),
            banned: Banned::default(),
            subject: None,
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
        self.process_watched(input, txn, context, &mut Unwatched)
    }

    /// [`Engine::process`], with somebody told whose evaluation begins, before anything can go wrong in it.
    ///
    /// # Errors
    /// If the state cannot be read. The transaction is to be dropped, and the replica to be stopped.
    pub fn process_watched(
        &mut self,
        input: Input,
        txn: &mut dyn Txn,
        context: &Context,
        watch: &mut dyn Watch,
    ) -> std::result::Result<Outcome, StateError> {
        self.subject = None;
        let is_client = matches!(input, Input::Client { .. });
        let (mut p, subject) = self.begin(txn, context);
        if let Input::Ban {
            process_instance,
            reason,
        } = &input
        {
            if banned::can_be_banned(&mut p, *process_instance)? {
                banned::ban(&mut p, *process_instance, Position::NONE, reason)?;
            }
        } else if let Some((first, request)) = accept(&mut p, input)? {
            p.request = request;
            let of_first = Subject::of_first(&first.command, is_client);
            evaluate(&mut p, first, of_first, &mut Watched { watch, subject })?;
        }
        Ok(p.finish())
    }

    /// What is left of an input whose evaluation came to no end, in a new transaction.
    ///
    /// The process instance whose step panicked is banned, so that it does not come again; a client's own command bans nothing
    /// but is rejected. What only happened to meet such an instance is evaluated once more, without it. A limit that a client's
    /// command exceeds bans nothing.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn failed(
        &mut self,
        input: Input,
        txn: &mut dyn Txn,
        context: &Context,
        failure: &Failure,
    ) -> std::result::Result<Failed, StateError> {
        // What is in memory may be half changed.
        self.definitions = Definitions::default();
        self.banned = Banned::default();
        let culprit = self.subject.take().map_or_else(
            || own_command(&input).and_then(Subject::culprit_of_own),
            |subject| subject.culprit(),
        );
        let (mut p, _) = self.begin(txn, context);
        let culprit = match culprit {
            Some(instance) if banned::can_be_banned(&mut p, instance)? => Some(instance),
            _ => None,
        };
        let is_client = matches!(input, Input::Client { .. });
        let message = failure.message();
        if let (false, Some(instance)) = (is_client, culprit) {
            banned::ban(&mut p, instance, Position::NONE, &message)?;
            return Ok(Failed {
                outcome: p.finish(),
                again: Some(input),
            });
        }
        if let Some((failed, request)) = accept(&mut p, input)? {
            p.source = failed.position;
            p.request = request;
            let rejection = failure.rejection(&failed.command);
            give_up(&mut p, &failed, is_client, rejection)?;
            match (failure, culprit) {
                (Failure::Limit(_), _) => {}
                (Failure::Panic(_), Some(instance)) => {
                    banned::ban(&mut p, instance, failed.position, &message)?;
                }
                (Failure::Panic(_), None) => {
                    banned::write_error(&mut p, Key::NONE, failed.position, &message)?;
                }
            }
        }
        Ok(Failed {
            outcome: p.finish(),
            again: None,
        })
    }

    /// Gives an input up that must not be evaluated, as if its evaluation had failed.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn refuse(
        &mut self,
        input: Input,
        txn: &mut dyn Txn,
        context: &Context,
        reason: &str,
    ) -> std::result::Result<Failed, StateError> {
        self.subject = None;
        self.failed(input, txn, context, &Failure::Panic(reason.to_owned()))
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

    fn begin<'a>(
        &'a mut self,
        txn: &'a mut dyn Txn,
        context: &Context,
    ) -> (Processing<'a>, &'a mut Option<Subject>) {
        let processing = Processing::new(
            txn,
            &self.config,
            &mut self.definitions,
            &mut self.banned,
            *context,
        );
        (processing, &mut self.subject)
    }
}

/// The evaluation under way, as it is seen when it does not end.
struct Watched<'a> {
    watch: &'a mut dyn Watch,
    subject: &'a mut Option<Subject>,
}

impl Watched<'_> {
    fn begins(&mut self, subject: Subject) {
        let before = self.subject.replace(subject);
        if before.is_none_or(|before| before.process_instance != subject.process_instance) {
            self.watch.begins(&subject);
        }
    }
}

impl Input {
    /// The command, unless there is none to evaluate.
    pub fn command(&self) -> Option<&Command> {
        match self {
            Input::Client { command, .. } => Some(command),
            _ => own_command(self),
        }
    }
}

/// The command in an input, unless a client's.
fn own_command(input: &Input) -> Option<&Command> {
    match input {
        Input::Internal(command) => Some(command),
        Input::Envelope(Envelope {
            body: EnvelopeBody::Command { command, .. },
            ..
        }) => Some(command),
        Input::Client { .. } | Input::Envelope(_) | Input::Ban { .. } => None,
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
                p.operation_reference = command.operation_reference;
                return Ok(Some((FollowUp { command, position }, None)));
            }
            (command, None)
        }
        Input::Envelope(envelope) => match processors::channel::receive(p, &envelope)? {
            Received::Command(command) => (command, None),
            Received::Nothing => return Ok(None),
        },
        Input::Ban { .. } => return Ok(None),
    };
    p.operation_reference = command.operation_reference;
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
fn evaluate(
    p: &mut Processing,
    first: FollowUp,
    mut subject: Subject,
    watched: &mut Watched,
) -> Result<()> {
    let mut next = Some(first);
    let mut evaluated = 0;
    while let Some(FollowUp { command, position }) = next {
        p.source = position;
        if evaluated > 0 {
            subject = subject.of_follow_up(&command, p);
        }
        if banned::is_of_banned(p, &command)? {
            banned::skip(p, &command)?;
        } else {
            watched.begins(subject);
            dispatch(p, &command)?;
        }
        p.request = None;
        evaluated += 1;
        if evaluated > limits::FOLLOW_UPS_MAX || p.bytes() > limits::FOLLOW_UP_BYTES_MAX {
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
        RecordValue::Deployment(_) => processors::deployment::process(p, command),
        RecordValue::CommandDistribution(_) => {
            processors::command_distribution::process(p, command)
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
        RecordValue::ProcessInstanceBatch(_) => {
            processors::process_instance_batch::process(p, command)
        }
        RecordValue::DecisionEvaluation(_) => processors::decision_evaluation::process(p, command),
        RecordValue::Signal(_) => processors::signal::process(p, command),
        RecordValue::UserTask(_) => processors::user_task::process(p, command),
        RecordValue::ResourceDeletion(_) => processors::resource_deletion::process(p, command),
        RecordValue::ProcessInstanceModification(_) => {
            processors::process_instance_modification::process(p, command)
        }
        RecordValue::ProcessInstanceMigration(_) => {
            processors::process_instance_migration::process(p, command)
        }
        RecordValue::Checkpoint(_) => processors::checkpoint::process(p, command),
        RecordValue::MessageStartEventSubscription(_)
        | RecordValue::Variable(_)
        | RecordValue::Escalation(_)
        | RecordValue::SignalSubscription(_)
        | RecordValue::CompensationSubscription(_)
        | RecordValue::Error(_)
        | RecordValue::ProcessInstanceResult(_)
        | RecordValue::Process(_)
        | RecordValue::Form(_)
        | RecordValue::ProcessEvent(_)
        | RecordValue::Decision(_)
        | RecordValue::DecisionRequirements(_) => {
            let reason = format!("{} is not a command", command.intent.name());
            p.reject(command, Rejection::invalid_argument(reason));
            Ok(())
        }
    }
}

/// What is left to do about a command that cannot be evaluated.
fn give_up(
    p: &mut Processing,
    failed: &FollowUp,
    is_client: bool,
    rejection: Rejection,
) -> Result<()> {
    p.reject(&failed.command, rejection);
    if is_client {
        return Ok(());
    }
    banned::forget_due(p, &failed.command);
    banned::give_message_back(p, &failed.command)
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

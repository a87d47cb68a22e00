//! The leader's processor: commands into batches, batches into proposals.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use skep_engine::tables::checkpoint;
use skep_engine::{Context, Failed, Failure, Input, Outcome, Subject};
use skep_protocol::{
    Batch, BatchHeader, CheckpointId, CheckpointIntent, LogEntry, Position, Record, RequestId,
    WriteOp,
};
use skep_state::{Layer, LimitExceeded, Op, Transaction};
use tracing::{error, warn};

use crate::backups::checkpoint_command;
use crate::leader::{InFlight, Leadership, Leading};
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_COMMANDS_MAX, BATCHES_IN_FLIGHT_MAX, UNFLUSHED_BYTES_MAX,
};
use crate::replica::{Queued, Replica};
use crate::{Consensus, Effects, ReplicaError, Tally};

/// A batch being built.
struct Building {
    time: i64,
    first_position: Position,
    records: Vec<Record>,
    record_bytes: usize,
    commands: usize,
    effects: InFlight,
    #[cfg(feature = "testkit")]
    inputs: Vec<(Input, Context)>,
}

impl<C: Consensus, E: Effects> Replica<C, E> {
    /// Builds and proposes batches while there is something to do and room for it.
    pub(crate) fn process(&mut self) -> Result<(), ReplicaError> {
        self.feed_due()?;
        self.feed_bans();
        while !self.queue.is_empty() && self.has_room() {
            self.build_batch()?;
        }
        Ok(())
    }

    fn leading(&mut self) -> &mut Leading {
        match &mut self.leadership {
            Leadership::Leading(leading) => leading,
            _ => panic!("only a leader processes"),
        }
    }

    fn has_room(&self) -> bool {
        let Leadership::Leading(leading) = &self.leadership else {
            return false;
        };
        leading.in_flight.len() < BATCHES_IN_FLIGHT_MAX
            && self.overlay.unflushed_bytes() < UNFLUSHED_BYTES_MAX
    }

    /// Looks for what is due, at most every [`DUE_POLL_MS`], and puts it before what waits.
    fn feed_due(&mut self) -> Result<(), ReplicaError> {
        let now = self.now;
        let time = self.batch_time();
        let leading = self.leading();
        let wanted = leading.due_unknown || leading.due_at.is_some_and(|at| at <= time);
        if !wanted || now < leading.next_poll() || !self.has_room() {
            return Ok(());
        }
        let due = self.engine.due(&self.overlay, time)?;
        let leading = self.leading();
        leading.due_polled_at = now;
        leading.due_at = due.next;
        leading.due_unknown = false;
        for command in due.commands.into_iter().rev() {
            self.queue.push_front(Input::Internal(command).into());
        }
        Ok(())
    }

    /// What has killed its process comes before everything that may do so again.
    fn feed_bans(&mut self) {
        for process_instance in std::mem::take(&mut self.to_ban) {
            let reason =
                "Evaluating the process instance has ended the node more than once".to_owned();
            let ban = Input::Ban {
                process_instance,
                reason,
            };
            self.queue.push_front(ban.into());
        }
    }

    /// In how many milliseconds [`Replica::run`] is to be called although no event came; `None` for never.
    pub fn wake_in(&self) -> Option<i64> {
        let at = self.wake_at().map(|at| at.saturating_sub(self.now).max(0));
        [at, self.clock.read_again_in()].into_iter().flatten().min()
    }

    fn wake_at(&self) -> Option<i64> {
        let leading = match &self.leadership {
            Leadership::Follower => return None,
            Leadership::Elected { again_at, .. } => return *again_at,
            Leadership::Leading(leading) => leading,
        };
        // Without room nothing can be done before the next event, which makes room.
        let due = match leading.due_unknown {
            _ if !self.has_room() => None,
            true => Some(leading.next_poll()),
            false => leading.due_at.map(|at| at.max(leading.next_poll())),
        };
        let counts_on = self.remembered.open_incidents.known().is_none();
        let counting = counts_on.then_some(self.now);
        [due, counting, self.resend.overdue_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The leader's clock, never going back within the partition.
    fn batch_time(&mut self) -> i64 {
        self.now.max(self.leading().time)
    }

    fn build_batch(&mut self) -> Result<(), ReplicaError> {
        let time = self.batch_time();
        let leading = self.leading();
        let sequence = leading.sequence.next();
        let first_position = leading.position.next();
        let mut building = Building {
            time,
            first_position,
            records: Vec::new(),
            record_bytes: 0,
            commands: 0,
            effects: InFlight {
                sequence,
                last_position: leading.position,
                responses: Vec::new(),
                requests: Vec::new(),
                answered_later: Vec::new(),
                sends: Vec::new(),
                acknowledgements: Vec::new(),
                jobs_available: Vec::new(),
                checkpoint: CheckpointId::NONE,
                tally: Tally::default(),
                proposed: Instant::now(),
            },
            #[cfg(feature = "testkit")]
            inputs: Vec::new(),
        };
        self.overlay.begin_batch();
        while building.effects.checkpoint == CheckpointId::NONE
            && building.commands < BATCH_COMMANDS_MAX
            && self.overlay.batch_writes().bytes() + building.record_bytes < BATCH_BYTES_MAX
            && let Some(input) = self.next_input()?
        {
            self.evaluate(input, &mut building)?;
        }
        self.note.erase();
        self.propose(building);
        Ok(())
    }

    /// The next input; an envelope of a sender with a higher checkpoint has that checkpoint taken first.
    fn next_input(&mut self) -> Result<Option<Input>, ReplicaError> {
        if let Some(Queued {
            input: Input::Envelope(envelope),
            ..
        }) = self.queue.front()
            && envelope.checkpoint_id > checkpoint::latest(&self.overlay)?.id
        {
            let create = checkpoint_command(
                CheckpointIntent::Create,
                envelope.checkpoint_id,
                String::new(),
            );
            return Ok(Some(Input::Internal(create)));
        }
        let Some(Queued { input, submitted }) = self.queue.pop_front() else {
            return Ok(None);
        };
        if matches!(input, Input::Client { .. }) {
            self.commands_taken += 1;
        }
        if let Some(submitted) = submitted {
            self.measures.waited(submitted.elapsed());
        }
        Ok(Some(input))
    }

    fn evaluate(&mut self, input: Input, building: &mut Building) -> Result<(), ReplicaError> {
        let context = Context {
            time: building.time,
            seed: self.draw(),
            first_position: Position(building.first_position.0 + building.records.len() as i64),
        };
        let request = request_of(&input);
        let begun = Instant::now();
        let (outcome, writes) = self.evaluate_safely(&input, &context)?;
        if let Some(command) = input.command() {
            self.measures.evaluated(command.intent, begun.elapsed());
        }
        self.overlay.absorb(writes);
        building.commands += 1;
        building.record_bytes += outcome.record_bytes;
        building.records.extend(outcome.records);
        let effects = &mut building.effects;
        effects.requests.extend(request);
        for response in &outcome.responses {
            let of_another = Some(response.request) != request;
            if of_another && !effects.requests.contains(&response.request) {
                effects.answered_later.push(response.request);
            }
        }
        effects.responses.extend(outcome.responses);
        effects.sends.extend(outcome.sends);
        effects.acknowledgements.extend(outcome.acknowledgements);
        effects.jobs_available.extend(outcome.jobs_available);
        effects.checkpoint = outcome.checkpoint.unwrap_or(CheckpointId::NONE);
        #[cfg(feature = "testkit")]
        if self.testkit.evaluated.is_some() {
            building.inputs.push((input, context));
        }
        Ok(())
    }

    /// Evaluates in a transaction; a panic, or a limit that is exceeded, drops it and has the engine decide about what is left.
    fn evaluate_safely(
        &mut self,
        input: &Input,
        context: &Context,
    ) -> Result<(Outcome, Layer), ReplicaError> {
        if self.is_deadly(input) {
            let reason = "Evaluating it has ended the node more than once";
            let mut txn = Transaction::new(&self.overlay);
            let refused = self
                .engine
                .refuse(input.clone(), &mut txn, context, reason)?;
            let writes = txn.into_writes();
            return Ok(self.take_failed(refused, writes));
        }
        let mut txn = Transaction::new(&self.overlay);
        let (engine, note) = (&mut self.engine, &mut self.note);
        let result = catch_unwind(AssertUnwindSafe(|| {
            engine.process_watched(input.clone(), &mut txn, context, &mut **note)
        }));
        self.note.survived();
        let failure = match result {
            Ok(outcome) => return Ok((outcome?, txn.into_writes())),
            Err(panic) => failure_of(&*panic),
        };
        let mut txn = Transaction::new(&self.overlay);
        let failed = self
            .engine
            .failed(input.clone(), &mut txn, context, &failure)?;
        let writes = txn.into_writes();
        Ok(self.take_failed(failed, writes))
    }

    fn take_failed(&mut self, failed: Failed, writes: Layer) -> (Outcome, Layer) {
        if let Some(input) = failed.again {
            self.queue.push_front(input.into());
        }
        (failed.outcome, writes)
    }

    /// Whether an input has killed its process too often.
    fn is_deadly(&self, input: &Input) -> bool {
        !self.to_refuse.is_empty()
            && Subject::of_input(input)
                .is_some_and(|input| self.to_refuse.iter().any(|deadly| deadly.is_same(&input)))
    }

    fn propose(&mut self, mut building: Building) {
        let writes = self
            .overlay
            .batch_writes()
            .iter()
            .map(|(key, op)| (key.clone(), into_wire(op)))
            .collect();
        building.effects.last_position =
            Position(building.first_position.0 + building.records.len() as i64 - 1);
        self.records_written += building.records.len() as u64;
        building.effects.tally = Tally::of(
            &building.records,
            building.commands,
            building.time,
            &mut self.remembered,
        );
        building.effects.tally.last_position = building.effects.last_position;
        building.effects.proposed = Instant::now();
        let leading = self.leading();
        let header = BatchHeader {
            epoch: leading.epoch,
            sequence: building.effects.sequence,
            time: building.time,
            first_position: building.first_position,
            checkpoint: building.effects.checkpoint,
        };
        leading.sequence = header.sequence;
        leading.position = building.effects.last_position;
        leading.time = building.time;
        leading.due_unknown = true;
        #[allow(unused_mut)]
        let mut effects = building.effects;
        let batch = Batch {
            header,
            records: building.records,
            writes,
        };
        #[cfg(feature = "testkit")]
        {
            if self.testkit.faults.answer_early {
                for response in std::mem::take(&mut effects.responses) {
                    self.effects.respond(response);
                }
            }
            if let Some(evaluated) = &mut self.testkit.evaluated {
                evaluated.push(crate::replica::testkit::Evaluated {
                    inputs: building.inputs,
                    batch: batch.clone(),
                });
            }
        }
        self.leading().in_flight.push_back(effects);
        self.consensus.propose(LogEntry::Batch(batch).encode());
    }
}

fn request_of(input: &Input) -> Option<RequestId> {
    match input {
        Input::Client { request, .. } => *request,
        _ => None,
    }
}

fn into_wire(op: &Op) -> WriteOp {
    match op {
        Op::Insert(value) => WriteOp::Insert(value.clone()),
        Op::Put(value) => WriteOp::Put(value.clone()),
        Op::Delete => WriteOp::Delete,
    }
}

fn failure_of(panic: &(dyn std::any::Any + Send)) -> Failure {
    match LimitExceeded::from_panic(panic) {
        Some(limit) => {
            warn!(%limit, "a command is refused");
            Failure::Limit(limit)
        }
        None => {
            let message = panic_text(panic);
            error!(
                message,
                "processing a command failed unexpectedly; it is rejected, or its instance banned"
            );
            Failure::Panic(message)
        }
    }
}

/// What a panic says.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without text".to_owned())
}

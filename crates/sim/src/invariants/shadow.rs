//! Every batch, evaluated again by another engine on another copy of the state, gives the same records and writes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use skep_engine::{Engine, Outcome};
use skep_protocol::{Batch, CheckpointId, Intent, PartitionId, WriteOp};
use skep_state::{Layer, Op, Overlay, Transaction};

use crate::reference::Evaluated;
use crate::violation::{Check, Violation};

/// Evaluates the inputs of a batch into the overlay's pending batch.
pub fn evaluate(
    engine: &mut Engine,
    overlay: &mut Overlay,
    evaluated: &Evaluated,
) -> Check<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(evaluated.inputs.len());
    for (input, context) in &evaluated.inputs {
        let mut txn = Transaction::new(overlay);
        let result = catch_unwind(AssertUnwindSafe(|| {
            engine.process(input.clone(), &mut txn, context)
        }));
        let outcome = match result {
            Ok(outcome) => outcome.map_err(|error| Violation::new("state", error.to_string()))?,
            Err(_) => {
                return Err(Violation::new(
                    "engine panic",
                    format!("{} on {input:?}", crate::panics::last()),
                ));
            }
        };
        let writes = txn.into_writes();
        overlay.absorb(writes);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Compares with what the leader has proposed, and what the log holds with both.
pub fn compare(
    partition: PartitionId,
    outcomes: &[Outcome],
    writes: &Layer,
    evaluated: &Evaluated,
    committed: &Batch,
) -> Check {
    let batch = &evaluated.batch;
    let place = || {
        format!(
            "partition {partition}, batch {}/{}",
            batch.header.epoch, batch.header.sequence
        )
    };
    let violated = |detail: String| Violation::new("shadow", format!("{}: {detail}", place()));
    if batch != committed {
        return Err(violated(
            "the log holds another batch than its leader proposed".to_owned(),
        ));
    }
    let records = outcomes.iter().flat_map(|outcome| &outcome.records);
    for (number, (ours, theirs)) in records.clone().zip(&batch.records).enumerate() {
        if matches!(theirs.intent, Intent::Error(_)) {
            return Err(Violation::new(
                "engine panic",
                format!("{}: {theirs:?}", place()),
            ));
        }
        if ours != theirs {
            return Err(violated(format!(
                "record {number} is {theirs:?}, evaluated again {ours:?}"
            )));
        }
    }
    if records.count() != batch.records.len() {
        return Err(violated("another number of records".to_owned()));
    }
    let checkpoint = outcomes.iter().find_map(|outcome| outcome.checkpoint);
    if checkpoint.unwrap_or(CheckpointId::NONE) != batch.header.checkpoint {
        return Err(violated("another checkpoint".to_owned()));
    }
    if writes.len() != batch.writes.len() {
        return Err(violated(format!(
            "{} writes, evaluated again {}",
            batch.writes.len(),
            writes.len()
        )));
    }
    for ((our_key, our_op), (their_key, their_op)) in writes.iter().zip(&batch.writes) {
        let same = match (our_op, their_op) {
            (Op::Insert(ours), WriteOp::Insert(theirs)) | (Op::Put(ours), WriteOp::Put(theirs)) => {
                ours == theirs
            }
            (Op::Delete, WriteOp::Delete) => true,
            _ => false,
        };
        if our_key != their_key || !same {
            return Err(violated(format!(
                "write {their_key:02x?} {their_op:?}, evaluated again {our_key:02x?} {our_op:?}"
            )));
        }
    }
    Ok(())
}

//! Checkpoints that come with envelopes of other partitions: before what the envelope carries, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_partition::{ConsensusEvent, Event};
use skep_protocol::{
    CheckpointId, CheckpointIntent, Command, Envelope, EnvelopeBody, Intent, Key, LogEntry,
    MessageIntent, PartitionId, values,
};
use support::Place;

const CREATED: Intent = Intent::Checkpoint(CheckpointIntent::Created);
const PUBLISHED: Intent = Intent::Message(MessageIntent::Published);

/// A partition of two that leads, and has taken the checkpoint `own`.
fn partition(own: CheckpointId) -> Place {
    let mut place = Place::among(2, &[]);
    place.lead();
    if own != CheckpointId::NONE {
        let checkpoint = values::Checkpoint {
            checkpoint_id: own.0,
            ..Default::default()
        };
        let create = Command::new(Key::NONE, CheckpointIntent::Create, checkpoint);
        place.ask(create).unwrap();
    }
    place
}

/// The first command of partition 2, which has taken this checkpoint.
fn envelope(checkpoint_id: CheckpointId) -> Event {
    let message = values::Message {
        name: "m".to_owned(),
        time_to_live: 60_000,
        ..Default::default()
    };
    Event::Envelope(Envelope {
        source: PartitionId(2),
        checkpoint_id,
        body: EnvelopeBody::Command {
            number: 1,
            command: Command::new(Key::NONE, MessageIntent::Publish, message),
        },
    })
}

/// Which of the two events the log has from entry `from` on, and the checkpoints of its batches.
fn events(place: &Place, from: usize) -> (Vec<Intent>, Vec<CheckpointId>) {
    let mut events = Vec::new();
    let mut checkpoints = Vec::new();
    for entry in &place.log[from..] {
        let LogEntry::Batch(batch) = LogEntry::decode(entry).unwrap() else {
            continue;
        };
        let intents = batch.records.iter().map(|record| record.intent);
        events.extend(intents.filter(|intent| [CREATED, PUBLISHED].contains(intent)));
        if batch.header.checkpoint != CheckpointId::NONE {
            checkpoints.push(batch.header.checkpoint);
            assert_eq!(
                batch.records.last().unwrap().intent,
                CREATED,
                "a checkpoint is the last record of its batch"
            );
        }
    }
    (events, checkpoints)
}

#[test]
fn an_envelope_creates_its_senders_checkpoint_before_it_is_taken_in() {
    let none = CheckpointId::NONE;
    let cases = [
        (none, none, None),
        (none, CheckpointId(1), Some(CheckpointId(1))),
        (CheckpointId(5), CheckpointId(17), Some(CheckpointId(17))),
        (CheckpointId(5), CheckpointId(5), None),
        (CheckpointId(6), CheckpointId(5), None),
    ];
    for (own, senders, created) in cases {
        let mut place = partition(own);
        let before = place.log.len();
        place.handle(envelope(senders));
        place.settle();
        let (found, checkpoints) = events(&place, before);
        let expected: Vec<Intent> = created
            .map(|_| CREATED)
            .into_iter()
            .chain([PUBLISHED])
            .collect();
        assert_eq!(found, expected, "{own} meets {senders}");
        assert!(checkpoints.iter().eq(&created), "{own} meets {senders}");

        let before = place.log.len();
        place.handle(envelope(senders));
        place.settle();
        assert_eq!(events(&place, before).0, [], "it comes a second time");
    }
}

#[test]
fn an_envelope_whose_checkpoint_finds_no_room_is_not_taken_in_before_it_comes_again() {
    let mut place = partition(CheckpointId::NONE);
    let before = place.log.len();
    place.handle(envelope(CheckpointId(1)));
    assert!(!place.run().is_empty());
    let reason = "there is no space".to_owned();
    let why = skep_partition::Unproposed::DiskFull;
    let refused = ConsensusEvent::ProposalRefused { why, reason };
    place.handle(Event::Consensus(refused));
    place.settle();
    assert_eq!(events(&place, before).0, []);
    place.handle(envelope(CheckpointId(1)));
    place.settle();
    assert_eq!(events(&place, before).0, [CREATED, PUBLISHED]);
}

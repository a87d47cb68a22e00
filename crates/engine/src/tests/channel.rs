use skep_protocol::{
    CheckpointId, Command, Envelope, EnvelopeBody, Key, MessageIntent, PartitionId, Position,
    values,
};

use super::content::Content;
use super::evaluate::Evaluator;
use crate::behaviours::channel;
use crate::processors::channel::{Received, receive};
use crate::tables::{channels, prefix};

fn command(number: i64) -> Command {
    Command::new(
        Key(number),
        MessageIntent::Expire,
        values::Message::default(),
    )
}

fn envelope(source: u32, body: EnvelopeBody) -> Envelope {
    Envelope {
        source: PartitionId(source),
        checkpoint_id: CheckpointId::NONE,
        body,
    }
}

fn carrying(source: u32, number: u64) -> Envelope {
    envelope(
        source,
        EnvelopeBody::Command {
            number,
            command: command(number as i64),
        },
    )
}

fn acknowledging(source: u32, number: u64) -> Envelope {
    envelope(source, EnvelopeBody::Acknowledgement { number })
}

/// What partition 1 of 3 makes of an envelope, and what it acknowledges.
fn received(content: &mut Content, envelope: &Envelope) -> (Received, Vec<(PartitionId, u64)>) {
    let mut evaluator = Evaluator::new(1, 3);
    let mut p = evaluator.begin(content, 0, Position(1));
    let received = receive(&mut p, envelope).unwrap();
    (received, p.outcome.acknowledgements)
}

fn send(content: &mut Content, target: u32, number: i64) {
    let mut evaluator = Evaluator::new(1, 3);
    let mut p = evaluator.begin(content, 0, Position(1));
    channel::send(&mut p, PartitionId(target), command(number)).unwrap();
    assert_eq!(p.outcome.sends.len(), 1);
}

fn outbox(content: &Content, target: u32) -> Vec<u64> {
    let undelivered = channel::undelivered(content, PartitionId(target), 100).unwrap();
    for send in &undelivered {
        assert_eq!(send.command, command(send.number as i64));
    }
    undelivered.iter().map(|send| send.number).collect()
}

#[test]
fn only_the_next_number_is_taken_in_and_every_envelope_is_answered() {
    let mut content = Content::default();
    let cases = [
        (2, false, 0),
        (1, true, 1),
        (1, false, 1),
        (3, false, 1),
        (2, true, 2),
        (1, false, 2),
        (3, true, 3),
    ];
    for (number, is_taken, acknowledged) in cases {
        let (received, acknowledgements) = received(&mut content, &carrying(2, number));
        let expected = if is_taken {
            Received::Command(command(number as i64))
        } else {
            Received::Nothing
        };
        assert_eq!(received, expected, "number {number}");
        assert_eq!(
            acknowledgements,
            [(PartitionId(2), acknowledged)],
            "number {number}"
        );
    }
}

#[test]
fn sources_are_numbered_apart() {
    let mut content = Content::default();
    assert_ne!(received(&mut content, &carrying(2, 1)).0, Received::Nothing);
    assert_ne!(received(&mut content, &carrying(3, 1)).0, Received::Nothing);
}

#[test]
fn envelopes_of_no_other_partition_are_ignored() {
    for source in [0, 1, 4] {
        let mut content = Content::default();
        assert_eq!(
            received(&mut content, &carrying(source, 1)),
            (Received::Nothing, Vec::new())
        );
        assert_eq!(content, Content::default());
    }
}

#[test]
fn the_outbox_holds_what_is_not_acknowledged() {
    let mut content = Content::default();
    for (target, number) in [(2, 1), (2, 2), (3, 1), (2, 3)] {
        send(&mut content, target, number);
    }
    assert_eq!(
        (outbox(&content, 2), outbox(&content, 3)),
        (vec![1, 2, 3], vec![1])
    );
    let cases = [
        (0, vec![1, 2, 3]),
        (2, vec![3]),
        (1, vec![3]),
        (4, vec![3]),
        (u64::MAX, vec![3]),
        (3, vec![]),
        (3, vec![]),
    ];
    for (number, left) in cases {
        assert_eq!(
            received(&mut content, &acknowledging(2, number)),
            (Received::Nothing, Vec::new())
        );
        assert_eq!(outbox(&content, 2), left, "after {number}");
    }
    assert_eq!(
        channel::targets_with_undelivered(&content).unwrap(),
        [PartitionId(3)]
    );
    assert_eq!(content.count(prefix::OUTBOX), 1);
    send(&mut content, 2, 4);
    assert_eq!(outbox(&content, 2), [4], "numbers go on");
}

#[test]
fn the_oldest_undelivered_commands_come_first() {
    let mut content = Content::default();
    for number in 1..=5 {
        send(&mut content, 2, number);
    }
    let two = channel::undelivered(&content, PartitionId(2), 2).unwrap();
    assert_eq!(
        two.iter().map(|send| send.number).collect::<Vec<_>>(),
        [1, 2]
    );
}

#[test]
fn a_command_for_the_own_partition_is_a_follow_up() {
    let mut content = Content::default();
    let mut evaluator = Evaluator::new(1, 3);
    let mut p = evaluator.begin(&mut content, 0, Position(1));
    channel::send(&mut p, PartitionId(1), command(7)).unwrap();
    assert_eq!(p.follow_ups.len(), 1);
    assert!(p.outcome.sends.is_empty());
    assert_eq!(content, Content::default());
}

#[test]
#[should_panic(expected = "ahead of itself")]
fn a_channel_never_has_more_acknowledged_than_sent() {
    let channel = channels::Channel {
        sent: 1,
        acknowledged: 2,
        taken: 0,
    };
    channels::set(&mut Content::default(), PartitionId(2), &channel);
}

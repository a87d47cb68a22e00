//! What a replica does that follows, or that loses the leadership: what its clients are told, and whose backups it goes on with.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_partition::{ConsensusEvent, Event, Refusal, Unproposed};
use skep_protocol::{CheckpointId, CheckpointIntent, Command, EpochEntry, Key, LogEntry, values};
use support::Place;

fn consensus(place: &mut Place, event: ConsensusEvent) {
    place.handle(Event::Consensus(event));
}

fn checkpoint(id: i64) -> Command {
    let value = values::Checkpoint {
        checkpoint_id: id,
        ..Default::default()
    };
    Command::new(Key::NONE, CheckpointIntent::Create, value)
}

fn frozen(place: &Place) -> Vec<CheckpointId> {
    let frozen = place.replica.inspect().frozen;
    frozen.iter().map(|backup| backup.checkpoint_id).collect()
}

/// What another leader's epoch entry looks like.
fn other_epoch() -> bytes::Bytes {
    LogEntry::Epoch(EpochEntry {
        nonce: 99,
        time: 1_700_000_000_000,
    })
    .encode()
}

#[test]
fn what_is_on_its_way_when_the_leadership_is_lost_may_be_executed_and_what_waits_is_not() {
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy_task();
    let on_their_way = [place.submit(Place::creation("")), {
        place.run();
        place.submit(Place::creation(""))
    }];
    place.run();
    let waiting = place.submit(Place::creation(""));
    place.run();
    consensus(&mut place, ConsensusEvent::LostLeadership { term: 1 });
    for request in on_their_way {
        assert_eq!(place.refusal(request), Some(Refusal::LeaderLost));
    }
    assert_eq!(place.refusal(waiting), Some(Refusal::NotLeader));
    let late = place.submit(Place::creation(""));
    place.run();
    assert_eq!(place.refusal(late), Some(Refusal::NotLeader));
}

#[test]
fn what_another_leadership_has_overtaken_is_not_executed() {
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy_task();
    let request = place.submit(Place::creation(""));
    let proposed = place.run();
    place.commit_all(vec![other_epoch()]);
    assert!(!place.replica.is_leading());
    assert_eq!(place.refusal(request), Some(Refusal::NotLeader));
    // It is in the log after all, and is fenced.
    place.commit_all(proposed);
    consensus(&mut place, ConsensusEvent::BecameLeader { term: 3 });
    place.settle();
    assert_eq!(place.activate(), []);
}

#[test]
fn an_epoch_that_is_refused_is_proposed_again_later_and_not_at_once() {
    let mut place = Place::new(&[]);
    let refused = || ConsensusEvent::ProposalRefused {
        why: Unproposed::NotLeader,
        reason: "for a test".to_owned(),
    };
    consensus(&mut place, ConsensusEvent::BecameLeader { term: 1 });
    assert_eq!(place.run().len(), 1);
    consensus(&mut place, refused());
    assert_eq!(place.run().len(), 0);
    let wait = place.replica.wake_in().unwrap();
    assert!(wait > 0);
    place.now += wait;
    place.settle();
    assert!(place.replica.is_leading());
    // Told to a replica that does not lead any more, it means nothing.
    consensus(&mut place, ConsensusEvent::LostLeadership { term: 1 });
    consensus(&mut place, refused());
    assert_eq!(place.run().len(), 0);
    assert_eq!(place.replica.wake_in(), None);
}

#[test]
fn a_follower_keeps_the_views_of_backups_under_way_and_goes_on_with_them_when_it_leads() {
    let mut leader = Place::new(&[]);
    leader.lead();
    leader.deploy_task();
    leader.ask(checkpoint(1)).unwrap();
    leader.ask(checkpoint(2)).unwrap();
    assert_eq!(leader.uploads(), [CheckpointId(1), CheckpointId(2)]);

    let mut follower = Place::new(&leader.log);
    assert_eq!(frozen(&follower), [CheckpointId(1), CheckpointId(2)]);
    assert_eq!(follower.uploads(), []);

    let known = leader.log.len();
    leader.handle(Event::BackupEnded {
        checkpoint_id: CheckpointId(1),
        result: Ok(()),
    });
    leader.settle();
    assert_eq!(frozen(&leader), [CheckpointId(2)]);
    follower.commit_all(leader.log[known..].to_vec());
    assert_eq!(frozen(&follower), [CheckpointId(2)]);

    consensus(&mut follower, ConsensusEvent::BecameLeader { term: 2 });
    follower.settle();
    assert_eq!(follower.uploads(), [CheckpointId(2)]);
    follower.handle(Event::BackupEnded {
        checkpoint_id: CheckpointId(2),
        result: Ok(()),
    });
    follower.settle();
    assert_eq!(frozen(&follower), []);
}

#[test]
fn an_upload_that_ends_after_the_leadership_is_lost_is_gone_on_with_by_whoever_leads_next() {
    let mut place = Place::new(&[]);
    place.lead();
    place.ask(checkpoint(1)).unwrap();
    consensus(&mut place, ConsensusEvent::LostLeadership { term: 1 });
    place.handle(Event::BackupEnded {
        checkpoint_id: CheckpointId(1),
        result: Err("the store is away".to_owned()),
    });
    place.settle();
    assert_eq!(frozen(&place), [CheckpointId(1)]);
    consensus(&mut place, ConsensusEvent::BecameLeader { term: 2 });
    place.settle();
    assert_eq!(place.uploads(), [CheckpointId(1), CheckpointId(1)]);
}

#[test]
fn consensus_is_told_what_has_been_taken_in() {
    let mut leader = Place::new(&[]);
    leader.lead();
    leader.deploy_task();
    let mut follower = Place::new(&leader.log);
    let bytes: usize = leader.log.iter().map(bytes::Bytes::len).sum();
    assert_eq!(follower.replica.consensus().taken, bytes);
}

//! A replica that is given another one's content.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use skep_partition::{ConsensusEvent, Event, FrozenContent};
use skep_protocol::{CheckpointId, CheckpointIntent, Command, Index, Key, values};
use skep_state::{KeyRange, Read, StateError, Store, Visit};
use support::Place;

fn checkpoint(id: i64) -> Command {
    let value = values::Checkpoint {
        checkpoint_id: id,
        ..Default::default()
    };
    Command::new(Key::NONE, CheckpointIntent::Create, value)
}

fn frozen(place: &Place) -> Vec<CheckpointId> {
    let frozen = place.replica.inspect().frozen.iter();
    frozen.map(|backup| backup.checkpoint_id).collect()
}

fn freeze(place: &mut Place) -> Result<FrozenContent, StateError> {
    let frozen = Arc::new(Mutex::new(None));
    let told = Arc::clone(&frozen);
    place.handle(Event::Freeze(Box::new(move |frozen| {
        *told.lock().unwrap() = Some(frozen);
    })));
    let frozen = frozen.lock().unwrap().take();
    frozen.expect("an answer")
}

/// Asks the replica to write nothing back, and says whether it has told that nothing is on its way.
fn hold_back(place: &mut Place, attempt: u64) -> Arc<AtomicBool> {
    let held = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&held);
    let held_back = Box::new(move || told.store(true, Ordering::Relaxed));
    place.handle(Event::HoldBack {
        attempt,
        held: held_back,
    });
    held
}

fn pairs(content: &dyn Read) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let all = KeyRange {
        from: &[],
        to: None,
    };
    let visit = &mut |key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), value.to_vec()));
        Visit::Next
    };
    content.scan(all, visit).unwrap();
    pairs
}

/// What a transfer does to the store.
fn replace(store: &dyn Store, frozen: &FrozenContent) {
    let new = pairs(&frozen.view);
    let old = pairs(store);
    let gone = old
        .iter()
        .filter(|(key, _)| new.iter().all(|(kept, _)| kept != key));
    let mut writes: Vec<(&[u8], Option<&[u8]>)> =
        gone.map(|(key, _)| (key.as_slice(), None)).collect();
    let kept = new
        .iter()
        .map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
    writes.extend(kept);
    writes.sort();
    let meta = frozen.log_id.encode_to_vec().into();
    store.write(&mut writes.into_iter(), &meta).unwrap();
}

#[test]
fn it_begins_anew_where_the_content_ends_and_leads_with_all_of_it() {
    let mut leader = Place::new(&[]);
    leader.lead();
    leader.deploy_task();
    let before = leader.log.len();
    let mut follower = Place::new(&leader.log);
    // What only the follower has, and what it has not written yet.
    assert!(hold_back(&mut follower, 7).load(Ordering::Relaxed));
    let created = [leader.create(), leader.create()];
    leader.ask(checkpoint(1)).unwrap();
    let frozen = freeze(&mut leader).unwrap();
    leader.create();

    replace(&*follower.store, &frozen);
    follower.log = leader.log[..frozen.log_id.index as usize].to_vec();
    assert!(follower.log.len() > before + created.len());
    let (index, term) = (Index(frozen.log_id.index), frozen.log_id.term);
    follower.handle(Event::Consensus(ConsensusEvent::Replaced { index, term }));
    follower.handle(Event::WriteBackAgain { attempt: 7 });
    follower.commit_all(leader.log[frozen.log_id.index as usize..].to_vec());
    assert_eq!(
        pairs(&follower.replica.inspect().state),
        pairs(&leader.replica.inspect().state)
    );
    follower.lead();
    assert_eq!(follower.activate().len(), 3);
}

#[test]
fn until_then_it_writes_nothing_back_takes_no_view_and_offers_nothing() {
    let mut leader = Place::new(&[]);
    leader.lead();
    leader.deploy_task();
    let mut follower = Place::new(&leader.log);
    let first = hold_back(&mut follower, 1);
    let second = hold_back(&mut follower, 2);
    assert!(first.load(Ordering::Relaxed) && second.load(Ordering::Relaxed));
    let known = leader.log.len();
    leader.ask(checkpoint(1)).unwrap();
    follower.commit_all(leader.log[known..].to_vec());
    assert_eq!(frozen(&follower), []);
    assert!(freeze(&mut follower).is_err());
    follower.handle(Event::WriteBackAgain { attempt: 1 });
    follower.replica.write_back();
    assert_eq!(follower.flushes(), 0);
    follower.handle(Event::WriteBackAgain { attempt: 2 });
    follower.replica.write_back();
    assert_eq!(follower.flushes(), 1);
    // What is on its way to the store has to arrive first.
    let third = hold_back(&mut follower, 3);
    assert!(!third.load(Ordering::Relaxed));
    follower.flush_all();
    assert!(third.load(Ordering::Relaxed));

    let known = leader.log.len();
    leader.ask(checkpoint(2)).unwrap();
    follower.handle(Event::WriteBackAgain { attempt: 3 });
    follower.commit_all(leader.log[known..].to_vec());
    assert_eq!(frozen(&follower), [CheckpointId(2)]);
    assert!(
        !hold_back(&mut leader, 1).load(Ordering::Relaxed),
        "a leader's content stays"
    );
}

#[test]
fn another_attempt_that_has_begun_before_it_hears_of_the_content_holds_it_back() {
    let mut leader = Place::new(&[]);
    leader.lead();
    leader.deploy_task();
    let mut follower = Place::new(&leader.log);
    hold_back(&mut follower, 1);
    leader.create();
    let frozen = freeze(&mut leader).unwrap();
    replace(&*follower.store, &frozen);
    // The leader has changed meanwhile, and the next one has offered its own.
    assert!(hold_back(&mut follower, 2).load(Ordering::Relaxed));
    follower.log = leader.log[..frozen.log_id.index as usize].to_vec();
    let (index, term) = (Index(frozen.log_id.index), frozen.log_id.term);
    follower.handle(Event::Consensus(ConsensusEvent::Replaced { index, term }));
    follower.handle(Event::WriteBackAgain { attempt: 1 });

    leader.create();
    follower.commit_all(leader.log[frozen.log_id.index as usize..].to_vec());
    follower.replica.write_back();
    assert_eq!(
        follower.flushes(),
        0,
        "it would be written over what comes next"
    );
    follower.handle(Event::WriteBackAgain { attempt: 2 });
    follower.replica.write_back();
    assert_eq!(follower.flushes(), 1);
}

fn elect(place: &mut Place) {
    let term = 2;
    place.handle(Event::Consensus(ConsensusEvent::BecameLeader { term }));
}

/// Found by the simulation: it led without freezing its checkpoints, whose backups stayed under way for ever.
#[test]
fn who_is_elected_while_it_is_held_back_begins_when_the_last_attempt_has_ended() {
    let mut former = Place::new(&[]);
    former.lead();
    former.deploy_task();
    let mut next = Place::new(&former.log);
    hold_back(&mut next, 1);
    hold_back(&mut next, 2);
    elect(&mut next);
    for ended in [1, 2] {
        assert!(next.run().is_empty(), "its epoch does not begin");
        next.handle(Event::WriteBackAgain { attempt: ended });
    }
    assert!(
        !hold_back(&mut next, 3).load(Ordering::Relaxed),
        "from now on its content stays"
    );
    next.settle();
    assert!(next.replica.is_leading());
    next.ask(checkpoint(1)).unwrap();
    assert_eq!(next.uploads(), [CheckpointId(1)]);
}

#[test]
fn who_is_elected_while_its_content_is_replaced_leads_with_the_new_one() {
    let mut former = Place::new(&[]);
    former.lead();
    former.deploy_task();
    let mut next = Place::new(&former.log);
    hold_back(&mut next, 1);
    former.create();
    let frozen = freeze(&mut former).unwrap();
    elect(&mut next);
    replace(&*next.store, &frozen);
    next.log.clone_from(&former.log);
    let (index, term) = (Index(frozen.log_id.index), frozen.log_id.term);
    next.handle(Event::Consensus(ConsensusEvent::Replaced { index, term }));
    assert!(next.run().is_empty(), "its store is being written");
    next.handle(Event::WriteBackAgain { attempt: 1 });
    next.settle();
    assert!(next.replica.is_leading());
    assert_eq!(next.activate().len(), 1);
}

/// Consensus would wait for the replica, the replica for its store, and the store for the content that comes by consensus.
#[test]
fn who_is_held_back_takes_in_more_than_it_could_otherwise_keep() {
    let mut leader = Place::new(&[]);
    leader.lead();
    leader.deploy_task();
    let mut follower = Place::new(&leader.log);
    hold_back(&mut follower, 1);
    let variables = format!("{{\"text\": \"{}\"}}", "a".repeat(3_500_000));
    let most = skep_partition::limits::UNFLUSHED_BYTES_MAX;
    while follower.replica.inspect().unflushed_bytes <= most {
        let known = leader.log.len();
        leader.ask(Place::creation(&variables)).unwrap();
        leader.replica.write_back();
        leader.flush_all();
        follower.commit_all(leader.log[known..].to_vec());
    }
    let committed: usize = leader.log.iter().map(bytes::Bytes::len).sum();
    assert_eq!(follower.replica.consensus().taken, committed);
    assert_eq!(follower.flushes(), 0);
}

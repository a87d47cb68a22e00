//! Members that lack more of the log than there is, or have lost it: given content, and voting only when that is sound.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use skep_log::testkit::MemFiles;
use skep_partition::consensus::Consensus;
use skep_protocol::Index;
use skep_raft::{RaftHandle, RaftOptions};
use support::{Cluster, Disk, runtime, until};

/// Long enough that a busy machine seldom makes a member stand for election for nothing.
const QUIET: Duration = Duration::from_secs(5);
const QUICK: Duration = Duration::from_millis(400);

fn options(election_timeout: Duration) -> RaftOptions {
    RaftOptions {
        heartbeat: election_timeout / 10,
        election_timeout,
        kept_entries_max: 10,
        ..RaftOptions::new(0, vec![0, 1, 2])
    }
}

fn disks() -> [Disk; 3] {
    std::array::from_fn(|_| Disk::Memory(MemFiles::new()))
}

async fn start(seed: u64, election_timeout: Duration) -> Cluster {
    Cluster::on(disks(), seed, options(election_timeout)).await
}

/// Writes more than is kept for others, and lets those who run forget it.
async fn outgrow(cluster: &mut Cluster, away: u64) {
    cluster.write_all(1..11_000).await;
    for node in (0..3).filter(|node| *node != away) {
        let last = cluster.last_index(node);
        until("the log is compacted", || {
            cluster.raft(node).state_durable(last);
            cluster.raft(node).metrics().purged.is_some()
        })
        .await;
    }
}

#[test]
fn a_member_that_lacks_too_much_is_given_content_and_follows_on_though_that_fails_at_first() {
    runtime().block_on(async {
        let mut cluster = start(1, QUIET).await;
        cluster.write(0).await;
        cluster.all_have([0]).await;
        cluster.stop(2).await;
        outgrow(&mut cluster, 2).await;
        cluster.net.fetches_failing.store(1, Ordering::Relaxed);
        cluster.open(2).await;
        let sink = cluster.sink(2);
        until("content", || sink.replaced().is_some()).await;
        assert_eq!(cluster.net.fetches_begun.load(Ordering::Relaxed), 2);
        for number in 20_000..20_010 {
            cluster.write(number).await;
        }
        cluster.all_have(20_000..20_010).await;
        sink.assert_no_gap();
        assert_eq!(
            cluster.raft(2).metrics().purged.unwrap().0,
            sink.replaced().unwrap()
        );
        cluster.stop_all().await;
    });
}

#[test]
fn when_the_leader_dies_meanwhile_the_next_one_gives_its_content() {
    runtime().block_on(async {
        let mut cluster = start(2, QUICK).await;
        cluster.write(0).await;
        cluster.all_have([0]).await;
        cluster.stop(2).await;
        outgrow(&mut cluster, 2).await;
        cluster.net.fetches_wait.store(true, Ordering::Relaxed);
        cluster.open(2).await;
        let begun = || cluster.net.fetches_begun.load(Ordering::Relaxed);
        until("a transfer", || begun() > 0).await;
        let leader = cluster.leader().await;
        cluster.crash(leader, 3);
        cluster.net.fetches_wait.store(false, Ordering::Relaxed);
        cluster.write(20_000).await;
        let sink = cluster.sink(2);
        until("content", || sink.replaced().is_some()).await;
        cluster.all_have([20_000]).await;
        sink.assert_no_gap();
        assert_ne!(cluster.leader().await, leader);
        cluster.stop_all().await;
    });
}

/// A request for a vote of member 1 in a high term.
fn ask_for_vote() -> Vec<u8> {
    [
        &b"\x01\x03\0\x09\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"[..],
        b"\x01\xff\xff\xff\0\0\0\0\0\x08\0\0\0\0\0\0\0\0",
    ]
    .concat()
}

async fn assert_has_no_vote(handle: &RaftHandle) {
    assert!(handle.is_newcomer());
    let refused = handle.answer(1, ask_for_vote().into()).await.unwrap_err();
    assert!(refused.to_string().contains("does not vote"), "{refused}");
}

#[test]
fn who_has_lost_its_disk_does_not_vote_until_a_leader_has_brought_it_up() {
    for outgrown in [false, true] {
        runtime().block_on(async {
            let mut cluster = start(3, QUICK).await;
            cluster.write(0).await;
            cluster.all_have([0]).await;
            if outgrown {
                outgrow(&mut cluster, 3).await;
            }
            cluster.net.cut_off(2);
            cluster.lose(2);
            cluster.open(2).await;
            let handle = cluster.handle(2);
            assert_has_no_vote(&handle).await;
            cluster.net.heal();
            until("that it votes", || !handle.is_newcomer()).await;
            let refused = handle.answer(1, ask_for_vote().into()).await;
            assert!(refused.is_ok(), "{refused:?}");
            cluster.write(20_000).await;
            cluster.all_have([20_000]).await;
            assert_eq!(cluster.sink(2).replaced().is_some(), outgrown);
            // That is remembered, unless the content is lost again: this replica keeps none.
            cluster.stop(2).await;
            cluster.net.cut_off(2);
            cluster.open(2).await;
            assert_eq!(cluster.handle(2).is_newcomer(), outgrown);
            cluster.net.heal();
            if !outgrown {
                let leader = cluster.leader().await;
                cluster.crash(leader, 4);
                cluster.write(20_001).await;
            }
            cluster.stop_all().await;
        });
    }
}

/// Its content looks as a restore has left it; the note beside the log says that it has begun.
#[test]
fn who_has_lost_its_log_alone_right_after_a_restore_does_not_vote_as_if_it_had_never_begun() {
    runtime().block_on(async {
        let options = RaftOptions {
            applied: Some((Index(0), 0)),
            ..options(QUICK)
        };
        let mut cluster = Cluster::on(disks(), 6, options).await;
        cluster.write(0).await;
        cluster.all_have([0]).await;
        cluster.net.cut_off(2);
        cluster.lose_log(2);
        cluster.open(2).await;
        let handle = cluster.handle(2);
        assert_has_no_vote(&handle).await;
        cluster.net.heal();
        cluster.all_vote().await;
        cluster.write(1).await;
        cluster.all_have(0..2).await;
        cluster.stop_all().await;
    });
}

#[test]
fn a_new_group_begins_when_most_of_its_members_are_there() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(disks(), 4, options(QUICK));
        cluster.open(1).await;
        cluster.open(2).await;
        cluster.write(0).await;
        cluster.open(0).await;
        cluster.write(1).await;
        cluster.all_have([0, 1]).await;
        cluster.assert_agreement();
        cluster.stop_all().await;
    });
}

/// A sign of life of a leader.
fn sign_of_life(leader: u64, term: u64) -> Vec<u8> {
    let vote = [&[1][..], &term.to_le_bytes(), &leader.to_le_bytes()].concat();
    let nothing_before_nor_committed_kept_or_sent = [0; 1 + 1 + 8 + 4];
    [
        &b"\x01\x01"[..],
        &vote,
        &nothing_before_nor_committed_kept_or_sent,
    ]
    .concat()
}

/// Found by the simulation. The member that lost its data had promised to follow no leader before the present one.
#[test]
fn who_has_lost_its_disk_does_not_follow_a_leader_that_another_has_followed_upon() {
    runtime().block_on(async {
        let mut cluster = start(5, QUICK).await;
        cluster.write(0).await;
        cluster.all_have([0]).await;
        let earlier = cluster.leader().await;
        let term = cluster.handle(earlier).metrics().term;
        cluster.crash(earlier, 1);
        cluster.write(1).await;
        cluster.all_have([1]).await;
        let later = cluster.leader().await;
        let follower = 3 - earlier - later;
        cluster.net.cut_off(later);
        cluster.lose(follower);
        cluster.open(follower).await;
        let handle = cluster.handle(follower);
        let stale = sign_of_life(earlier, term);
        let refused = handle.answer(earlier, stale.clone().into()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("follows nobody until"), "{refused}");
        cluster.net.heal();
        cluster.open(earlier).await;
        cluster.all_vote().await;
        let answer = handle.answer(earlier, stale.into()).await.unwrap();
        assert_eq!(answer[..3], [1, 1, 2], "there is a higher vote");
        cluster.write(2).await;
        cluster.all_have(0..3).await;
        cluster.assert_agreement();
        cluster.stop_all().await;
    });
}

/// It would not be taken any more, and who is elected cannot lead while other content may come.
#[test]
fn content_on_its_way_is_given_up_as_soon_as_a_later_leader_is_known() {
    runtime().block_on(async {
        let mut cluster = start(7, QUIET).await;
        cluster.write(0).await;
        cluster.all_have([0]).await;
        cluster.stop(2).await;
        outgrow(&mut cluster, 2).await;
        cluster.net.fetches_wait.store(true, Ordering::Relaxed);
        cluster.open(2).await;
        let net = Arc::clone(&cluster.net);
        let under_way = || net.fetches_under_way.load(Ordering::Relaxed);
        until("a transfer", || under_way() == 1).await;
        let other = 1 - cluster.leader().await;
        // Nobody offers anything else.
        cluster.net.cut_off(2);
        let handle = cluster.handle(2);
        let answer = handle.answer(other, sign_of_life(other, 1_000).into());
        answer.await.unwrap();
        until("that it is given up", || under_way() == 0).await;
        cluster.stop_all().await;
    });
}

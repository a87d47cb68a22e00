use std::time::Duration;

use tokio::time::advance;

use super::*;

const TYPE: &str = "pay";

fn polling() -> LongPolling {
    LongPolling::new(LongPollingConfig::default())
}

/// Parks a request that has made its first pass in vain.
fn park(polls: &LongPolling) -> Parked {
    let pass = polls.arrive(TYPE);
    match polls.wait(TYPE, pass) {
        Next::Park(parked) => parked,
        Next::Repeat(pass) => panic!("no news, but {pass:?}"),
    }
}

/// The requests that have been woken, by looking at who is still parked.
fn woken(polls: &LongPolling, all: &[Parked]) -> Vec<usize> {
    let inner = polls.lock();
    let parked = &inner.types[TYPE].parked;
    let is_woken = |at: &usize| !parked.contains_key(&all[*at].id);
    (0..all.len()).filter(is_woken).collect()
}

fn take_turn(polls: &LongPolling, all: &mut Vec<Parked>, at: usize) -> Pass {
    polls.unpark(TYPE, all.remove(at)).expect("it was woken")
}

#[tokio::test(start_paused = true)]
async fn an_announcement_wakes_the_request_that_waits_longest() {
    let polls = polling();
    let parked: Vec<Parked> = (0..5).map(|_| park(&polls)).collect();
    polls.announce("other");
    assert!(woken(&polls, &parked).is_empty());
    polls.announce(TYPE);
    assert_eq!(woken(&polls, &parked), [0]);
    polls.announce_all();
    assert_eq!(woken(&polls, &parked), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_got_all_it_wanted_wakes_as_many_as_may_repeat() {
    let polls = polling();
    let parked: Vec<Parked> = (0..5).map(|_| park(&polls)).collect();
    let pass = polls.arrive(TYPE);
    polls.end(TYPE, pass, Found::AllWanted);
    assert_eq!(woken(&polls, &parked), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_took_the_last_jobs_wakes_nobody() {
    let polls = polling();
    let parked = vec![park(&polls)];
    let pass = polls.arrive(TYPE);
    polls.end(TYPE, pass, Found::Some);
    assert!(woken(&polls, &parked).is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_piece_of_news_costs_at_most_three_empty_repeats() {
    let polls = polling();
    let mut parked: Vec<Parked> = (0..10).map(|_| park(&polls)).collect();
    polls.announce(TYPE);
    let mut repeats = 0;
    while let Some(at) = woken(&polls, &parked).first().copied() {
        let pass = take_turn(&polls, &mut parked, at);
        repeats += 1;
        match polls.wait(TYPE, pass) {
            Next::Park(again) => parked.push(again),
            Next::Repeat(_) => panic!("there was no news meanwhile"),
        }
    }
    assert_eq!(repeats, 3);
    assert_eq!(parked.len(), 10);
    polls.announce(TYPE);
    assert_eq!(woken(&polls, &parked).len(), 1, "news allows repeats again");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_missed_the_news_is_repeated() {
    let polls = polling();
    let pass = polls.arrive(TYPE);
    polls.announce(TYPE);
    let Next::Repeat(pass) = polls.wait(TYPE, pass) else {
        panic!("the news would be lost");
    };
    assert!(
        matches!(polls.wait(TYPE, pass), Next::Park(_)),
        "it has seen the news now"
    );
}

#[tokio::test(start_paused = true)]
async fn passes_that_missed_the_news_repeat_no_more_than_others() {
    let polls = polling();
    let passes: Vec<Pass> = (0..10).map(|_| polls.arrive(TYPE)).collect();
    polls.announce(TYPE);
    let repeats = passes
        .into_iter()
        .map(|pass| polls.wait(TYPE, pass))
        .filter(|next| matches!(next, Next::Repeat(_)))
        .count();
    assert_eq!(repeats, 3);
}

#[tokio::test(start_paused = true)]
async fn a_woken_request_that_goes_away_gives_its_turn_to_the_next() {
    let polls = polling();
    let mut parked: Vec<Parked> = (0..2).map(|_| park(&polls)).collect();
    polls.announce(TYPE);
    let pass = take_turn(&polls, &mut parked, 0);
    polls.end(TYPE, pass, Found::Abandoned);
    assert_eq!(woken(&polls, &parked), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_leaves_unwoken_has_no_turn() {
    let polls = polling();
    let parked = park(&polls);
    assert!(polls.unpark(TYPE, parked).is_none());
    polls.announce(TYPE);
    let next = vec![park(&polls)];
    assert!(woken(&polls, &next).is_empty(), "the news was before it");
}

#[tokio::test(start_paused = true)]
async fn a_silent_type_is_probed_by_one_request_even_after_empty_passes() {
    let polls = polling();
    let parked: Vec<Parked> = (0..4).map(|_| park(&polls)).collect();
    advance(Duration::from_millis(9_999)).await;
    polls.probe();
    assert!(woken(&polls, &parked).is_empty());
    advance(Duration::from_millis(1)).await;
    polls.probe();
    polls.probe();
    assert_eq!(woken(&polls, &parked), [0]);
}

#[tokio::test(start_paused = true)]
async fn zero_empty_responses_still_allow_one_repeat() {
    let polls = LongPolling::new(LongPollingConfig {
        min_empty_responses: 0,
        ..LongPollingConfig::default()
    });
    let parked = vec![park(&polls)];
    polls.announce(TYPE);
    assert_eq!(woken(&polls, &parked), [0]);
}

#[tokio::test(start_paused = true)]
async fn passes_of_a_type_begin_at_partitions_in_turn() {
    let polls = polling();
    let starts: Vec<u32> = (0..3).map(|_| polls.arrive(TYPE).start).collect();
    assert_eq!(starts, [starts[0], starts[0] + 1, starts[0] + 2]);
}

#[tokio::test(start_paused = true)]
async fn a_type_without_requests_is_forgotten() {
    let polls = polling();
    let pass = polls.arrive(TYPE);
    polls.end(TYPE, pass, Found::Nothing);
    polls.leave(TYPE);
    assert!(polls.lock().types.is_empty());
    polls.announce(TYPE);
    polls.probe();
}

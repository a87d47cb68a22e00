//! Planning with an index gives the chunks that planning from scratch gives.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use skep_backup::*;
use support::*;

fn plan(pairs: &Pairs, dirty: Option<&DirtyChunks>) -> (Vec<ChunkInfo>, PlanStats) {
    let mut chunks = Vec::new();
    let content = MapContent(pairs.clone());
    let stats = plan_chunks(&content, dirty, &mut |planned| {
        chunks.push(planned.info);
        Visit::Continue
    });
    (chunks, stats.unwrap())
}

/// A write: which key, and the length of its value; none deletes.
fn writes() -> impl Strategy<Value = Vec<(u64, Option<usize>)>> {
    let lengths = prop_oneof![
        3 => Just(None),
        8 => (0..60_000usize).prop_map(Some),
        // Pairs over the maximum, and some that nearly are, force cuts.
        1 => (3_900_000..4_300_000usize).prop_map(Some),
    ];
    proptest::collection::vec((0..300u64, lengths), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn incremental_planning_equals_planning_from_scratch(
        seed in 0..1_000u64,
        count in 0..200u64,
        rounds in proptest::collection::vec(writes(), 1..4),
    ) {
        let mut pairs: Pairs = (0..count).map(|n| (key(n), noise(seed + n, (n as usize * 7_919) % 40_000))).collect();
        let (chunks, _) = plan(&pairs, None);
        let mut dirty = DirtyChunks::clean(Arc::new(ChunkIndex::new(chunks)));
        for (round, writes) in rounds.iter().enumerate() {
            for (n, len) in writes {
                match len {
                    Some(len) => pairs.insert(key(*n), noise(n + round as u64, *len)),
                    None => pairs.remove(&key(*n)),
                };
                dirty.mark(&key(*n));
            }
            let (scratch, _) = plan(&pairs, None);
            let (incremental, stats) = plan(&pairs, Some(&dirty));
            prop_assert_eq!(&incremental, &scratch);
            prop_assert_eq!(stats.chunks_unchanged + stats.chunks_read, scratch.len() as u64);
            // Every other round goes on with the old index, as if the backup had failed.
            if round % 2 == 0 {
                let index = Arc::new(ChunkIndex::new(scratch));
                dirty = DirtyChunks::clean(index);
            }
        }
    }

    #[test]
    fn notes_carried_over_to_a_newer_index_still_give_the_same_chunks(
        seed in 0..1_000u64,
        before in writes(),
        after in writes(),
    ) {
        let mut pairs: Pairs = (0..150).map(|n| (key(n), noise(seed + n, 20_000))).collect();
        let old = Arc::new(ChunkIndex::new(plan(&pairs, None).0));
        let write = |pairs: &mut Pairs, (n, len): &(u64, Option<usize>)| match len {
            Some(len) => drop(pairs.insert(key(*n), noise(n + 1, *len))),
            None => drop(pairs.remove(&key(*n))),
        };
        before.iter().for_each(|w| write(&mut pairs, w));
        let newer = Arc::new(ChunkIndex::new(plan(&pairs, None).0));
        let mut notes = DirtyChunks::clean(old);
        for w in &after {
            write(&mut pairs, w);
            notes.mark(&key(w.0));
        }
        prop_assert_eq!(plan(&pairs, Some(&notes.rebase(newer))).0, plan(&pairs, None).0);
    }
}

#[test]
fn a_single_write_reads_no_more_than_a_few_chunks() {
    let mut all = pairs(1, 2_000);
    let (chunks, _) = plan(&all, None);
    assert!(chunks.len() > 20, "{}", chunks.len());
    let mut dirty = DirtyChunks::clean(Arc::new(ChunkIndex::new(chunks)));
    all.insert(key(1_000), vec![1; 20_000]);
    dirty.mark(&key(1_000));
    let (_, stats) = plan(&all, Some(&dirty));
    assert!((1..=3).contains(&stats.chunks_read), "{stats:?}");
}

#[test]
fn histories_with_the_same_content_have_the_same_chunks() {
    let mut one = pairs(1, 300);
    let mut other = Pairs::new();
    for n in (0..600).rev() {
        other.insert(key(n), noise(7, 10_000));
    }
    other.retain(|k, _| one.contains_key(k));
    other.extend(pairs(1, 300));
    one.remove(&key(0));
    one.insert(key(0), noise(1, 20_000));
    let (chunks, other_chunks) = (plan(&one, None).0, plan(&other, None).0);
    assert_eq!(chunks, other_chunks);
    assert_eq!(root_hash(&chunks), root_hash(&other_chunks));
    assert_ne!(root_hash(&chunks), root_hash(&chunks[1..]));
}

#[test]
fn a_pair_that_is_too_long_is_refused_with_its_key() {
    let all = Pairs::from([(vec![0xab], vec![0; 64 << 20])]);
    let e = plan_chunks(&MapContent(all), None, &mut |_| Visit::Continue).unwrap_err();
    assert!(e.to_string().contains("ab"), "{e}");
}

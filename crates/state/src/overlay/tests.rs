use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{MemoryStore, Transaction, Txn, Visit};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One thing that may happen to an overlay.
#[derive(Debug, Clone)]
enum Step {
    Write(u8, u8),
    Delete(u8),
    Batch,
    ApplyOldest,
    LoseLeadership,
    Rotate,
    FlushOldest,
    TakeView,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..12, any::<u8>()).prop_map(|(key, value)| Step::Write(key, value)),
        4 => (0u8..12).prop_map(Step::Delete),
        3 => Just(Step::Batch),
        3 => Just(Step::ApplyOldest),
        1 => Just(Step::LoseLeadership),
        2 => Just(Step::Rotate),
        2 => Just(Step::FlushOldest),
        1 => Just(Step::TakeView),
    ]
}

fn content(read: &dyn Read) -> Model {
    let mut found = Model::new();
    read.scan(KeyRange::ALL, &mut |key, value| {
        assert!(
            found.insert(key.to_vec(), value.to_vec()).is_none(),
            "a scan visits each key once"
        );
        Visit::Next
    })
    .unwrap();
    for (key, value) in &found {
        assert_eq!(
            read.get(key).unwrap().as_deref(),
            Some(value.as_slice()),
            "get agrees with scan"
        );
    }
    found
}

/// The overlay beside plain maps that must always say the same.
struct Harness {
    overlay: Overlay,
    store: Arc<MemoryStore>,
    seen: Model,
    applied: Vec<Model>,
    pending: Vec<Model>,
    tickets: VecDeque<FlushTicket>,
    views: Vec<(View, Model)>,
}

impl Harness {
    fn new() -> Harness {
        let store = Arc::new(MemoryStore::default());
        let mut overlay = Overlay::new(store.clone());
        overlay.begin_batch();
        Harness {
            overlay,
            store,
            seen: Model::new(),
            applied: vec![Model::new()],
            pending: vec![],
            tickets: VecDeque::new(),
            views: vec![],
        }
    }

    fn write(&mut self, key: u8, value: Option<u8>) {
        let exists = self.seen.contains_key(&vec![key]);
        let mut txn = Transaction::new(&self.overlay);
        match value {
            Some(value) if exists => txn.put(&[key], vec![value]),
            Some(value) => txn.insert(&[key], vec![value]),
            None => txn.delete(&[key]),
        }
        assert_eq!(
            txn.get(&[key]).unwrap().as_deref(),
            value.as_ref().map(std::slice::from_ref)
        );
        let writes = txn.into_writes();
        self.overlay.absorb(writes);
        match value {
            Some(value) => self.seen.insert(vec![key], vec![value]),
            None => self.seen.remove(&vec![key]),
        };
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write(key, value) => self.write(*key, Some(*value)),
            Step::Delete(key) => self.write(*key, None),
            Step::Batch => {
                self.pending.push(self.seen.clone());
                self.overlay.begin_batch();
            }
            Step::ApplyOldest if !self.pending.is_empty() => {
                self.overlay.apply_pending();
                let applied = self.pending.remove(0);
                self.applied.push(applied);
            }
            Step::LoseLeadership => {
                self.overlay.drop_pending();
                self.overlay.begin_batch();
                self.pending.clear();
                self.seen = self.last_applied().clone();
            }
            Step::Rotate => {
                let ticket = self.overlay.rotate(Bytes::from_static(b"meta"));
                self.tickets.push_back(ticket);
            }
            Step::FlushOldest => {
                if let Some(ticket) = self.tickets.pop_front() {
                    ticket.write_to(&*self.store).unwrap();
                    self.overlay.flushed(&ticket);
                }
            }
            Step::TakeView => {
                self.step(&Step::Rotate);
                self.views
                    .push((self.overlay.view().unwrap(), self.last_applied().clone()));
            }
            Step::ApplyOldest => {}
        }
    }

    fn last_applied(&self) -> &Model {
        self.applied.last().expect("the empty state is applied")
    }

    fn check(&self) {
        assert_eq!(content(&self.overlay), self.seen, "what the processor sees");
        assert_eq!(
            content(&self.overlay.applied()),
            *self.last_applied(),
            "what is applied"
        );
        for (view, expected) in &self.views {
            assert_eq!(content(view), *expected, "a view never changes");
        }
    }
}

proptest! {
    #[test]
    fn overlay_and_plain_maps_say_the_same(steps in proptest::collection::vec(step(), 0..80)) {
        let mut harness = Harness::new();
        for step in &steps {
            harness.step(step);
        }
        harness.check();
    }

    #[test]
    fn ranges_end_where_they_should(keys in proptest::collection::btree_set(any::<[u8; 2]>(), 0..30), from: [u8; 2], to: [u8; 2]) {
        let mut overlay = Overlay::new(Arc::new(MemoryStore::default()));
        overlay.apply(keys.iter().map(|key| (Bytes::copy_from_slice(key), Op::Insert(Bytes::new()))));
        let mut found = Vec::new();
        overlay.scan(KeyRange { from: &from, to: Some(&to) }, &mut |key, _| { found.push(key.to_vec()); Visit::Next }).unwrap();
        let expected: Vec<_> = keys.iter().filter(|key| **key >= from && **key < to).map(|key| key.to_vec()).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn what_lives_briefly_never_reaches_the_store() {
    let store = Arc::new(MemoryStore::default());
    let mut overlay = Overlay::new(store);
    let key = Bytes::from_static(b"job");
    overlay.apply([(key.clone(), Op::Insert(Bytes::from_static(b"1")))]);
    overlay.apply([(key, Op::Delete)]);
    assert_eq!(overlay.rotate(Bytes::new()).keys().count(), 0);
}

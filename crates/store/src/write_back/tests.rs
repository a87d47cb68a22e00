//! Stores that refuse, and what the write-back makes of it.

use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use skep_state::{
    KeyRange, LocalMeta, MemoryStore, Op, Overlay, Read, Snapshot, StoreWrites, Visitor,
};

use super::*;

/// A store in memory whose next writes have prescribed outcomes.
#[derive(Default)]
struct FakeStore {
    memory: MemoryStore,
    outcomes: Mutex<VecDeque<StateError>>,
    compactions: Mutex<usize>,
    compacted: Condvar,
}

impl FakeStore {
    fn refusing(outcomes: impl IntoIterator<Item = StateError>) -> Arc<FakeStore> {
        let outcomes = Mutex::new(outcomes.into_iter().collect());
        Arc::new(FakeStore {
            outcomes,
            ..FakeStore::default()
        })
    }
}

impl Read for FakeStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.memory.get(key)
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        self.memory.scan(range, visit)
    }
}

impl Store for FakeStore {
    fn write(&self, writes: &mut StoreWrites<'_>, meta: &LocalMeta) -> Result<(), StateError> {
        match self.outcomes.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => self.memory.write(writes, meta),
        }
    }

    fn meta(&self) -> Result<Option<LocalMeta>, StateError> {
        self.memory.meta()
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, StateError> {
        self.memory.snapshot()
    }
}

impl Compact for FakeStore {
    fn compact(&self) -> Result<bool, StateError> {
        let mut compactions = self.compactions.lock().unwrap();
        *compactions += 1;
        self.compacted.notify_all();
        Ok(*compactions < 3)
    }
}

fn full() -> StateError {
    StateError::Io {
        action: "write".to_owned(),
        reason: "no space left".to_owned(),
    }
}

fn damaged() -> StateError {
    StateError::Corrupt {
        place: "file".to_owned(),
        reason: "checksum".to_owned(),
        mend: String::new(),
    }
}

/// Tickets whose layers write their numbers to one key, with the number as meta.
fn tickets(store: &Arc<FakeStore>, count: u8) -> Vec<FlushTicket> {
    let mut overlay = Overlay::new(Arc::clone(store) as Arc<dyn Store>);
    (1..=count)
        .map(|number| {
            let value = Bytes::copy_from_slice(&[number]);
            overlay.apply([(Bytes::from_static(b"\x01key"), Op::Put(value))]);
            overlay.rotate(Bytes::copy_from_slice(&[number]))
        })
        .collect()
}

type Outcomes = (
    Sender<(u8, Result<(), StateError>)>,
    Receiver<(u8, Result<(), StateError>)>,
);

fn submit(write_back: &WriteBack, store: &Arc<FakeStore>, count: u8, outcomes: &Outcomes) {
    let compact: Arc<dyn Compact> = Arc::clone(store) as Arc<dyn Compact>;
    for ticket in tickets(store, count) {
        let (number, sender) = (ticket.meta()[0], outcomes.0.clone());
        let done = Box::new(move |outcome| sender.send((number, outcome)).unwrap());
        write_back.submit(&compact, ticket, done).unwrap();
    }
}

#[test]
fn layers_of_a_partition_are_written_in_order() {
    let (store, outcomes) = (FakeStore::refusing([]), channel());
    let write_back = WriteBack::spawn().unwrap();
    submit(&write_back, &store, 20, &outcomes);
    for number in 1..=20 {
        assert_eq!(outcomes.1.recv().unwrap(), (number, Ok(())));
    }
    assert_eq!(store.meta().unwrap().unwrap().as_ref(), [20]);
}

#[test]
fn a_refused_layer_is_tried_again_before_those_behind_it() {
    let (store, outcomes) = (FakeStore::refusing([full(), full()]), channel());
    let write_back = WriteBack::spawn().unwrap();
    submit(&write_back, &store, 3, &outcomes);
    for number in 1..=3 {
        assert_eq!(outcomes.1.recv().unwrap(), (number, Ok(())));
    }
    assert_eq!(store.get(b"\x01key").unwrap().unwrap().as_ref(), [3]);
    assert_eq!(write_back.trouble(), None);
}

#[test]
fn a_partition_whose_disk_refuses_does_not_hold_up_another() {
    let refusing = FakeStore::refusing(std::iter::repeat_n(full(), 1000));
    let (other, outcomes, others) = (FakeStore::refusing([]), channel(), channel());
    let write_back = WriteBack::spawn().unwrap();
    submit(&write_back, &refusing, 1, &outcomes);
    submit(&write_back, &other, 5, &others);
    for number in 1..=5 {
        assert_eq!(others.1.recv().unwrap(), (number, Ok(())));
    }
    assert!(outcomes.1.try_recv().is_err());
    write_back.close();
    assert_eq!(outcomes.1.recv().unwrap(), (1, Err(full())));
}

#[test]
fn damage_is_the_answer_to_all_layers_that_wait() {
    let (store, outcomes) = (FakeStore::refusing([full(), damaged()]), channel());
    let write_back = WriteBack::spawn().unwrap();
    // All are queued before the first one is refused.
    let writes = store.outcomes.lock().unwrap();
    submit(&write_back, &store, 3, &outcomes);
    drop(writes);
    for number in 1..=3 {
        assert_eq!(outcomes.1.recv().unwrap(), (number, Err(damaged())));
    }
    assert_eq!(store.meta(), Ok(None));
}

#[test]
fn closing_writes_what_was_submitted() {
    let (store, outcomes) = (FakeStore::refusing([]), channel());
    let write_back = WriteBack::spawn().unwrap();
    submit(&write_back, &store, 50, &outcomes);
    write_back.close();
    assert_eq!(
        outcomes
            .1
            .try_iter()
            .filter(|(_, outcome)| outcome.is_ok())
            .count(),
        50
    );
}

#[test]
fn a_written_store_is_compacted_until_there_is_nothing_to_do() {
    let (store, outcomes) = (FakeStore::refusing([]), channel());
    let write_back = WriteBack::spawn().unwrap();
    submit(&write_back, &store, 1, &outcomes);
    let mut compactions = store.compactions.lock().unwrap();
    while *compactions < 3 {
        compactions = store.compacted.wait(compactions).unwrap();
    }
}

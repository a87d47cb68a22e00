//! The layered write-back overlay of one partition.
//!
//! ```text
//! pending   writes of batches proposed but not applied, one layer a batch; dropped when leadership is lost
//! active    applied writes
//! frozen    applied writes on their way to the store, oldest first
//! store     what is durable
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::{KeyRange, Layer, LocalMeta, Op, Read, Snapshot, StateError, Store, Visitor, merge};

/// A frozen layer to be written to the store.
#[derive(Debug, Clone)]
pub struct FlushTicket {
    number: u64,
    layer: Arc<Layer>,
    meta: LocalMeta,
}

impl FlushTicket {
    /// Writes the layer to the store, durably. Tickets of one overlay must be written in the order they were given out.
    pub fn write_to(&self, store: &dyn Store) -> Result<(), StateError> {
        let mut writes = self
            .layer
            .iter()
            .map(|(key, op)| (key.as_ref(), op.value().map(Bytes::as_ref)));
        store.write(&mut writes, &self.meta)
    }

    /// The keys that the layer writes, in order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.layer.iter().map(|(key, _)| key.as_ref())
    }

    /// What only this replica knows of the state with this layer.
    pub const fn meta(&self) -> &LocalMeta {
        &self.meta
    }
}

/// All of a partition's state, as its leader's processor sees it.
pub struct Overlay {
    pending: VecDeque<Layer>,
    active: Layer,
    frozen: VecDeque<FlushTicket>,
    next_ticket: u64,
    store: Arc<dyn Store>,
}

impl Overlay {
    /// Nothing but the store.
    pub fn new(store: Arc<dyn Store>) -> Overlay {
        Overlay {
            pending: VecDeque::new(),
            active: Layer::default(),
            frozen: VecDeque::new(),
            next_ticket: 0,
            store,
        }
    }

    /// What is below all layers.
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Begins a batch on top of all others.
    pub fn begin_batch(&mut self) {
        self.pending.push_back(Layer::default());
    }

    /// Takes a command's writes over into the batch begun last.
    pub fn absorb(&mut self, writes: Layer) {
        let batch = self.pending.back_mut().expect("a batch has been begun");
        for (key, op) in writes {
            batch.write(key, op);
        }
    }

    /// The writes of the batch begun last.
    pub fn batch_writes(&self) -> &Layer {
        self.pending.back().expect("a batch has been begun")
    }

    /// How many batches are pending.
    pub fn pending_batches(&self) -> usize {
        self.pending.len()
    }

    /// The oldest pending batch has been applied.
    pub fn apply_pending(&mut self) {
        let batch = self
            .pending
            .pop_front()
            .expect("only pending batches are applied");
        self.apply(batch);
    }

    /// Applies writes that were not pending here: a follower's, or those of a replay.
    pub fn apply(&mut self, writes: impl IntoIterator<Item = (Bytes, Op)>) {
        for (key, op) in writes {
            self.active.write(key, op);
        }
    }

    /// Forgets all pending batches: leadership is lost.
    pub fn drop_pending(&mut self) {
        self.pending.clear();
    }

    /// Freezes the active layer, to be written back; `None` if it says nothing new.
    pub fn rotate(&mut self, meta: LocalMeta) -> FlushTicket {
        let ticket = FlushTicket {
            number: self.next_ticket,
            layer: Arc::new(self.active.take()),
            meta,
        };
        self.next_ticket += 1;
        self.frozen.push_back(ticket.clone());
        ticket
    }

    /// The ticket's layer is durable in the store, which now stands for it.
    pub fn flushed(&mut self, ticket: &FlushTicket) {
        let oldest = self
            .frozen
            .pop_front()
            .expect("only frozen layers are flushed");
        assert_eq!(oldest.number, ticket.number, "layers are flushed in order");
    }

    /// The content as of the last applied batch, frozen. The caller has rotated, so that the active layer is empty.
    pub fn view(&self) -> Result<View, StateError> {
        assert!(
            self.active.is_empty(),
            "a view is taken right after the active layer was frozen"
        );
        let layers = self
            .frozen
            .iter()
            .rev()
            .map(|ticket| Arc::clone(&ticket.layer))
            .collect();
        Ok(View {
            layers,
            snapshot: self.store.snapshot()?,
        })
    }

    /// Memory of applied writes that are not in the store yet, roughly.
    pub fn unflushed_bytes(&self) -> usize {
        self.active.bytes()
            + self
                .frozen
                .iter()
                .map(|ticket| ticket.layer.bytes())
                .sum::<usize>()
    }

    /// Memory of the active layer, roughly.
    pub const fn active_bytes(&self) -> usize {
        self.active.bytes()
    }

    /// How many layers are on their way to the store.
    pub fn frozen_layers(&self) -> usize {
        self.frozen.len()
    }

    /// Memory of pending batches, roughly.
    pub fn pending_bytes(&self) -> usize {
        self.pending.iter().map(Layer::bytes).sum()
    }

    /// Applied content only, without pending batches.
    pub const fn applied(&self) -> Applied<'_> {
        Applied { overlay: self }
    }

    fn applied_layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.active)
            .chain(self.frozen.iter().rev().map(|ticket| ticket.layer.as_ref()))
    }

    fn all_layers(&self) -> impl Iterator<Item = &Layer> {
        self.pending.iter().rev().chain(self.applied_layers())
    }
}

fn get_through<'a>(
    mut layers: impl Iterator<Item = &'a Layer>,
    base: &dyn Read,
    key: &[u8],
) -> Result<Option<Bytes>, StateError> {
    match layers.find_map(|layer| layer.get(key)) {
        Some(op) => Ok(op.value().cloned()),
        None => base.get(key),
    }
}

impl Read for Overlay {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        get_through(self.all_layers(), &*self.store as &dyn Read, key)
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        let layers: Vec<&Layer> = self.all_layers().collect();
        merge::scan(&layers, &*self.store as &dyn Read, range, visit)
    }
}

/// Applied content of an overlay.
pub struct Applied<'a> {
    overlay: &'a Overlay,
}

impl Read for Applied<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        get_through(
            self.overlay.applied_layers(),
            &*self.overlay.store as &dyn Read,
            key,
        )
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        let layers: Vec<&Layer> = self.overlay.applied_layers().collect();
        merge::scan(&layers, &*self.overlay.store as &dyn Read, range, visit)
    }
}

/// The content at exactly one batch, whatever is written later.
#[derive(Clone)]
pub struct View {
    layers: Vec<Arc<Layer>>,
    snapshot: Arc<dyn Snapshot>,
}

impl Read for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        get_through(
            self.layers.iter().map(Arc::as_ref),
            &*self.snapshot as &dyn Read,
            key,
        )
    }

    fn scan(&self, range: KeyRange<'_>, visit: &mut Visitor<'_>) -> Result<(), StateError> {
        let layers: Vec<&Layer> = self.layers.iter().map(Arc::as_ref).collect();
        merge::scan(&layers, &*self.snapshot as &dyn Read, range, visit)
    }
}

#[cfg(test)]
mod tests;

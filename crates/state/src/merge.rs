//! Merging scans: several layers, the upper hiding the lower, over a sorted base.

use std::iter::Peekable;

use bytes::Bytes;

use crate::{KeyRange, Layer, Op, Read, StateError, Visit, Visitor};

type Writes<'a> = Box<dyn Iterator<Item = (&'a Bytes, &'a Op)> + 'a>;

/// Visits `range` as seen through `layers` (uppermost first) on top of `base`.
pub fn scan(
    layers: &[&Layer],
    base: &dyn Read,
    range: KeyRange<'_>,
    visit: &mut Visitor<'_>,
) -> Result<(), StateError> {
    let mut upper = Upper::new(layers, range);
    let mut stopped = false;
    base.scan(range, &mut |key, value| {
        while let Some((upper_key, op)) = upper.next_up_to(key) {
            let hides = upper_key.as_ref() == key;
            if let Some(value) = op.value()
                && visit(upper_key, value) == Visit::Stop
            {
                stopped = true;
                return Visit::Stop;
            }
            if hides {
                return Visit::Next;
            }
        }
        stopped = visit(key, value) == Visit::Stop;
        if stopped { Visit::Stop } else { Visit::Next }
    })?;
    while !stopped && let Some((key, op)) = upper.next() {
        stopped = op
            .value()
            .is_some_and(|value| visit(key, value) == Visit::Stop);
    }
    Ok(())
}

/// The layers merged: each key once, as the uppermost layer that knows it says.
struct Upper<'a> {
    sources: Vec<Peekable<Writes<'a>>>,
}

impl<'a> Upper<'a> {
    fn new(layers: &[&'a Layer], range: KeyRange<'_>) -> Upper<'a> {
        let sources = layers
            .iter()
            .filter(|layer| !layer.is_empty())
            .map(|layer| (Box::new(layer.range(range.from, range.to)) as Writes<'a>).peekable())
            .collect();
        Upper { sources }
    }

    fn smallest(&mut self) -> Option<&'a Bytes> {
        self.sources
            .iter_mut()
            .filter_map(|source| source.peek().map(|(key, _)| *key))
            .min()
    }

    /// The next write if its key is not after `bound`.
    fn next_up_to(&mut self, bound: &[u8]) -> Option<(&'a Bytes, &'a Op)> {
        if self.smallest()?.as_ref() > bound {
            None
        } else {
            self.next()
        }
    }

    fn next(&mut self) -> Option<(&'a Bytes, &'a Op)> {
        let key = self.smallest()?;
        let mut found = None;
        for source in &mut self.sources {
            if let Some(write) = source.next_if(|(other, _)| *other == key)
                && found.is_none()
            {
                found = Some(write);
            }
        }
        found
    }
}

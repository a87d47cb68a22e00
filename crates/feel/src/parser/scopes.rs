//! Which slot a name means.
//!
//! A frame is the body of a function, or the whole expression. Slots are numbered by how many values are alive at
//! that point, so the evaluator's stack and the numbers here always agree. A filter opens an *item*: bare
//! names in it mean first an entry of the item. A function takes along (captures) what it reads from outside.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Parsed, Parser};
use crate::ast::{Node, NodeId};

#[derive(Default)]
pub(super) struct Frame {
    /// Slots by name, the innermost binding last.
    named: BTreeMap<Arc<str>, Vec<u16>>,
    /// Slots of filter items, the innermost last.
    items: Vec<u16>,
    /// Slots in use.
    depth: u16,
    captures: Vec<NodeId>,
    captured: BTreeMap<Arc<str>, u16>,
}

impl Parser<'_> {
    fn frame(&mut self) -> &mut Frame {
        self.frames
            .last_mut()
            .expect("the outermost frame is never closed")
    }

    /// Gives the next slot to `name` until [`Parser::unbind`].
    pub(super) fn bind(&mut self, name: &Arc<str>) -> Parsed<()> {
        let slot = self.reserve()?;
        self.frame()
            .named
            .entry(name.clone())
            .or_default()
            .push(slot);
        self.know(name);
        Ok(())
    }

    /// Like [`Parser::bind`], without recognising the name in texts.
    pub(super) fn bind_unseen(&mut self, name: &Arc<str>) -> Parsed<()> {
        let slot = self.reserve()?;
        let slots = self.frame().named.entry(name.clone()).or_default();
        slots.push(slot);
        Ok(())
    }

    pub(super) fn unbind(&mut self, name: &Arc<str>) {
        let frame = self.frame();
        frame.depth -= 1;
        if let Some(slots) = frame.named.get_mut(name) {
            slots.pop();
            if slots.is_empty() {
                frame.named.remove(name);
            }
        }
    }

    /// Opens a filter: the next slot is the item.
    pub(super) fn bind_item(&mut self) -> Parsed<()> {
        let slot = self.reserve()?;
        let frame = self.frame();
        frame.items.push(slot);
        frame.named.entry("item".into()).or_default().push(slot);
        Ok(())
    }

    pub(super) fn unbind_item(&mut self) {
        self.frame().items.pop();
        self.unbind(&"item".into());
    }

    fn reserve(&mut self) -> Parsed<u16> {
        let frame = self.frame();
        let slot = frame.depth;
        match slot.checked_add(1) {
            Some(next) => {
                frame.depth = next;
                Ok(slot)
            }
            None => Err(self.invalid_at(self.token.start, "too many names are visible at once")),
        }
    }

    pub(super) fn open_frame(&mut self) {
        self.frames.push(Frame::default());
    }

    /// Closes a function's frame; answers what it captures, as nodes of the frame around it.
    pub(super) fn close_frame(&mut self) -> Vec<NodeId> {
        self.frames
            .pop()
            .map(|frame| frame.captures)
            .unwrap_or_default()
    }

    /// A node that reads `name` where the parser stands.
    pub(super) fn variable(&mut self, name: &str) -> Parsed<NodeId> {
        match name {
            "?" => self.input_reads += 1,
            "partial" => self.partial_reads += 1,
            _ => {}
        }
        self.lookup(self.frames.len() - 1, name)
    }

    /// Whether the name is bound inside the expression, so that it can't be a built-in function.
    pub(super) fn is_bound(&self, name: &str) -> bool {
        self.frames
            .iter()
            .any(|frame| frame.named.contains_key(name))
    }

    /// Recurses over frames, that is nested functions, which the nesting limit bounds.
    fn lookup(&mut self, level: usize, name: &str) -> Parsed<NodeId> {
        let frame = &self.frames[level];
        let slot = frame
            .named
            .get(name)
            .and_then(|slots| slots.last().copied());
        let items: Vec<u16> = frame
            .items
            .iter()
            .copied()
            .filter(|item| slot.is_none_or(|slot| *item >= slot))
            .collect();
        let mut node = match slot {
            Some(slot) => self.add(Node::Local(slot))?,
            None if level == 0 => self.global(name)?,
            None => self.capture(level, name)?,
        };
        // The outermost item is asked last.
        for slot in items {
            let item = self.add(Node::Local(slot))?;
            node = self.add(Node::ItemMember {
                item,
                name: name.into(),
                otherwise: node,
            })?;
        }
        Ok(node)
    }

    fn capture(&mut self, level: usize, name: &str) -> Parsed<NodeId> {
        let index = match self.frames[level].captured.get(name) {
            Some(index) => *index,
            None => {
                let outer = self.lookup(level - 1, name)?;
                let frame = &mut self.frames[level];
                let Ok(index) = u16::try_from(frame.captures.len()) else {
                    return Err(
                        self.invalid_at(self.token.start, "a function reads too many names")
                    );
                };
                frame.captures.push(outer);
                frame.captured.insert(name.into(), index);
                index
            }
        };
        let outer = self.frames[level].captures[usize::from(index)];
        let global = match self.arena.node(outer) {
            Node::Global(slot) => Some(*slot),
            Node::Captured { global, .. } => *global,
            _ => None,
        };
        self.add(Node::Captured { index, global })
    }

    fn global(&mut self, name: &str) -> Parsed<NodeId> {
        if let Some(slot) = self.global_slots.get(name).copied() {
            self.repeated[usize::from(slot)] = true;
            return self.add(Node::Global(slot));
        }
        let Ok(slot) = u16::try_from(self.globals.len()) else {
            return Err(
                self.invalid_at(self.token.start, "the expression reads too many variables")
            );
        };
        self.globals.push(name.into());
        self.repeated.push(self.repeating > 0);
        self.global_slots.insert(name.into(), slot);
        self.add(Node::Global(slot))
    }
}

//! What is durable, per group: where each entry lies, and which segments are needed for it.
//!
//! One state machine, fed with frames in the order of the file by both sides: by the writer after
//! each sync, and by recovery. So what recovery will find is what the writer believes.
//!
//! Invariants: `pins` counts exactly the frames of live entries and of the last purge and meta, by
//! segment. Where nothing is damaged, the live entries are `purged .. next` without holes. Only
//! while recovery is replaying there may be holes: entries that are purged later or that come
//! later as moved ones, while the segments with the originals are gone.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::frame::{FrameHeader, Kind};
use crate::{Damage, GroupId};

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub segment: u64,
    pub offset: u32,
    /// Header and payload.
    pub bytes: u32,
}

#[derive(Debug, Default)]
pub(crate) struct GroupLedger {
    entries: BTreeMap<u64, Position>,
    /// The index of the next entry.
    next: u64,
    /// Entries before this index are purged.
    purged: u64,
    purged_at: Option<Position>,
    meta: Option<(Bytes, Position)>,
    /// Of the last frame.
    pub sequence: u64,
    /// Segment to number and bytes of live frames in it.
    pins: BTreeMap<u64, (u64, u64)>,
    /// Entries whose payload is damaged (recovery only).
    damaged_entries: Vec<(u64, Box<Damage>)>,
    damaged_meta: Option<Box<Damage>>,
    /// Damage that only a reset heals (recovery only).
    damage: Option<Box<Damage>>,
    /// Frames may have been lost here, unless the next frame's sequence shows otherwise.
    suspect: Option<Box<Damage>>,
}

impl GroupLedger {
    pub fn first(&self) -> u64 {
        self.purged
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn meta(&self) -> Option<&Bytes> {
        self.meta.as_ref().map(|(bytes, _)| bytes)
    }

    pub fn position(&self, index: u64) -> Option<Position> {
        self.entries.get(&index).copied()
    }

    pub fn oldest_pin(&self) -> Option<u64> {
        self.pins.keys().next().copied()
    }

    pub fn pinned_bytes(&self, segment: u64) -> u64 {
        self.pins.get(&segment).map_or(0, |(_, bytes)| *bytes)
    }

    pub fn entries_in(&self, segment: u64) -> Vec<(u64, Position)> {
        let all = self.entries.iter().map(|(index, at)| (*index, *at));
        all.filter(|(_, at)| at.segment == segment).collect()
    }

    pub fn purge_in(&self, segment: u64) -> Option<u64> {
        self.purged_at
            .filter(|at| at.segment == segment)
            .map(|_| self.purged)
    }

    pub fn meta_in(&self, segment: u64) -> Option<&Bytes> {
        self.meta
            .as_ref()
            .filter(|(_, at)| at.segment == segment)
            .map(|(bytes, _)| bytes)
    }

    /// The damage that is left when all frames have been seen.
    pub fn final_damage(&self, here: impl Fn(String) -> Box<Damage>) -> Option<Box<Damage>> {
        let known = self
            .damage
            .as_ref()
            .or(self.suspect.as_ref())
            .or(self.damaged_meta.as_ref());
        if let Some(damage) = known.or(self.damaged_entries.first().map(|(_, damage)| damage)) {
            return Some(damage.clone());
        }
        let found = self.entries.keys().copied().chain([self.next]);
        if let Some((expected, index)) = (self.purged..).zip(found).find(|(e, index)| e != index) {
            return Some(here(format!(
                "entries {expected} to {} are missing",
                index - 1
            )));
        }
        None
    }

    fn pin(&mut self, at: Position) {
        let (count, bytes) = self.pins.entry(at.segment).or_default();
        *count += 1;
        *bytes += u64::from(at.bytes);
    }

    fn unpin(&mut self, at: Position) {
        let Some((count, bytes)) = self.pins.get_mut(&at.segment) else {
            unreachable!("a live frame pins its segment {}", at.segment)
        };
        *count -= 1;
        *bytes -= u64::from(at.bytes);
        if *count == 0 {
            self.pins.remove(&at.segment);
        }
    }

    fn unpin_all(&mut self, entries: BTreeMap<u64, Position>) {
        entries.into_values().for_each(|at| self.unpin(at));
    }

    fn apply_entry(&mut self, index: u64, at: Position) -> Result<(), String> {
        if index < self.next {
            return Err(format!("entry {index} follows entry {}", self.next - 1));
        }
        self.pin(at);
        self.entries.insert(index, at);
        self.next = index + 1;
        Ok(())
    }

    fn apply_moved(&mut self, index: u64, at: Position) {
        self.pin(at);
        if let Some(old) = self.entries.insert(index, at) {
            self.unpin(old);
        }
        self.damaged_entries
            .retain(|(damaged, _)| *damaged != index);
        self.next = self.next.max(index + 1);
    }

    fn apply_truncate(&mut self, index: u64) {
        let gone = self.entries.split_off(&index);
        self.unpin_all(gone);
        self.damaged_entries.retain(|(damaged, _)| *damaged < index);
        self.next = index;
    }

    fn apply_purge(&mut self, index: u64, at: Position) {
        let kept = self.entries.split_off(&index);
        let gone = std::mem::replace(&mut self.entries, kept);
        self.unpin_all(gone);
        self.damaged_entries
            .retain(|(damaged, _)| *damaged >= index);
        self.purged = self.purged.max(index);
        self.next = self.next.max(index);
        if let Some(old) = self.purged_at.replace(at) {
            self.unpin(old);
        }
        self.pin(at);
    }

    fn apply_meta(&mut self, bytes: Bytes, at: Position) {
        self.damaged_meta = None;
        if let Some((_, old)) = self.meta.replace((bytes, at)) {
            self.unpin(old);
        }
        self.pin(at);
    }

    fn apply_sequence(&mut self, frame: &FrameHeader, known: bool) -> Result<(), String> {
        let expected = self.sequence + 1;
        let fits = !known || frame.sequence == expected;
        self.sequence = frame.sequence;
        if fits {
            self.suspect = None;
            return Ok(());
        }
        // Which frames are missing is not known, so the damage stays even if more follows.
        self.damage = self.damage.take().or(self.suspect.take());
        Err(format!(
            "frame {} of the group follows frame {}",
            frame.sequence,
            expected - 1
        ))
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    groups: BTreeMap<u32, GroupLedger>,
    /// Frames were lost whose group is not known: any group may have been there, also one of
    /// which nothing else is left (recovery only). The group in it means nothing.
    lost: Option<Box<Damage>>,
}

impl Ledger {
    pub fn group(&self, group: u32) -> Option<&GroupLedger> {
        self.groups.get(&group)
    }

    pub fn groups(&self) -> impl Iterator<Item = (u32, &GroupLedger)> {
        self.groups.iter().map(|(id, group)| (*id, group))
    }

    /// The oldest segment that some group needs, and that group.
    pub fn oldest_pin(&self) -> Option<(u64, u32)> {
        self.groups()
            .filter_map(|(id, group)| Some((group.oldest_pin()?, id)))
            .min()
    }

    /// Takes in one durable frame. An error says how the file contradicts itself; the damage is
    /// kept with the group.
    pub fn apply(
        &mut self,
        frame: &FrameHeader,
        payload: Bytes,
        at: Position,
        here: impl Fn(String) -> Box<Damage>,
    ) -> Result<(), Box<Damage>> {
        let lost = self.lost.is_some();
        let known = self.groups.contains_key(&frame.group) || lost && frame.sequence != 1;
        let group = self.groups.entry(frame.group).or_default();
        let mut result = Ok(());
        if frame.kind == Kind::Reset {
            *group = GroupLedger {
                sequence: frame.sequence,
                ..GroupLedger::default()
            };
        } else {
            result = group.apply_sequence(frame, known);
        }
        if result.is_ok() {
            result = match frame.kind {
                Kind::Entry => group.apply_entry(frame.index, at),
                Kind::Moved => {
                    group.apply_moved(frame.index, at);
                    Ok(())
                }
                Kind::Truncate => {
                    group.apply_truncate(frame.index);
                    Ok(())
                }
                Kind::Purge => {
                    group.apply_purge(frame.index, at);
                    Ok(())
                }
                Kind::Meta => {
                    group.apply_meta(payload, at);
                    Ok(())
                }
                Kind::Reset => Ok(()),
            };
        }
        result.map_err(|what| group.damage.get_or_insert(here(what)).clone())
    }

    /// Takes in a frame whose payload is not what was written.
    pub fn apply_damaged(&mut self, frame: &FrameHeader, at: Position, damage: Box<Damage>) {
        let _ = self.apply(frame, Bytes::new(), at, |_| damage.clone());
        let group = self.groups.entry(frame.group).or_default();
        match frame.kind {
            Kind::Entry | Kind::Moved => group.damaged_entries.push((frame.index, damage)),
            Kind::Meta => group.damaged_meta = Some(damage),
            Kind::Truncate | Kind::Purge | Kind::Reset => {}
        }
    }

    /// Frames were lost, and it is not known whose.
    pub fn apply_loss(&mut self, damage: Box<Damage>) {
        for (id, group) in &mut self.groups {
            let damage = Damage {
                group: GroupId(*id),
                ..(*damage).clone()
            };
            group.suspect.get_or_insert_with(|| Box::new(damage));
        }
        self.lost.get_or_insert(damage);
    }

    /// The damage of a group of which no frame was found.
    pub fn damage_of_unknown(&self, group: GroupId) -> Option<Box<Damage>> {
        let lost = self.lost.as_deref()?;
        Some(Box::new(Damage {
            group,
            ..lost.clone()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger_of(frames: &[(Kind, u64, u64)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (at, (kind, index, segment)) in frames.iter().enumerate() {
            let frame = FrameHeader {
                kind: *kind,
                group: 1,
                sequence: at as u64 + 1,
                index: *index,
                payload_bytes: 0,
                payload_crc: 0,
            };
            let position = Position {
                segment: *segment,
                offset: at as u32,
                bytes: 10,
            };
            ledger
                .apply(&frame, Bytes::new(), position, damage)
                .unwrap();
        }
        ledger
    }

    fn damage(what: String) -> Box<Damage> {
        Box::new(Damage {
            group: GroupId(1),
            file: "f".into(),
            offset: 0,
            what,
        })
    }

    #[test]
    fn purged_entries_release_their_segment_but_the_purge_pins_its_own() {
        let ledger = ledger_of(&[
            (Kind::Entry, 0, 1),
            (Kind::Entry, 1, 2),
            (Kind::Purge, 2, 3),
        ]);
        assert_eq!(ledger.oldest_pin(), Some((3, 1)));
        let group = ledger.group(1).unwrap();
        assert_eq!((group.first(), group.next()), (2, 2));
    }

    #[test]
    fn moved_entries_release_the_old_segment() {
        let ledger = ledger_of(&[
            (Kind::Entry, 0, 1),
            (Kind::Entry, 1, 1),
            (Kind::Entry, 2, 2),
            (Kind::Moved, 1, 3),
            (Kind::Moved, 0, 3),
        ]);
        assert_eq!(ledger.oldest_pin(), Some((2, 1)));
        assert_eq!(ledger.group(1).unwrap().pinned_bytes(3), 20);
    }

    #[test]
    fn moved_entries_are_found_again_without_the_segment_that_they_came_from() {
        let ledger = ledger_of(&[
            (Kind::Entry, 2, 2),
            (Kind::Moved, 0, 3),
            (Kind::Moved, 1, 4),
        ]);
        let group = ledger.group(1).unwrap();
        assert_eq!((group.first(), group.next()), (0, 3));
        assert_eq!(group.final_damage(damage), None);
    }

    #[test]
    fn a_hole_is_damage_unless_it_is_purged_later() {
        let hole = [(Kind::Entry, 0, 1), (Kind::Entry, 5, 2)];
        let ledger = ledger_of(&hole);
        assert!(ledger.group(1).unwrap().final_damage(damage).is_some());
        let purged = ledger_of(&[hole[0], hole[1], (Kind::Purge, 5, 2)]);
        assert_eq!(purged.group(1).unwrap().final_damage(damage), None);
    }

    #[test]
    fn a_purge_beyond_the_end_moves_the_end() {
        let ledger = ledger_of(&[
            (Kind::Entry, 0, 1),
            (Kind::Purge, 7, 1),
            (Kind::Entry, 7, 1),
        ]);
        let group = ledger.group(1).unwrap();
        assert_eq!((group.first(), group.next()), (7, 8));
    }
}

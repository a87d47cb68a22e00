//! What goes wrong around the real consensus: nodes crash, stand still, are cut off and lose data; disks are slow, full or fail; leaderships move.

use crate::cluster::{Cut, Move, Trouble};
use crate::violation::Check;
use crate::world::{Place, Step, World};

/// Something that is mended later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Messages from a node to another are lost.
    Cut(usize, usize),
    /// A node's disk is in trouble.
    Disk(usize),
}

impl World {
    fn any_node(&mut self) -> usize {
        self.random.below(self.nodes.len() as u64) as usize
    }

    /// Something goes wrong.
    pub fn mishap(&mut self) -> Check {
        match self.random.below(20) {
            0..5 => {
                let node = self.any_node();
                match self.random.chance(self.rates.data_lost) {
                    true => self.lose_something(node)?,
                    false => self.crash_for_a_while(node)?,
                }
            }
            5 => {
                for node in 0..self.nodes.len() {
                    self.crash_for_a_while(node)?;
                }
            }
            6..10 => self.cut_something(),
            10..12 => self.pause_something(),
            12..14 => self.trouble_a_disk(Trouble::Slow),
            14 => self.trouble_a_disk(Trouble::Failing),
            15 => {
                let bytes = self.random.below(20_000);
                self.trouble_a_disk(Trouble::Full(bytes));
            }
            16 => self.move_clock(),
            17 => self.slow_replica(),
            _ => self.move_a_leadership(),
        }
        Ok(())
    }

    fn slow_replica(&mut self) {
        let partition = self.random.below(self.partitions.len() as u64) as usize;
        let node = self.any_node();
        let until = self.now + self.random.wait(5_000);
        self.host(Place { partition, node }).slow_until = until;
    }

    /// Cuts a node off, one way or both ways, or one link, or a part of the nodes.
    fn cut_something(&mut self) {
        let nodes = self.nodes.len();
        let (kind, node, other) = (self.random.below(4), self.any_node(), self.any_node());
        let part = self.random.next();
        let in_part = |node: usize| part >> node & 1 == 1;
        let known = self.random.chance(500);
        let lasting = *self.random.pick(&[300, 2_000, 8_000]);
        let after = self.random.wait(lasting);
        for from in 0..nodes {
            for to in 0..nodes {
                let cut = match kind {
                    0 => from == node || to == node,
                    1 => from == node,
                    2 => from == node && to == other,
                    _ => in_part(from) != in_part(to),
                };
                if cut && from != to {
                    self.cut_link(from, to, known);
                    self.schedule(after, Step::Mend(Mishap::Cut(from, to)));
                }
            }
        }
    }

    fn cut_link(&mut self, from: usize, to: usize, known: bool) {
        self.note(|| format!("node {from} does not reach node {to}, known: {known}"));
        let cut = if known { Cut::Known } else { Cut::Silent };
        if let Some(cluster) = &self.cluster {
            cluster.cut(from, to, cut);
        }
    }

    fn pause_something(&mut self) {
        let node = self.any_node();
        let lasting = *self.random.pick(&[200, 2_000, 6_000]);
        let until = self.now + self.random.wait(lasting);
        if !self.nodes[node].up {
            return;
        }
        self.note(|| format!("node {node} stands still"));
        self.nodes[node].paused_until = until;
        if let Some(cluster) = &self.cluster {
            cluster.pause(node, until);
        }
    }

    fn trouble_a_disk(&mut self, trouble: Trouble) {
        let node = self.any_node();
        let after = self.random.wait(4_000);
        self.note(|| format!("the disk of node {node}: {trouble:?}"));
        if let Some(cluster) = &mut self.cluster {
            cluster.trouble(node, trouble);
            self.schedule(after, Step::Mend(Mishap::Disk(node)));
        }
    }

    fn move_a_leadership(&mut self) {
        let partition = self.random.below(self.partitions.len() as u64) as usize;
        let how = match self.random.chance(500) {
            true => Move::HandOver,
            false => Move::Rebalance,
        };
        let Some(node) = self.leader(partition) else {
            return;
        };
        let place = Place { partition, node };
        self.note(|| format!("{place:?}: {how:?}"));
        if let Some(cluster) = &self.cluster {
            cluster.move_leadership(place, how);
        }
    }

    /// What went wrong is mended.
    pub fn mend_mishap(&mut self, mishap: Mishap) -> Check {
        if let Mishap::Disk(node) = mishap {
            self.stop_failed(node)?;
        }
        self.note(|| format!("mended: {mishap:?}"));
        let Some(cluster) = &mut self.cluster else {
            return Ok(());
        };
        match mishap {
            Mishap::Cut(from, to) => cluster.cut(from, to, Cut::No),
            Mishap::Disk(node) => cluster.trouble(node, Trouble::None),
        }
        Ok(())
    }

    /// All is mended at once.
    pub fn lift_mishaps(&mut self) -> Check {
        for node in 0..self.nodes.len() {
            self.stop_failed(node)?;
        }
        let now = self.now;
        if let Some(cluster) = &mut self.cluster {
            cluster.lift_faults();
            for node in &mut self.nodes {
                node.paused_until = now;
            }
        }
        Ok(())
    }
}

//! What goes wrong with nodes, leaders and clocks; and how all of it is lifted.

use crate::violation::Check;
use crate::world::{Place, Step, World};

impl World {
    /// Has something go wrong after a while.
    pub fn schedule_chaos(&mut self) {
        if self.rates.chaos_ms > 0 {
            let after = self.random.wait(self.rates.chaos_ms);
            self.schedule(after, Step::Chaos);
        }
    }

    /// Something goes wrong.
    pub fn chaos(&mut self) -> Check {
        if self.rates.chaos_ms == 0 {
            return Ok(());
        }
        if self.cluster.is_some() {
            self.mishap()?;
            self.schedule_chaos();
            return Ok(());
        }
        match self.random.below(10) {
            0..3 => {
                let node = self.random.below(self.nodes.len() as u64) as usize;
                self.crash_for_a_while(node)?;
            }
            3 => {
                for node in 0..self.nodes.len() {
                    self.crash_for_a_while(node)?;
                }
            }
            4..8 => {
                let partition = self.random.below(self.partitions.len() as u64) as usize;
                self.elect(partition)?;
            }
            8 => {
                let partition = self.random.below(self.partitions.len() as u64) as usize;
                let node = self.random.below(self.nodes.len() as u64) as usize;
                let until = self.now + self.random.wait(10_000);
                self.host(Place { partition, node }).slow_until = until;
            }
            _ => self.move_clock(),
        }
        self.schedule_chaos();
        Ok(())
    }

    /// A node crashes, and starts again after a while.
    pub fn crash_for_a_while(&mut self, node: usize) -> Check {
        self.crash(node)?;
        let down = *self.random.pick(&[50, 500, 5_000, 20_000]);
        let after = self.random.wait(down);
        self.schedule(after, Step::Restart(node));
        Ok(())
    }

    /// A node's clock jumps.
    pub fn move_clock(&mut self) {
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let step = *self.random.pick(&[50, 2_000, 60_000, 600_000]);
        let step = self.random.wait(step);
        let ahead = self.nodes[node].clock_ahead_ms;
        let ahead = if self.random.chance(500) {
            ahead + step
        } else {
            ahead - step
        };
        self.note(|| format!("the clock of node {node} is {ahead} ms ahead now"));
        self.nodes[node].clock_ahead_ms = ahead.clamp(-1_800_000, 1_800_000);
    }

    /// From now on all goes well: nodes run, clocks agree, and every partition elects a leader for good.
    pub fn lift_faults(&mut self) -> Check {
        self.note(|| "all faults are lifted".to_owned());
        self.rates = crate::settings::Rates::CALM;
        self.lift_mishaps()?;
        let clocks = self.nodes.iter().map(|node| node.clock_ahead_ms);
        let furthest = clocks.max().unwrap_or(0);
        for node in 0..self.nodes.len() {
            self.nodes[node].clock_ahead_ms = furthest;
            self.restart(node)?;
        }
        for partition in 0..self.partitions.len() {
            for node in 0..self.nodes.len() {
                self.host(Place { partition, node }).slow_until = 0;
            }
            // What is still under way of former leaders has arrived by then.
            let after = 60_000;
            self.schedule(after, Step::Depose(partition));
        }
        self.calm_clients();
        Ok(())
    }
}

//! The argument of `collect` checked by going through every interleaving of a small model.
//!
//! One chunk (any number of generations), two uploads that want it, two collector runs, and time in
//! steps. An upload lasts at most `UPLOAD` steps from its begin to its manifest; the grace time is longer. Every step of
//! a run (list marks, read manifests, mark, delete, remove a mark) is separate, and the runs do not overlap, as the lease
//! sees to. The invariant: no manifest refers to a generation that is not there.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{HashSet, VecDeque};

const GENERATIONS: usize = 2;
const UPLOAD: u8 = 1;
const TIME_MAX: u8 = 4;

/// Rules that can be switched off to see that the model notices.
#[derive(Clone, Copy)]
struct Rules {
    grace: u8,
    uploads_look_at_marks: bool,
    sweeps_read_manifests: bool,
}

const SOUND: Rules = Rules {
    grace: UPLOAD + 1,
    uploads_look_at_marks: true,
    sweeps_read_manifests: true,
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Upload {
    Idle,
    /// Has listed the marks at this time and seen these.
    Begun {
        at: u8,
        seen: [bool; GENERATIONS],
    },
    /// Has put or found this generation.
    Stored {
        at: u8,
        generation: u8,
    },
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Collector {
    Idle,
    /// Has listed the marks, with their times, at this time.
    Marks {
        at: u8,
        marks: [Option<u8>; GENERATIONS],
    },
    /// Knows what is referred to as well.
    Manifests {
        at: u8,
        marks: [Option<u8>; GENERATIONS],
        referenced: [bool; GENERATIONS],
        next: u8,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct World {
    time: u8,
    there: [bool; GENERATIONS],
    marked: [Option<u8>; GENERATIONS],
    /// Which generations manifests refer to, one manifest per upload.
    manifests: [Option<u8>; 2],
    uploads: [Upload; 2],
    collector: Collector,
}

impl World {
    /// The chunk is there, left over from a deleted backup.
    fn start() -> Self {
        Self {
            time: 0,
            there: [true, false],
            marked: [None; GENERATIONS],
            manifests: [None; 2],
            uploads: [Upload::Idle; 2],
            collector: Collector::Idle,
        }
    }

    fn is_sound(&self) -> bool {
        self.manifests
            .iter()
            .flatten()
            .all(|generation| self.there[usize::from(*generation)])
    }

    fn steps(&self, rules: Rules) -> Vec<Self> {
        let mut next = Vec::new();
        if self.time < TIME_MAX {
            next.push(Self {
                time: self.time + 1,
                ..*self
            });
        }
        for number in 0..self.uploads.len() {
            next.extend(self.upload_step(number, rules));
            // A backup is deleted.
            if self.manifests[number].is_some() {
                let mut world = *self;
                world.manifests[number] = None;
                next.push(world);
            }
        }
        next.push(self.collector_step(rules));
        next.into_iter().map(Self::normal).collect()
    }

    /// The two uploads are alike: states that differ in their order only count as one.
    fn normal(mut self) -> Self {
        if (self.uploads[0], self.manifests[0]) > (self.uploads[1], self.manifests[1]) {
            self.uploads.swap(0, 1);
            self.manifests.swap(0, 1);
        }
        self
    }

    fn upload_step(&self, number: usize, rules: Rules) -> Option<Self> {
        let mut world = *self;
        world.uploads[number] = match self.uploads[number] {
            Upload::Idle => {
                let seen = self
                    .marked
                    .map(|mark| mark.is_some() && rules.uploads_look_at_marks);
                Upload::Begun {
                    at: self.time,
                    seen,
                }
            }
            Upload::Begun { at, .. } | Upload::Stored { at, .. } if self.time > at + UPLOAD => {
                Upload::Done
            }
            Upload::Begun { at, seen } => {
                let generation = seen.iter().position(|seen| !seen)?;
                world.there[generation] = true;
                Upload::Stored {
                    at,
                    generation: generation as u8,
                }
            }
            Upload::Stored { generation, .. } => {
                world.manifests[number] = Some(generation);
                Upload::Done
            }
            Upload::Done => return None,
        };
        Some(world)
    }

    fn collector_step(&self, rules: Rules) -> Self {
        let mut world = *self;
        world.collector = match self.collector {
            Collector::Idle => Collector::Marks {
                at: self.time,
                marks: self.marked,
            },
            Collector::Marks { at, marks } => {
                let mut referenced = [false; GENERATIONS];
                for generation in self
                    .manifests
                    .iter()
                    .flatten()
                    .filter(|_| rules.sweeps_read_manifests)
                {
                    referenced[usize::from(*generation)] = true;
                }
                Collector::Manifests {
                    at,
                    marks,
                    referenced,
                    next: 0,
                }
            }
            Collector::Manifests { next, .. } if usize::from(next) == GENERATIONS => {
                Collector::Idle
            }
            Collector::Manifests {
                at,
                marks,
                referenced,
                next,
            } => {
                let generation = usize::from(next);
                match marks[generation] {
                    None if self.there[generation] && !referenced[generation] => {
                        world.marked[generation] = Some(self.time);
                    }
                    Some(mark) if at >= mark + rules.grace => {
                        if referenced[generation] {
                            world.marked[generation] = None;
                        } else if self.there[generation] {
                            world.marked[generation] = Some(self.time);
                            world.there[generation] = false;
                        } else {
                            world.marked[generation] = None;
                        }
                    }
                    _ => {}
                }
                Collector::Manifests {
                    at,
                    marks,
                    referenced,
                    next: next + 1,
                }
            }
        };
        world
    }
}

/// A state in which a manifest refers to nothing, if one can be reached; and how many states there are.
fn search(rules: Rules) -> (Option<World>, usize) {
    let mut seen = HashSet::from([World::start()]);
    let mut pending = VecDeque::from([World::start()]);
    while let Some(world) = pending.pop_front() {
        if !world.is_sound() {
            return (Some(world), seen.len());
        }
        let steps = world
            .steps(rules)
            .into_iter()
            .filter(|next| seen.insert(*next));
        pending.extend(steps.collect::<Vec<_>>());
    }
    (None, seen.len())
}

#[test]
fn no_interleaving_deletes_a_chunk_that_a_manifest_refers_to() {
    let (unsound, states) = search(SOUND);
    assert_eq!(unsound, None);
    assert!(
        states > 50_000,
        "the model is too small to mean anything: {states} states"
    );
}

#[test]
fn without_any_one_of_the_rules_the_model_finds_the_fault() {
    let rules = [
        Rules { grace: 0, ..SOUND },
        Rules {
            grace: UPLOAD - 1,
            ..SOUND
        },
        Rules {
            uploads_look_at_marks: false,
            ..SOUND
        },
        Rules {
            sweeps_read_manifests: false,
            ..SOUND
        },
    ];
    for (number, rules) in rules.into_iter().enumerate() {
        assert!(search(rules).0.is_some(), "rule {number} is not needed?");
    }
}

//! A run: things go wrong for a while, then all faults are lifted and everything must complete; then backups are restored into
//! new worlds, in which everything must complete too.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use prost::Message as _;
use skep_backup::RestorableBackup;
use skep_engine::tables::backups::{self, BackupStatus};
use skep_engine::tables::checkpoint::Checkpoint;
use skep_partition::{Bookkeeping, LocalPosition};
use skep_protocol::{CheckpointId, PartitionId, Position};
use skep_state::{MemoryStore, Store};

use crate::backups::StoredPairs;
use crate::invariants::equal_states::Depth;
use crate::invariants::liveness;
use crate::panics;
use crate::settings::{ClusterRates, Rates, Settings};
use crate::violation::{Check, Violation};
use crate::world::{BEGIN_MS, Counts, Place, World};

/// How long everything may take to complete once all faults are lifted.
const LIVENESS_MS_MAX: i64 = 2 * 3_600_000;

/// How long elections may take once all faults are lifted, with the real consensus.
const LEADERS_MS_MAX: i64 = 10_000;

/// Milliseconds between two looks whether everything has completed.
const REST_CHECK_MS: i64 = 10_000;

/// Steps of a run at most, so that one that goes in circles ends.
const STEPS_MAX: u64 = 4_000_000;

/// A violation, and how it came about.
#[derive(Debug, Clone)]
pub struct Found {
    /// What does not hold.
    pub violation: Violation,
    /// The step at which it was found.
    pub step: u64,
    /// What happened before, the oldest first.
    pub trace: Vec<String>,
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Simulated time.
    pub simulated_ms: i64,
    /// Of that, with faults.
    pub faulty_ms: i64,
    /// What has happened.
    pub counts: Counts,
    /// Commands in committed batches.
    pub commands: u64,
    /// Committed batches.
    pub batches: u64,
    /// Successes that were checked in later leaders' states.
    pub answered: u64,
    /// Backups restored into new worlds.
    pub restored: u64,
    /// A hash of all that happened, in order.
    pub digest: u64,
    /// The violation, if there is one.
    pub found: Option<Found>,
}

/// Runs a seed.
pub fn run(settings: &Settings) -> Report {
    let _kept = panics::Kept::begin();
    let mut report = Report::default();
    let stores = (0..settings.partitions).map(|_| MemoryStore::default());
    let world = World::new(
        settings.clone(),
        settings.rates,
        BEGIN_MS,
        stores.collect(),
        LocalPosition::default(),
    );
    let mut world = match world {
        Ok(world) => world,
        Err(violation) => {
            report.found = Some(before_the_first_step(violation));
            return report;
        }
    };
    let lasted = drive(&mut world, settings.faulty_ms);
    report.add(&world, BEGIN_MS, lasted);
    report.faulty_ms = settings.faulty_ms;
    if report.found.is_some() || world.ended {
        return report;
    }
    let good = world.backups.good.clone();
    let mut chosen: Vec<CheckpointId> = good.last().copied().into_iter().collect();
    if good.len() > 1 {
        chosen.push(good[world.random.below(good.len() as u64 - 1) as usize]);
    }
    for id in chosen.into_iter().take(settings.restored_max) {
        report.restore(&world, id);
        if report.found.is_some() {
            break;
        }
    }
    report
}

fn before_the_first_step(violation: Violation) -> Found {
    Found {
        violation,
        step: 0,
        trace: Vec::new(),
    }
}

impl Report {
    fn add(&mut self, world: &World, begin: i64, lasted: Check) {
        self.simulated_ms += world.now - begin;
        self.counts += world.counts;
        self.digest = self.digest.rotate_left(1) ^ world.digest;
        for partition in &world.partitions {
            self.commands += partition.reference.commands;
            self.batches += partition.reference.batches;
            self.answered += partition.history.answered;
        }
        if let Err(violation) = lasted {
            self.found = Some(Found {
                violation,
                step: world.counts.steps,
                trace: world.trace(),
            });
        }
    }

    fn restore(&mut self, from: &World, id: CheckpointId) {
        let restored = catch(|| restored_world(from, id)).and_then(|world| world);
        let mut world = match restored {
            Ok(world) => world,
            Err(violation) => {
                self.found = Some(before_the_first_step(violation));
                return;
            }
        };
        let begin = world.now;
        let faulty_ms = if world.clients.arriving {
            world.settings.restored_faulty_ms
        } else {
            0
        };
        let lasted = drive(&mut world, faulty_ms);
        self.add(&world, begin, lasted);
        self.faulty_ms += faulty_ms;
        if let Some(found) = &mut self.found {
            found.violation.detail = format!(
                "after the restore of backup {id}: {}",
                found.violation.detail
            );
        }
        self.restored += 1;
    }
}

fn catch<T>(what: impl FnOnce() -> T) -> Check<T> {
    catch_unwind(AssertUnwindSafe(what)).map_err(|_| Violation::new("panic", panics::last()))
}

/// Lets things go wrong for a while, lifts all faults, and waits until everything has completed.
fn drive(world: &mut World, faulty_ms: i64) -> Check {
    let until = world.now + faulty_ms;
    until_time(world, until)?;
    if world.ended {
        return Ok(());
    }
    catch(|| world.lift_faults())??;
    let deadline = world.now + LIVENESS_MS_MAX;
    // Leaders that were deposed without the simulated consensus knowing of it are replaced a minute after.
    let mut next = world.now + 70_000;
    if world.cluster.is_some() {
        until_time(world, world.now + LEADERS_MS_MAX)?;
        world.check_leaders()?;
        next = world.now;
    }
    loop {
        until_time(world, next)?;
        if world.ended || is_at_rest(world)? {
            return Ok(());
        }
        if world.now > deadline {
            return Err(not_at_rest(world)?);
        }
        next = world.now + REST_CHECK_MS;
    }
}

fn until_time(world: &mut World, until: i64) -> Check {
    while world.now < until && !world.ended {
        if world.counts.steps > STEPS_MAX {
            return Err(Violation::new("liveness", "the run goes in circles"));
        }
        if !catch(|| world.step())?? {
            world.now = until;
        }
    }
    Ok(())
}

/// Nothing is under way any more, and all replicas agree.
fn is_at_rest(world: &World) -> Check<bool> {
    for (number, partition) in world.partitions.iter().enumerate() {
        let state = partition.reference.state();
        let uploading = backups::all(state)
            .map_err(|error| Violation::new("state", error.to_string()))?
            .iter()
            .any(|backup| backup.status == BackupStatus::InProgress);
        if uploading || !liveness::left(state)?.is_empty() {
            return Ok(false);
        }
        for node in 0..world.nodes.len() {
            let place = Place {
                partition: number,
                node,
            };
            if world.applied(place) < partition.reference.applied || !world.votes(place) {
                return Ok(false);
            }
            world.check_state(place, Depth::Content)?;
        }
    }
    Ok(true)
}

fn not_at_rest(world: &World) -> Check<Violation> {
    let mut detail = Vec::new();
    for (number, partition) in world.partitions.iter().enumerate() {
        let state = partition.reference.state();
        let uploading = backups::all(state)
            .map_err(|error| Violation::new("state", error.to_string()))?
            .iter()
            .filter(|backup| backup.status == BackupStatus::InProgress)
            .count();
        detail.push(format!(
            "partition {}: {:?} left, {uploading} backups in progress, leader {:?}, committed {}, applied {:?}",
            partition.id,
            liveness::left(state)?,
            world.leader(number),
            partition.reference.applied,
            (0..world.nodes.len())
                .map(|node| world.applied(Place { partition: number, node }))
                .collect::<Vec<_>>(),
        ));
        detail.extend(liveness::an_incident(state)?);
        detail.extend(world.describe_members(number));
    }
    Ok(Violation::new("liveness", detail.join("; ")))
}

/// A new world with what a backup holds, as a restore of a broker makes it.
fn restored_world(from: &World, id: CheckpointId) -> Check<World> {
    let count = from.partitions.len() as u32;
    let (found, contents) = from.backups.restore(id, count, from.now)?;
    // As the real consensus sees it, entries stand for the content; the simulated one begins with it.
    let at = match from.settings.cluster {
        Some(_) => LocalPosition::RESTORED,
        None => LocalPosition::default(),
    };
    let stores = (1..).zip(contents).map(|(partition, pairs)| {
        let store = MemoryStore::default();
        fill(&store, &found, PartitionId(partition), pairs, at)?;
        Ok(store)
    });
    let stores = stores.collect::<Check<Vec<_>>>()?;
    let mut settings = from.settings.clone();
    settings.seed ^= id.0 as u64;
    // Some go on in a world without faults, some in one that is as bad as before.
    let calm = settings.seed.is_multiple_of(2);
    let rates = if calm { Rates::CALM } else { settings.rates };
    if let Some(cluster) = settings.cluster.as_mut().filter(|_| calm) {
        cluster.rates = ClusterRates::CALM;
    }
    let mut world = World::new(settings, rates, from.now, stores, at)?;
    if calm {
        world.calm_clients();
    }
    world.clients.go_on_after(&from.clients);
    world.backups.go_on_after(id);
    Ok(world)
}

fn fill(
    store: &MemoryStore,
    found: &RestorableBackup,
    partition: PartitionId,
    mut pairs: StoredPairs,
    at: LocalPosition,
) -> Check {
    let Some(manifest) = found.partition(skep_backup::PartitionId(partition.0)) else {
        return Err(Violation::new(
            "restored",
            "a partition is missing in a backup",
        ));
    };
    let identity = &manifest.identity;
    let position = Position(identity.checkpoint_position as i64);
    let progress = Bookkeeping {
        epoch: identity.epoch,
        sequence: 0,
        position: position.0,
        time: manifest.restored_time_ms() as i64,
        state_version: identity.state_version,
    };
    let latest = Checkpoint {
        id: CheckpointId(identity.backup_id.0 as i64),
        position,
    };
    for (key, value) in [progress.to_pair(), latest.to_pair()] {
        pairs.push((Bytes::from(key), Bytes::from(value)));
    }
    pairs.sort();
    let mut writes = pairs
        .iter()
        .map(|(key, value)| (key.as_ref(), Some(value.as_ref())));
    let meta = at.encode_to_vec().into();
    store
        .write(&mut writes, &meta)
        .map_err(|error| Violation::new("state", error.to_string()))
}

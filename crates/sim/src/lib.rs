//! A deterministic simulator of a whole cluster: one thread, one seed, simulated time.
//!
//! Partitions and replicas, engine, state and backup are the real ones; consensus, disks, network, clocks, blob store and people
//! are simulated, and go wrong. With [`Settings::cluster_of_seed`] consensus is the real one too: `skep-raft` on openraft, with the
//! log of each node on a simulated disk and a simulated network between its members (`cluster`). Whatever the log says is applied by a [`reference`] as well, which evaluates every batch again.
//!
//! **Invariants**
//! - A seed repeats a run step by step: all choices come from it, and nothing here looks at a clock or iterates over what has no
//!   order.
//! - A violation ends the run, with the line that repeats it.
//!
//! **Absent on purpose**: the store on disk, gRPC, the broker's wiring. They have tests with real processes.

mod agreement;
mod backups;
mod blobs;
mod chaos;
mod clients;
mod cluster;
pub mod consensus;
mod effects;
pub mod invariants;
mod losses;
mod members;
mod mishaps;
mod panics;
mod processes;
mod random;
pub mod reference;
mod replicas;
mod run;
mod settings;
mod violation;
mod world;

pub use run::{Found, Report, run};
pub use settings::{ClusterRates, ClusterSettings, Plant, Rates, Settings};
pub use violation::Violation;

/// A seed that nobody has used before.
pub fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds its hash maps from the system's entropy.
    std::hash::RandomState::new().build_hasher().finish()
}

/// The line that repeats a run.
pub fn replay_line(settings: &Settings) -> String {
    let plant = settings
        .plant
        .map_or(String::new(), |plant| format!(" --plant {}", plant.name()));
    let cluster = settings.cluster.map_or("", |_| " --cluster");
    format!(
        "cargo run --release -p skep-sim --{cluster} --seed {}{plant}",
        settings.seed
    )
}

/// A violation with all that helps to understand it.
pub fn describe(settings: &Settings, found: &Found) -> String {
    format!(
        "seed {} violates an invariant at step {}\n  {}\n\nlast events:\n  {}\n\nreplay: {}\n",
        settings.seed,
        found.step,
        found.violation,
        found.trace.join("\n  "),
        replay_line(settings)
    )
}

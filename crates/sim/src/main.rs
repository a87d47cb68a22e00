//! Runs seeds and tells what was found.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use skep_sim::{Plant, Report, Settings, describe, fresh_seed, run};

/// Seeds after which a long run tells how far it is.
const PROGRESS_SEEDS: u64 = 200;

/// Simulates clusters in which everything goes wrong, and checks that nothing is lost.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Arguments {
    /// How many seeds to run; fresh ones, or those from --seed on
    #[arg(long, default_value_t = 1)]
    seeds: u64,

    /// The first seed
    #[arg(long)]
    seed: Option<u64>,

    /// Go on with more seeds until so many hours are simulated
    #[arg(long)]
    hours: Option<f64>,

    /// With the real consensus, on simulated disks and a simulated network
    #[arg(long)]
    cluster: bool,

    /// A bug put in on purpose, which must be found
    #[arg(long, value_enum)]
    plant: Option<Plant>,

    /// One line per seed
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or_else(fresh_seed);
    println!("seeds from {first} on");
    let begin = Instant::now();
    let mut total = Report::default();
    let mut seeds = 0;
    let goal_ms = arguments.hours.map(|hours| (hours * 3_600_000.0) as i64);
    while goal_ms.map_or(seeds < arguments.seeds, |goal| total.simulated_ms < goal) {
        let seed = first.wrapping_add(seeds);
        let settings = match arguments.cluster {
            true => Settings::cluster_of_seed(seed, arguments.plant),
            false => Settings::of_seed(seed, arguments.plant),
        };
        let report = run(&settings);
        seeds += 1;
        if arguments.verbose {
            println!(
                "seed {}: {} x {}, {} simulated s, {} commands, {} backups, {:016x}",
                settings.seed,
                settings.partitions,
                settings.replicas,
                report.simulated_ms / 1000,
                report.commands,
                report.counts.backups,
                report.digest
            );
        }
        add(&mut total, &report);
        // A long run shows that it gets on.
        if seeds.is_multiple_of(PROGRESS_SEEDS) {
            summary(&total, seeds, begin);
        }
        if let Some(found) = &report.found {
            println!("{}", describe(&settings, found));
            summary(&total, seeds, begin);
            return ExitCode::FAILURE;
        }
    }
    summary(&total, seeds, begin);
    ExitCode::SUCCESS
}

fn add(total: &mut Report, report: &Report) {
    total.simulated_ms += report.simulated_ms;
    total.faulty_ms += report.faulty_ms;
    total.commands += report.commands;
    total.batches += report.batches;
    total.answered += report.answered;
    total.restored += report.restored;
    total.counts += report.counts;
}

fn summary(total: &Report, seeds: u64, begin: Instant) {
    let elapsed = begin.elapsed().as_secs_f64();
    let hours = |ms: i64| ms as f64 / 3_600_000.0;
    println!(
        "{seeds} seeds, {:.2} simulated hours ({:.2} with faults) in {elapsed:.1} s: {:.0} steps/s, {:.1} simulated hours/min",
        hours(total.simulated_ms),
        hours(total.faulty_ms),
        total.counts.steps as f64 / elapsed,
        hours(total.simulated_ms) * 60.0 / elapsed,
    );
    println!(
        "{} commands in {} batches, {} answered successes, {} crashes, {} losses of data, {} failed syncs, {} elections, {} late or repeated proposals, {} replicas given content",
        total.commands,
        total.batches,
        total.answered,
        total.counts.crashes,
        total.counts.losses,
        total.counts.syncs_failed,
        total.counts.elections,
        total.counts.fenced,
        total.counts.installed
    );
    println!(
        "{} backups read back, {} uploads failed, {} restored into new clusters; {} chunks uploaded, {} of them as patches, {} not read because nothing was written",
        total.counts.backups,
        total.counts.uploads_failed,
        total.restored,
        total.counts.chunks_uploaded,
        total.counts.patches_uploaded,
        total.counts.chunks_unchanged
    );
}

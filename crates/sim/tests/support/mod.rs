//! Runs of seeds that must find nothing.

use std::time::{Duration, Instant};

use skep_sim::{Settings, describe, fresh_seed, run};

/// Seconds spent on fresh seeds, unless `SKEP_SIM_SECONDS` says otherwise.
const FRESH_SECONDS: u64 = 20;

fn check(settings: &Settings) {
    let report = run(settings);
    if let Some(found) = &report.found {
        panic!("{}", describe(settings, found));
    }
}

/// Runs the seeds of a list, one a line, each with what it once found behind a `#`.
pub fn known(list: &str, settings: impl Fn(u64) -> Settings) {
    for line in list.lines() {
        let seed = line.split('#').next().unwrap_or_default().trim();
        if !seed.is_empty() {
            check(&settings(
                seed.parse().expect("the list has a seed per line"),
            ));
        }
    }
}

/// Runs seeds that nobody has used before, for some time.
pub fn fresh(settings: impl Fn(u64) -> Settings) {
    let seconds = std::env::var("SKEP_SIM_SECONDS").map_or(FRESH_SECONDS, |seconds| {
        seconds.parse().expect("SKEP_SIM_SECONDS is a number")
    });
    let first = fresh_seed();
    println!("fresh seeds from {first} on");
    // Bounds the effort only: what each seed finds does not depend on the clock.
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    while Instant::now() < until {
        check(&settings(seed));
        seed = seed.wrapping_add(1);
    }
    println!("{} fresh seeds found nothing", seed.wrapping_sub(first));
}

//! How fast the engine is by itself, by the shape of the process: instances and commands per second, and what a command costs.
//!
//! ```sh
//! cargo run --release -p skep-engine --example shapes                        # all shapes
//! cargo run --release -p skep-engine --example shapes -- one_task            # one of them
//! cargo run --release -p skep-engine --example shapes -- one_task 1000000    # beside a million instances that wait
//! cargo run --release -p skep-engine --example shapes -- wide 100000         # one instance with so many tasks at once, cancelled
//! ```

mod partition;
mod wide;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use skep_bpmn::shapes::{SHAPES, Shape};

use crate::partition::Partition;

/// Instances under way at once, as with a partition that is busy.
const AT_ONCE: usize = 32;
/// How long a shape is measured, after a quarter of that to warm up.
const LASTS: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    let name = std::env::args().nth(1);
    let number = std::env::args().nth(2);
    let number = number.and_then(|text| text.parse().ok());
    if name.as_deref() == Some("wide") {
        wide::measure(number.unwrap_or(100_000));
        return ExitCode::SUCCESS;
    }
    let waiting = number.unwrap_or(0);
    let chosen: Vec<&Shape> = SHAPES
        .iter()
        .filter(|shape| name.as_deref().is_none_or(|name| name == shape.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = SHAPES.iter().map(|shape| shape.name).collect();
        eprintln!("there are the shapes {} and wide", names.join(", "));
        return ExitCode::FAILURE;
    }
    println!(
        "| shape | instances/s | commands/s | us/command | allocations/command | records/instance |"
    );
    println!("|---|---|---|---|---|---|");
    for shape in chosen {
        measure(shape, waiting);
    }
    ExitCode::SUCCESS
}

fn measure(shape: &Shape, waiting: u64) {
    let mut partition = Partition::new();
    partition.deploy(shape.resources);
    if waiting > 0 {
        // Instances that wait for a message each.
        let other = SHAPES.iter().find(|other| other.name == "message");
        let other = other.expect("it is one of them");
        partition.deploy(other.resources);
        for number in 0..waiting {
            partition.create(other.name, &(other.variables)(number));
        }
    }
    run(&mut partition, shape, LASTS / 4, waiting);
    partition.counts = Default::default();
    let (instances, time) = run(&mut partition, shape, LASTS, 2 * waiting);
    let counts = partition.counts;
    let commands = counts.commands as f64;
    println!(
        "| {} | {:.0} | {:.0} | {:.1} | {:.0} | {:.0} |",
        shape.name,
        instances as f64 / time.as_secs_f64(),
        commands / time.as_secs_f64(),
        time.as_secs_f64() * 1e6 / commands,
        counts.allocations as f64 / commands,
        counts.records as f64 / instances as f64,
    );
}

/// Runs instances, from a number on that none has had, and gives how many were completed in which time.
fn run(partition: &mut Partition, shape: &Shape, lasts: Duration, first: u64) -> (u64, Duration) {
    let mut number = first;
    let begun = Instant::now();
    let before = partition.counts.completed;
    while begun.elapsed() < lasts {
        let begin = number;
        for _ in 0..AT_ONCE {
            partition.create(shape.name, &(shape.variables)(number));
            number += 1;
        }
        if shape.message {
            for number in begin..number {
                partition.publish("paid", &number.to_string());
            }
        }
        while partition.work(AT_ONCE as i32) {}
    }
    let completed = partition.counts.completed - before;
    assert_eq!(completed, number - first, "every instance is completed");
    (completed, begun.elapsed())
}

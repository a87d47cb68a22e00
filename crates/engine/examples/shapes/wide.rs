//! One instance with very many tasks at once: how long they take to begin, and to be terminated when it is cancelled.

use std::time::{Duration, Instant};

use skep_bpmn::builder::ProcessBuilder;

use crate::partition::Partition;

/// Measures one instance with that many repetitions of a task.
pub fn measure(repetitions: u64) {
    let process = ProcessBuilder::new("wide")
        .start()
        .service_task("task", "work")
        .multi_instance(false, r#"inputCollection="=items" inputElement="item""#)
        .end();
    let mut partition = Partition::new();
    partition.deploy(&[("wide.bpmn", &process.xml())]);
    let items: Vec<String> = (0..repetitions).map(|item| item.to_string()).collect();
    let variables = format!("{{\"items\":[{}]}}", items.join(","));
    println!("| step | s | commands | longest evaluation, ms | records | us/repetition |");
    println!("|---|---|---|---|---|---|");
    let mut instance = None;
    step(&mut partition, "begin", repetitions, |partition| {
        instance = Some(partition.create("wide", &variables));
    });
    let instance = instance.expect("it was just created");
    step(&mut partition, "cancel", repetitions, |partition| {
        partition.cancel(instance);
    });
    assert!(!partition.work(1), "the tasks are gone");
}

fn step(partition: &mut Partition, name: &str, repetitions: u64, run: impl FnOnce(&mut Partition)) {
    partition.counts = Default::default();
    partition.longest = Duration::ZERO;
    let begun = Instant::now();
    run(partition);
    let time = begun.elapsed();
    println!(
        "| {name} {repetitions} | {:.1} | {} | {:.0} | {} | {:.1} |",
        time.as_secs_f64(),
        partition.counts.commands,
        partition.longest.as_secs_f64() * 1e3,
        partition.counts.records,
        time.as_secs_f64() * 1e6 / repetitions as f64,
    );
}

//! How long it takes to read a process of 100 elements. Run with
//! `cargo bench -p skep-bpmn --features testkit`.

use std::hint::black_box;
use std::time::Instant;

use skep_bpmn::builder::ProcessBuilder;
use skep_bpmn::parse;

const ROUNDS: u32 = 2000;

fn main() {
    let mut builder = ProcessBuilder::new("hundred").start();
    for number in 0..49 {
        let (gateway, task) = (format!("gateway{number}"), format!("task{number}"));
        builder = builder
            .exclusive_gateway(&gateway)
            .condition("=amount > 100 and customer.kind = \"new\"")
            .service_task(&task, "work")
            .input("=customer.name", "name")
            .output("=result", "results.last");
    }
    let xml = builder.end().xml();
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        black_box(parse("hundred.bpmn", black_box(xml.as_bytes()))).expect("the process is valid");
    }
    let each = begin.elapsed() / ROUNDS;
    println!("{} bytes, 101 elements: {each:?} each", xml.len());
}

//! The processes that run in the simulated world, and what is published and worked on for them.

use skep_bpmn::builder::ProcessBuilder;

/// Job types that workers ask for.
pub const JOB_TYPES: [&str; 3] = ["work", "risky", "check"];

/// Process ids that clients create instances of.
pub const CREATED: [&str; 8] = [
    "task", "fork", "paid", "timer", "errors", "choice", "nested", "wide",
];

/// Name of the message that starts an instance.
pub const START_MESSAGE: &str = "order";

/// The code that the error boundary event catches.
pub const CAUGHT_ERROR: &str = "CAUGHT";

/// All processes as resources, in a version of that number.
pub fn resources(version: u64) -> Vec<(String, String)> {
    let built = [
        ("task", task()),
        ("fork", fork()),
        ("paid", paid()),
        ("timer", timer()),
        ("errors", errors()),
        ("choice", choice()),
        ("nested", nested()),
        ("wide", wide()),
        ("ordered", ordered()),
    ];
    let resource = |(id, xml): (&str, ProcessBuilder)| {
        let xml = xml
            .xml()
            .replacen("?>", &format!("?><!-- {version} -->"), 1);
        (format!("{id}.bpmn"), xml)
    };
    built.into_iter().map(resource).collect()
}

fn task() -> ProcessBuilder {
    ProcessBuilder::new("task")
        .start()
        .service_task("do", "work")
        .end()
}

fn fork() -> ProcessBuilder {
    ProcessBuilder::new("fork")
        .start()
        .parallel_gateway("split")
        .service_task("left", "work")
        .parallel_gateway("join")
        .end()
        .move_to("split")
        .service_task("right", "check")
        .connect_to("join")
        .move_to("split")
        .timer_catch("pause", "PT3S")
        .connect_to("join")
}

fn paid() -> ProcessBuilder {
    ProcessBuilder::new("paid")
        .start()
        .message_catch("first", "paid", "=key")
        .service_task("between", "check")
        .message_catch("second", "shipped", "=key")
        .end()
}

fn timer() -> ProcessBuilder {
    ProcessBuilder::new("timer")
        .start()
        .timer_catch("short", "PT0.2S")
        .timer_catch("long", "=wait")
        .service_task("do", "work")
        .end()
}

fn errors() -> ProcessBuilder {
    ProcessBuilder::new("errors")
        .start()
        .service_task_with_retries("try", "risky", "2")
        .header("kind", "risky")
        .end()
        .error_boundary("caught", "try", CAUGHT_ERROR)
        .service_task("repair", "work")
        .end()
}

fn choice() -> ProcessBuilder {
    ProcessBuilder::new("choice")
        .start()
        .service_task("decide", "check")
        .exclusive_gateway("which")
        .condition("=go > 1")
        .service_task("much", "work")
        .end()
        .move_to("which")
        .default_flow()
        .timer_catch("little", "PT1S")
        .end()
}

fn nested() -> ProcessBuilder {
    ProcessBuilder::new("nested")
        .start()
        .sub_process("outer")
        .input("=key", "inner_key")
        .start()
        .parallel_gateway("inside")
        .message_catch("wait", "paid", "=inner_key")
        .end()
        .move_to("inside")
        .service_task("risk", "risky")
        .end()
        .leave()
        .output("=inner_key", "done_key")
        .end()
        .error_boundary("outer_caught", "outer", CAUGHT_ERROR)
        .end()
}

/// More follow-up commands than one evaluation takes.
fn wide() -> ProcessBuilder {
    let mut process = ProcessBuilder::new("wide")
        .start()
        .parallel_gateway("split");
    for branch in 0..40 {
        process = process
            .move_to("split")
            .exclusive_gateway(&format!("pass{branch}"));
        process = match branch {
            0 => process.parallel_gateway("join"),
            _ => process.connect_to("join"),
        };
    }
    process.move_to("join").service_task("after", "work").end()
}

fn ordered() -> ProcessBuilder {
    ProcessBuilder::new("ordered")
        .message_start("begin", START_MESSAGE)
        .service_task("serve", "work")
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_processes_are_valid() {
        for (name, xml) in resources(1) {
            let parsed = skep_bpmn::parse(&name, xml.as_bytes());
            assert!(parsed.is_ok(), "{name}: {parsed:?}");
        }
    }
}

//! Random processes, random commands: whatever happens, nothing is left behind.

use proptest::prelude::*;
use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{JobIntent, RejectionType, values};

use crate::harness::Harness;

/// A part of a process with one way in and one way out.
#[derive(Debug, Clone)]
enum Block {
    Task,
    /// A task with listeners before and after its work.
    Listened,
    Wait,
    Receive,
    /// The first of a time and a message.
    Race,
    Sequence(Vec<Block>),
    Choice(Box<Block>, Box<Block>),
    Parallel(Box<Block>, Box<Block>),
    /// Both, one or none.
    Inclusive(Box<Block>, Box<Block>),
    /// Ended when a task beside it is done.
    Terminated(Box<Block>),
    /// A scope with a timer on its border.
    Timed {
        interrupting: bool,
        inner: Box<Block>,
    },
    Scope(Box<Block>),
    /// An error of its work is caught outside of it.
    Caught(Box<Block>),
    /// Work of another process.
    Call,
    Repeated {
        sequential: bool,
        inner: Box<Block>,
    },
    /// A scope with an event sub-process.
    Watched {
        by: Watch,
        interrupting: bool,
        inner: Box<Block>,
    },
}

#[derive(Debug, Clone, Copy)]
enum Watch {
    Timer,
    Error,
}

fn block() -> impl Strategy<Value = Block> {
    let leaf = prop_oneof![
        4 => Just(Block::Task),
        1 => Just(Block::Listened),
        1 => Just(Block::Wait),
        1 => Just(Block::Receive),
        1 => Just(Block::Race),
        1 => Just(Block::Call),
    ];
    let watch = prop_oneof![Just(Watch::Timer), Just(Watch::Error)];
    leaf.prop_recursive(4, 16, 3, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            prop::collection::vec(inner, 1..3).prop_map(Block::Sequence),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| Block::Choice(a, b)),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| Block::Parallel(a, b)),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| Block::Inclusive(a, b)),
            boxed.clone().prop_map(Block::Terminated),
            (any::<bool>(), boxed.clone()).prop_map(|(interrupting, inner)| Block::Timed {
                interrupting,
                inner,
            }),
            boxed.clone().prop_map(Block::Scope),
            boxed.clone().prop_map(Block::Caught),
            (any::<bool>(), boxed.clone())
                .prop_map(|(sequential, inner)| Block::Repeated { sequential, inner }),
            (watch.clone(), any::<bool>(), boxed).prop_map(|(by, interrupting, inner)| {
                Block::Watched {
                    by,
                    interrupting,
                    inner,
                }
            }),
        ]
    })
}

/// Appends a block behind the cursor; ids are numbered.
fn append(builder: ProcessBuilder, block: &Block, number: &mut u32) -> ProcessBuilder {
    *number += 1;
    let id = *number;
    match block {
        Block::Task => builder.service_task(&format!("task-{id}"), "work"),
        Block::Listened => builder
            .service_task(&format!("task-{id}"), "work")
            .extension(LISTENERS),
        Block::Wait => builder.timer_catch(&format!("wait-{id}"), "PT1S"),
        Block::Receive => builder.receive_task(&format!("receive-{id}"), "go", "=\"k\""),
        Block::Race => race(builder, id),
        Block::Sequence(blocks) => blocks
            .iter()
            .fold(builder, |builder, block| append(builder, block, number)),
        Block::Choice(first, second) => {
            let (split, join) = (format!("choice-{id}"), format!("merge-{id}"));
            let builder = append(
                builder.exclusive_gateway(&split).condition("=n > 0"),
                first,
                number,
            );
            let builder = builder.exclusive_gateway(&join);
            append(builder.move_to(&split).default_flow(), second, number)
                .connect_to(&join)
                .move_to(&join)
        }
        Block::Parallel(first, second) => {
            let (fork, join) = (format!("fork-{id}"), format!("join-{id}"));
            let builder =
                append(builder.parallel_gateway(&fork), first, number).parallel_gateway(&join);
            append(builder.move_to(&fork), second, number)
                .connect_to(&join)
                .move_to(&join)
        }
        Block::Inclusive(first, second) => inclusive(builder, id, [first, second], number),
        Block::Terminated(inner) => terminated(builder, id, inner, number),
        Block::Timed {
            interrupting,
            inner,
        } => timed(builder, id, *interrupting, inner, number),
        Block::Scope(inner) => append(
            builder.sub_process(&format!("sub-{id}")).start(),
            inner,
            number,
        )
        .end()
        .leave(),
        Block::Caught(inner) => {
            let sub = format!("sub-{id}");
            let merge = format!("merge-{id}");
            let builder = append(builder.sub_process(&sub).start(), inner, number)
                .end()
                .leave()
                .exclusive_gateway(&merge);
            builder
                .error_boundary(&format!("caught-{id}"), &sub, "E")
                .connect_to(&merge)
        }
        Block::Call => builder
            .element("callActivity", &format!("call-{id}"), "")
            .extension(r#"<zeebe:calledElement processId="called"/>"#),
        Block::Repeated { sequential, inner } => append(
            builder.sub_process(&format!("sub-{id}")).start(),
            inner,
            number,
        )
        .end()
        .leave()
        .multi_instance(
            *sequential,
            r#"inputCollection="=[1,2]" outputCollection="out" outputElement="=loopCounter""#,
        ),
        Block::Watched {
            by,
            interrupting,
            inner,
        } => watched(builder, id, *by, *interrupting, inner, number),
    }
}

fn race(builder: ProcessBuilder, id: u32) -> ProcessBuilder {
    let (gateway, merge) = (format!("race-{id}"), format!("merge-{id}"));
    builder
        .element("eventBasedGateway", &gateway, "")
        .timer_catch(&format!("late-{id}"), "PT1S")
        .exclusive_gateway(&merge)
        .move_to(&gateway)
        .message_catch(&format!("told-{id}"), "go", "=\"k\"")
        .connect_to(&merge)
}

fn inclusive(
    builder: ProcessBuilder,
    id: u32,
    [first, second]: [&Block; 2],
    number: &mut u32,
) -> ProcessBuilder {
    let (fork, join) = (format!("fork-{id}"), format!("join-{id}"));
    let builder = builder
        .element("inclusiveGateway", &fork, "")
        .condition("=n > 0");
    let builder = append(builder, first, number).element("inclusiveGateway", &join, "");
    let builder = builder.move_to(&fork).condition("=n < 2 and n != 0");
    append(builder, second, number)
        .connect_to(&join)
        .move_to(&fork)
        .default_flow()
        .connect_to(&join)
}

fn terminated(builder: ProcessBuilder, id: u32, inner: &Block, number: &mut u32) -> ProcessBuilder {
    let fork = format!("fork-{id}");
    let builder = builder
        .sub_process(&format!("sub-{id}"))
        .start()
        .parallel_gateway(&fork);
    append(builder, inner, number)
        .end()
        .move_to(&fork)
        .service_task(&format!("deciding-{id}"), "work")
        .element(
            "endEvent",
            &format!("stop-{id}"),
            "<bpmn:terminateEventDefinition/>",
        )
        .leave()
}

fn timed(
    builder: ProcessBuilder,
    id: u32,
    interrupting: bool,
    inner: &Block,
    number: &mut u32,
) -> ProcessBuilder {
    let (sub, merge, event) = (
        format!("sub-{id}"),
        format!("merge-{id}"),
        format!("late-{id}"),
    );
    let builder = append(builder.sub_process(&sub).start(), inner, number)
        .end()
        .leave()
        .exclusive_gateway(&merge)
        .timer_boundary(&event, &sub, "timeDuration", "PT1S");
    match interrupting {
        true => builder.connect_to(&merge),
        false => builder
            .non_interrupting()
            .service_task(&format!("react-{id}"), "work")
            .end()
            .move_to(&merge),
    }
}

fn watched(
    builder: ProcessBuilder,
    id: u32,
    by: Watch,
    interrupting: bool,
    inner: &Block,
    number: &mut u32,
) -> ProcessBuilder {
    let definition = match by {
        Watch::Timer => {
            "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>"
        }
        Watch::Error => r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
    };
    append(
        builder.sub_process(&format!("sub-{id}")).start(),
        inner,
        number,
    )
    .end()
    .event_sub_process(
        &format!("on-{id}"),
        &format!("on-start-{id}"),
        definition,
        interrupting,
    )
    .service_task(&format!("handle-{id}"), "work")
    .end()
    .leave()
    .leave()
}

const LISTENERS: &str = r#"<zeebe:executionListeners>
    <zeebe:executionListener eventType="start" type="work"/>
    <zeebe:executionListener eventType="end" type="work"/>
    </zeebe:executionListeners>"#;

const ERROR: &str = r#"<bpmn:error id="error" errorCode="E"/>"#;

fn called() -> String {
    ProcessBuilder::new("called")
        .start()
        .service_task("called-task", "work")
        .end()
        .xml()
}

#[derive(Debug, Clone)]
enum Step {
    Complete,
    Fail { retries: i32 },
    Throw,
    Resolve,
    Advance,
    Publish,
    Set,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Complete),
        2 => (0..2).prop_map(|retries| Step::Fail { retries }),
        2 => Just(Step::Throw),
        2 => Just(Step::Resolve),
        3 => Just(Step::Advance),
        2 => Just(Step::Publish),
        1 => Just(Step::Set),
    ]
}

fn apply(harness: &mut Harness, step: &Step, n: i64) {
    match step {
        Step::Complete => {
            for (job, _) in harness.activate("work", 1) {
                harness.complete(job, &format!(r#"{{"n":{n}}}"#)).unwrap();
            }
        }
        Step::Fail { retries } => {
            for (job, _) in harness.activate("work", 1) {
                let value = values::Job {
                    retries: *retries,
                    ..Default::default()
                };
                harness.report(job, JobIntent::Fail, value).unwrap();
            }
        }
        Step::Throw => {
            for (job, _) in harness.activate("work", 1) {
                let value = values::Job {
                    error_code: "E".to_owned(),
                    ..Default::default()
                };
                harness.report(job, JobIntent::ThrowError, value).unwrap();
            }
        }
        Step::Resolve => resolve_all(harness),
        Step::Advance => harness.advance(1_000),
        Step::Publish => harness.publish("go", "k", &format!(r#"{{"n":{n}}}"#)),
        Step::Set => {
            let instance = harness.key_of("p");
            let _ = harness.set_variables(instance, &format!(r#"{{"n":{n}}}"#), false);
        }
    }
}

fn resolve_all(harness: &mut Harness) {
    for (incident, value) in harness.incidents() {
        if value.job_key > 0 {
            let retries = values::Job {
                retries: 1,
                ..Default::default()
            };
            let _ = harness.report(
                skep_protocol::Key(value.job_key),
                JobIntent::UpdateRetries,
                retries,
            );
        }
        let _ = harness.resolve(incident);
    }
}

/// Does all work until the instance is over.
fn run_to_the_end(harness: &mut Harness) {
    for _ in 0..200 {
        if harness.active().is_empty() {
            return;
        }
        resolve_all(harness);
        harness.publish("go", "k", "{}");
        harness.advance(1_000);
        for (job, _) in harness.activate("work", 100) {
            // It is gone if another one's completion has ended its scope.
            if let Err(rejection) = harness.complete(job, "{}") {
                assert_eq!(rejection.rejection_type, RejectionType::NotFound);
            }
        }
        // Locks of jobs that a step activated and never reported on.
        harness.advance(60_000);
    }
    panic!(
        "the instance does not come to an end: {:?}",
        harness.active()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_left_of_an_instance_that_ended(
        block in block(),
        steps in prop::collection::vec((step(), -1i64..2), 0..12),
        cancel: bool,
    ) {
        let builder = append(ProcessBuilder::new("p").definitions(ERROR).start(), &block, &mut 0);
        let mut harness = Harness::with(&builder.end().xml());
        harness.deploy(&called());
        let instance = harness.create("p", r#"{"n":1}"#);
        for (step, n) in &steps {
            apply(&mut harness, step, *n);
        }
        if cancel && !harness.active().is_empty() {
            harness.cancel(instance).unwrap();
        }
        run_to_the_end(&mut harness);
        // Messages that nobody waited for.
        harness.advance(1_001);
        harness.assert_clean();
        let ends = harness.count("p COMPLETED") + harness.count("p TERMINATED");
        prop_assert_eq!(ends, 1);
    }
}

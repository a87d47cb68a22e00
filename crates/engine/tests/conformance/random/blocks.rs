//! Parts of processes, each with one way in and one way out, put together at random.
//!
//! Whatever is built comes to an end if all work is done, signals and messages come again and again, and time passes.

use proptest::prelude::*;
use skep_bpmn::builder::ProcessBuilder;

/// A part of a process with one way in and one way out.
#[derive(Debug, Clone)]
pub enum Block {
    Task,
    /// A task with listeners before and after its work.
    Listened,
    /// A task that waits for a message.
    Receive,
    /// The first of a time and a message.
    Race,
    Timer,
    Message,
    Signal,
    /// Work of another process.
    Call(Box<Block>),
    /// A task with an error and a time at its boundary.
    Guarded,
    /// A script, which passes through.
    Script,
    /// A task for each item of a list, one or all of them.
    Tasks {
        sequential: bool,
        until_first: bool,
    },
    /// Goes on elsewhere in its scope.
    Link,
    /// A scope that undoes at its end what was done in it.
    Undone(Box<Block>),
    /// Again as long as there is something to count.
    Loop(Box<Block>),
    /// Tells the scopes around it.
    Escalation,
    /// Work that can be undone.
    Undoable,
    /// Undoes what was done in its scope.
    Undo,
    Sequence(Vec<Block>),
    Choice(Box<Block>, Box<Block>),
    Parallel(Box<Block>, Box<Block>),
    /// Both, one or none.
    Inclusive(Box<Block>, Box<Block>),
    Scope(Box<Block>),
    /// A scope that ends with an error, caught outside of it.
    Failing(Box<Block>),
    /// A scope that one of its paths ends.
    Cut(Box<Block>, Box<Block>),
    Repeated {
        sequential: bool,
        inner: Box<Block>,
    },
    /// A scope with an event sub-process.
    Watched(Watch, Box<Block>),
    /// A scope with a boundary event.
    Bordered(Watch, Box<Block>),
}

/// An event that may come while a scope is active.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    by: By,
    interrupting: bool,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Timer,
    Error,
    Escalation,
    Signal,
    Message,
}

impl By {
    fn definition(self) -> &'static str {
        match self {
            By::Timer => {
                "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>"
            }
            By::Error => r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
            By::Escalation => r#"<bpmn:escalationEventDefinition escalationRef="escalation"/>"#,
            By::Signal => r#"<bpmn:signalEventDefinition signalRef="signal"/>"#,
            By::Message => r#"<bpmn:messageEventDefinition messageRef="knock"/>"#,
        }
    }
}

const LIST: &str =
    r#"inputCollection="=[1,2]" outputCollection="out" outputElement="=loopCounter""#;

const LISTENERS: &str = r#"<zeebe:executionListeners>
    <zeebe:executionListener eventType="start" type="work"/>
    <zeebe:executionListener eventType="end" type="work"/>
    </zeebe:executionListeners>"#;

const DEFINITIONS: &str = r#"<bpmn:error id="error" errorCode="E"/>
    <bpmn:escalation id="escalation" escalationCode="C"/>
    <bpmn:signal id="signal" name="alarm"/>
    <bpmn:message id="knock" name="knock"><bpmn:extensionElements>
    <zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>"#;

pub fn block() -> impl Strategy<Value = Block> {
    let leaf = prop_oneof![
        6 => Just(Block::Task),
        1 => Just(Block::Listened),
        1 => Just(Block::Receive),
        1 => Just(Block::Race),
        1 => Just(Block::Timer),
        1 => Just(Block::Message),
        1 => Just(Block::Signal),
        1 => Just(Block::Guarded),
        1 => Just(Block::Script),
        1 => Just(Block::Link),
        2 => any::<(bool, bool)>().prop_map(|(sequential, until_first)| Block::Tasks { sequential, until_first }),
        1 => Just(Block::Escalation),
        2 => Just(Block::Undoable),
        1 => Just(Block::Undo),
    ];
    leaf.prop_recursive(5, 20, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let pair = (boxed.clone(), boxed.clone());
        prop_oneof![
            prop::collection::vec(inner, 1..3).prop_map(Block::Sequence),
            pair.clone().prop_map(|(a, b)| Block::Choice(a, b)),
            pair.clone().prop_map(|(a, b)| Block::Parallel(a, b)),
            pair.clone().prop_map(|(a, b)| Block::Inclusive(a, b)),
            pair.prop_map(|(a, b)| Block::Cut(a, b)),
            boxed.clone().prop_map(Block::Scope),
            boxed.clone().prop_map(Block::Failing),
            boxed.clone().prop_map(Block::Call),
            boxed.clone().prop_map(Block::Undone),
            boxed.clone().prop_map(Block::Loop),
            (any::<bool>(), boxed.clone())
                .prop_map(|(sequential, inner)| Block::Repeated { sequential, inner }),
            (watch(), boxed.clone()).prop_map(|(watch, inner)| Block::Watched(watch, inner)),
            (watch(), boxed).prop_map(|(watch, inner)| Block::Bordered(watch, inner)),
        ]
    })
}

fn watch() -> impl Strategy<Value = Watch> {
    let by = prop_oneof![
        Just(By::Timer),
        Just(By::Error),
        Just(By::Escalation),
        Just(By::Signal),
        Just(By::Message),
    ];
    (by, any::<bool>()).prop_map(|(by, interrupting)| Watch {
        by,
        interrupting: interrupting || matches!(by, By::Error),
    })
}

/// What has been built so far.
#[derive(Debug, Default)]
pub struct Built {
    /// How many blocks there are.
    number: u32,
    /// The processes that are called.
    pub processes: Vec<String>,
}

/// A process that is made of a block, and last of all those that it calls.
pub fn processes(block: &Block) -> Vec<String> {
    let mut built = Built::default();
    let process = build("p", block, &mut built);
    built.processes.push(process);
    built.processes
}

fn build(id: &str, block: &Block, built: &mut Built) -> String {
    let builder = ProcessBuilder::new(id).definitions(DEFINITIONS).start();
    append(builder, block, built).end().xml()
}

/// Appends a block behind the cursor; ids are numbered.
fn append(builder: ProcessBuilder, block: &Block, built: &mut Built) -> ProcessBuilder {
    built.number += 1;
    let id = built.number;
    let catch = |builder: ProcessBuilder, by: By| {
        builder.element(
            "intermediateCatchEvent",
            &format!("catch-{id}"),
            by.definition(),
        )
    };
    match block {
        Block::Task => builder.service_task(&format!("task-{id}"), "work"),
        Block::Listened => builder
            .service_task(&format!("task-{id}"), "work")
            .extension(LISTENERS),
        Block::Receive => builder.receive_task(&format!("receive-{id}"), "go", "=key"),
        Block::Race => race(builder, id),
        Block::Timer => catch(builder, By::Timer),
        // Another message than the events of scopes wait for: those may have been there first, and again and again.
        Block::Message => builder.message_catch(&format!("catch-{id}"), "go", "=key"),
        Block::Signal => catch(builder, By::Signal),
        Block::Call(inner) => {
            let called = format!("called-{id}");
            let process = build(&called, inner, built);
            built.processes.push(process);
            let called = format!("<zeebe:calledElement processId=\"{called}\"/>");
            builder
                .element("callActivity", &format!("call-{id}"), "")
                .extension(&called)
        }
        Block::Guarded => guarded(builder, id),
        Block::Script => builder
            .element("scriptTask", &format!("script-{id}"), "")
            .extension(r#"<zeebe:script expression="=1 - n" resultVariable="n"/>"#),
        Block::Tasks {
            sequential,
            until_first,
        } => {
            let condition = if *until_first { "=n > 0" } else { "" };
            builder
                .service_task(&format!("task-{id}"), "work")
                .multi_instance_until(*sequential, LIST, condition)
        }
        Block::Link => {
            let link = format!("<bpmn:linkEventDefinition name=\"link-{id}\"/>");
            builder
                .element("intermediateThrowEvent", &format!("from-{id}"), &link)
                .without_source()
                .element("intermediateCatchEvent", &format!("to-{id}"), &link)
        }
        Block::Loop(inner) => again(builder, id, inner, built),
        Block::Escalation => builder.element(
            "intermediateThrowEvent",
            &format!("escalate-{id}"),
            By::Escalation.definition(),
        ),
        Block::Undoable => {
            let task = format!("task-{id}");
            builder
                .service_task(&task, "work")
                .compensated_by(&task, &format!("undo-the-{id}"), "work")
                .move_to(&task)
        }
        Block::Undo => builder.element(
            "intermediateThrowEvent",
            &format!("compensate-{id}"),
            "<bpmn:compensateEventDefinition/>",
        ),
        Block::Sequence(blocks) => blocks
            .iter()
            .fold(builder, |builder, block| append(builder, block, built)),
        Block::Choice(first, second) => choice(builder, id, first, second, built),
        Block::Parallel(first, second) => parallel(builder, id, first, second, built),
        Block::Inclusive(first, second) => inclusive(builder, id, [first, second], built),
        _ => append_scope(builder, block, id, built),
    }
}

fn choice(
    builder: ProcessBuilder,
    id: u32,
    first: &Block,
    second: &Block,
    built: &mut Built,
) -> ProcessBuilder {
    let (split, join) = (format!("choice-{id}"), format!("merge-{id}"));
    let builder = append(
        builder.exclusive_gateway(&split).condition("=n > 0"),
        first,
        built,
    );
    let builder = builder.exclusive_gateway(&join);
    append(builder.move_to(&split).default_flow(), second, built).connect_to(&join)
}

fn parallel(
    builder: ProcessBuilder,
    id: u32,
    first: &Block,
    second: &Block,
    built: &mut Built,
) -> ProcessBuilder {
    let (fork, join) = (format!("fork-{id}"), format!("join-{id}"));
    let builder = append(builder.parallel_gateway(&fork), first, built).parallel_gateway(&join);
    append(builder.move_to(&fork), second, built).connect_to(&join)
}

/// Goes back once and not again. An inclusive join inside would wait for tokens that wait for it, since the way back leads to it
/// from wherever they are; in a scope of its own it sees none of them.
fn again(builder: ProcessBuilder, id: u32, inner: &Block, built: &mut Built) -> ProcessBuilder {
    let (enter, leave) = (format!("enter-{id}"), format!("leave-{id}"));
    let counter = format!("count_{id}");
    let script = format!(
        "<zeebe:script expression=\"=if {counter} = null then 1 else {counter} + 1\" resultVariable=\"{counter}\"/>"
    );
    let builder = builder
        .exclusive_gateway(&enter)
        .element("scriptTask", &format!("count-{id}"), "")
        .extension(&script);
    let builder = match format!("{inner:?}").contains("Inclusive") {
        true => append_scope(builder, &Block::Scope(Box::new(inner.clone())), id, built),
        false => append(builder, inner, built),
    };
    builder
        .exclusive_gateway(&leave)
        .condition(&format!("={counter} < 2"))
        .connect_to(&enter)
        .move_to(&leave)
        .default_flow()
        .exclusive_gateway(&format!("after-{id}"))
}

fn guarded(builder: ProcessBuilder, id: u32) -> ProcessBuilder {
    let (task, merge) = (format!("task-{id}"), format!("merge-{id}"));
    builder
        .service_task(&task, "work")
        .exclusive_gateway(&merge)
        .boundary(&format!("error-{id}"), &task, By::Error.definition())
        .connect_to(&merge)
        .boundary(&format!("late-{id}"), &task, By::Timer.definition())
        .connect_to(&merge)
}

fn race(builder: ProcessBuilder, id: u32) -> ProcessBuilder {
    let (gateway, merge) = (format!("race-{id}"), format!("merge-{id}"));
    builder
        .element("eventBasedGateway", &gateway, "")
        .timer_catch(&format!("late-{id}"), "PT1S")
        .exclusive_gateway(&merge)
        .move_to(&gateway)
        .message_catch(&format!("told-{id}"), "go", "=key")
        .connect_to(&merge)
}

fn inclusive(
    builder: ProcessBuilder,
    id: u32,
    [first, second]: [&Block; 2],
    built: &mut Built,
) -> ProcessBuilder {
    let (fork, join) = (format!("fork-{id}"), format!("join-{id}"));
    let builder = builder
        .element("inclusiveGateway", &fork, "")
        .condition("=n > 0");
    let builder = append(builder, first, built).element("inclusiveGateway", &join, "");
    let builder = builder.move_to(&fork).condition("=n < 2 and n != 0");
    append(builder, second, built)
        .connect_to(&join)
        .move_to(&fork)
        .default_flow()
        .connect_to(&join)
}

/// Appends a sub-process.
fn append_scope(
    builder: ProcessBuilder,
    block: &Block,
    id: u32,
    built: &mut Built,
) -> ProcessBuilder {
    let sub = format!("sub-{id}");
    let merge = format!("merge-{id}");
    let open = builder.sub_process(&sub).start();
    match block {
        Block::Scope(inner) => append(open, inner, built).end().leave(),
        Block::Undone(inner) => append(open, inner, built)
            .element(
                "endEvent",
                &format!("undone-{id}"),
                "<bpmn:compensateEventDefinition/>",
            )
            .leave(),
        Block::Repeated { sequential, inner } => append(open, inner, built)
            .end()
            .leave()
            .multi_instance(*sequential, LIST),
        Block::Failing(inner) => append(open, inner, built)
            .element("endEvent", &format!("fail-{id}"), By::Error.definition())
            .leave()
            .exclusive_gateway(&merge)
            .boundary(&format!("caught-{id}"), &sub, By::Error.definition())
            .connect_to(&merge),
        Block::Cut(first, second) => {
            let fork = format!("fork-{id}");
            let open = append(open.parallel_gateway(&fork), first, built).end();
            append(open.move_to(&fork), second, built)
                .element(
                    "endEvent",
                    &format!("cut-{id}"),
                    "<bpmn:terminateEventDefinition/>",
                )
                .leave()
        }
        Block::Watched(watch, inner) => append(open, inner, built)
            .end()
            .event_sub_process(
                &format!("on-{id}"),
                &format!("on-start-{id}"),
                watch.by.definition(),
                watch.interrupting,
            )
            .service_task(&format!("handle-{id}"), "work")
            .end()
            .leave()
            .leave(),
        Block::Bordered(watch, inner) => {
            let builder = append(open, inner, built)
                .end()
                .leave()
                .exclusive_gateway(&merge)
                .boundary(&format!("border-{id}"), &sub, watch.by.definition())
                .attribute("cancelActivity", &watch.interrupting.to_string())
                .service_task(&format!("handle-{id}"), "work");
            match watch.interrupting {
                true => builder.connect_to(&merge),
                false => builder.end().move_to(&merge),
            }
        }
        _ => unreachable!("{block:?} is no scope"),
    }
}

//! Nothing that a resource holds may hang, overflow the stack or exhaust memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;

use skep_dmn::{Dialect, Model, limits};
use skep_feel::{Environment, Value};
use support::*;

#[test]
fn boxes_nest_as_deep_as_xml_may_and_no_deeper() {
    on_a_small_stack(|| {
        let lists = |levels: usize| {
            let nested = "<list>".repeat(levels) + &text("1") + &"</list>".repeat(levels);
            decision("a", &[], &nested)
        };
        assert!(run(&lists(80), "a", 1).is_ok());
        assert!(parse(&lists(5_000)).is_err());
        let functions = |levels: usize| {
            let open = r#"<functionDefinition><formalParameter name="x"/>"#;
            let nested = open.repeat(levels) + &text("x") + &"</functionDefinition>".repeat(levels);
            decision("a", &[], &nested)
        };
        parse(&functions(80)).unwrap();
    });
}

#[test]
fn a_chain_of_requirements_may_be_as_long_as_a_model() {
    on_a_small_stack(|| {
        let mut model = decision("d0", &[], &text("n"));
        for at in 1..limits::NODES_MAX {
            let before = format!("d{}", at - 1);
            model += &decision(
                &format!("d{at}"),
                &[&before],
                &text(&format!("{before} + 1")),
            );
        }
        let last = format!("d{}", limits::NODES_MAX - 1);
        let expected = (limits::NODES_MAX - 1).to_string();
        assert_eq!(run(&model, &last, 0), Ok(expected));
        model += &decision("more", &[], &text("1"));
        let rejection = parse(&model).unwrap_err().to_string();
        assert!(
            rejection.contains("Must not contain more than"),
            "{rejection}"
        );
    });
}

#[test]
fn knowledge_models_that_call_each_other_without_end_fail() {
    on_a_small_stack(|| {
        let bkm = format!(
            r#"<businessKnowledgeModel id="f" name="f"><encapsulatedLogic><formalParameter name="g"/>{}</encapsulatedLogic></businessKnowledgeModel>"#,
            text("g(g)")
        );
        let model = format!("{bkm}{}", decision("a", &["bkm f"], &text("f(f)")));
        let error = run(&model, "a", 1).unwrap_err();
        assert!(error.contains("nested deeper than"), "{error}");
    });
}

#[test]
fn all_decisions_of_an_evaluation_share_one_budget() {
    let loops = "count(for x in 1..1000, y in 1..1000 return 1)";
    let mut model = decision("d0", &[], &text(loops));
    for at in 1..20 {
        let before = format!("d{}", at - 1);
        let source = format!("{before} + {loops}");
        model += &decision(&format!("d{at}"), &[&before], &text(&source));
    }
    let error = run(&model, "d19", 0).unwrap_err();
    assert!(error.contains("steps"), "{error}");
}

#[test]
fn types_that_refer_to_themselves_are_refused() {
    on_a_small_stack(|| {
        let component = |name: &str, of: &str| {
            format!(
                r#"<itemDefinition name="{name}"><itemComponent name="c"><typeRef>{of}</typeRef></itemComponent></itemDefinition>"#
            )
        };
        let circle = component("a", "b") + &component("b", "a");
        let rejection = parse(&circle).unwrap_err().to_string();
        assert!(rejection.contains("refers to itself"), "{rejection}");
        let chain: String = (0..1_000)
            .map(|at| component(&format!("t{at}"), &format!("t{}", at + 1)))
            .collect();
        assert!(parse(&chain).is_err());
    });
}

#[test]
fn names_that_begin_alike_are_refused_and_not_worked_through() {
    let names: String = (0..limits::MEMBER_NAMES_MAX)
        .map(|at| {
            format!(r#"<itemDefinition name="t{at}"><itemComponent name="a b{at}"><typeRef>string</typeRef></itemComponent></itemDefinition>"#)
        })
        .collect();
    let long = decision("d", &[], &text(&("a + ".repeat(60_000) + "1")));
    let rejection = parse(&format!("{names}{long}")).unwrap_err();
    assert!(
        rejection
            .to_string()
            .contains("too many names begin with the same words"),
        "{rejection}"
    );
    // Many expressions, each of which is below the limit.
    let short = text(&("a + ".repeat(5_000) + "1"));
    let decisions: String = (0..20)
        .map(|at| decision(&format!("d{at}"), &[], &short))
        .collect();
    let rejection = parse(&format!("{names}{decisions}")).unwrap_err();
    assert!(
        rejection.to_string().contains("that begin alike"),
        "{rejection}"
    );
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// A document with some of its bytes changed, or pieces of it moved.
fn mutated(document: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for _ in 0..=random.next(6) {
        let at = random.next(bytes.len());
        match random.next(4) {
            0 => bytes[at] = b"<>&\"'/=?-0aZ {}[]()."[random.next(20)],
            1 => {
                let end = (at + 1 + random.next(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let from = random.next(bytes.len());
                let end = (from + 1 + random.next(200)).min(bytes.len());
                let piece = bytes[from..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

#[test]
fn broken_documents_never_panic() {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tck");
    let names = [
        "compliance-level-2/0118-multi-priority-hitpolicy",
        "compliance-level-2/0009-invocation-arithmetic",
        "compliance-level-3/0034-drg-scopes",
        "compliance-level-3/0085-decision-services",
        "compliance-level-3/0082-feel-coercion",
        "compliance-level-3/1154-boxed-every",
        "compliance-level-3/0004-lending",
    ];
    let documents = names.map(|name| {
        let (_, stem) = name.split_once('/').unwrap();
        fs::read(kit.join(name).join(format!("{stem}.dmn"))).unwrap()
    });
    on_a_small_stack(move || {
        let mut environment = Environment::at_epoch_millis(0, 1);
        environment.fuel = 20_000;
        let mut random = Random(11);
        let mut evaluated = 0;
        for round in 0..140 {
            let document = mutated(&documents[round % documents.len()], &mut random);
            let dialect = [Dialect::Zeebe, Dialect::Standard][random.next(2)];
            let Ok(model) = Model::parse("d.dmn", &document, dialect) else {
                continue;
            };
            for decision in model.decisions().take(30) {
                let scope = |name: &str| (!name.len().is_multiple_of(3)).then(|| Value::from(true));
                model.evaluate(decision, &scope, &environment);
                evaluated += 1;
            }
        }
        assert!(evaluated > 50, "too few documents survive: {evaluated}");
    });
}

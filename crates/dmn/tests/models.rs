//! What models mean in Zeebe's dialect, and why some are refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_dmn::{DecisionLogic, Dialect, Model};
use support::*;

const OVERLAPPING: [(&str, &str); 3] = [("> 5", "5"), ("> 6", "7"), ("< 0", "1")];

fn hit(attributes: &str, n: i64) -> Result<String, String> {
    run(
        &decision("a", &[], &table(attributes, &OVERLAPPING)),
        "a",
        n,
    )
}

#[test]
fn each_hit_policy_makes_its_own_of_the_rules_that_match() {
    for (attributes, n, expected) in [
        ("", 6, "5"),
        ("", 2, "null"),
        (r#"hitPolicy="FIRST""#, 7, "5"),
        (r#"hitPolicy="RULE ORDER""#, 7, "[5,7]"),
        (r#"hitPolicy="COLLECT""#, 7, "[5,7]"),
        (r#"hitPolicy="COLLECT""#, 2, "null"),
        (r#"hitPolicy="COLLECT" aggregation="SUM""#, 7, "12"),
        (r#"hitPolicy="COLLECT" aggregation="MIN""#, 7, "5"),
        (r#"hitPolicy="COLLECT" aggregation="MAX""#, 7, "7"),
        (r#"hitPolicy="COLLECT" aggregation="COUNT""#, 7, "2"),
    ] {
        assert_eq!(hit(attributes, n).as_deref(), Ok(expected), "{attributes}");
    }
}

#[test]
fn a_violated_hit_policy_fails_the_decision() {
    for (attributes, why) in [
        ("", "UNIQUE, but several rules match"),
        (
            r#"hitPolicy="ANY""#,
            "ANY, but rules that match have different outputs",
        ),
    ] {
        let error = hit(attributes, 7).unwrap_err();
        assert!(error.starts_with("a: ") && error.ends_with(why), "{error}");
    }
    let same = table(r#"hitPolicy="ANY""#, &[("> 5", "1"), ("> 6", "1")]);
    assert_eq!(run(&decision("a", &[], &same), "a", 7).as_deref(), Ok("1"));
}

#[test]
fn priorities_are_the_order_of_the_allowed_outputs() {
    let with_priorities = |policy: &str| {
        table(
            &format!(r#"hitPolicy="{policy}""#),
            &[("> 5", r#""low""#), ("> 6", r#""high""#)],
        )
        .replace(
            r#"<output name="o"/>"#,
            r#"<output name="o"><outputValues><text>"high", "low"</text></outputValues></output>"#,
        )
    };
    for (policy, expected) in [
        ("PRIORITY", r#""high""#),
        ("OUTPUT ORDER", r#"["high","low"]"#),
    ] {
        let model = decision("a", &[], &with_priorities(policy));
        assert_eq!(run(&model, "a", 7).as_deref(), Ok(expected));
    }
}

#[test]
fn a_default_output_stands_for_rules_that_do_not_match() {
    let table = table("", &[("> 5", "1")]).replace(
        r#"<output name="o"/>"#,
        r#"<output name="o"><defaultOutputEntry><text>n * 2</text></defaultOutputEntry></output>"#,
    );
    let model = decision("a", &[], &table);
    assert_eq!(run(&model, "a", 2).as_deref(), Ok("4"));
    assert_eq!(run(&model, "a", 6).as_deref(), Ok("1"));
}

#[test]
fn a_decision_that_is_not_of_its_declared_type_fails() {
    let of_type = |kind: &str, source: &str| {
        let logic = format!(r#"<variable name="a" typeRef="{kind}"/>{}"#, text(source));
        run(&decision("a", &[], &logic), "a", 1)
    };
    let error = of_type("boolean", "n + 1").unwrap_err();
    assert!(
        error.ends_with("expected a value of type 'boolean', but found a NUMBER"),
        "{error}"
    );
    // Null is of every type, and only built-in types are looked at.
    assert_eq!(of_type("boolean", "null").as_deref(), Ok("null"));
    assert_eq!(of_type("feel:number", "n").as_deref(), Ok("1"));
    assert_eq!(of_type("Any", "n").as_deref(), Ok("1"));
    assert_eq!(of_type("tUnknown", "n").as_deref(), Ok("1"));
}

#[test]
fn types_of_outputs_and_expressions_change_nothing() {
    let table = table("", &[("> 5", "1")]).replace(r#"name="o""#, r#"name="o" typeRef="string""#);
    assert_eq!(run(&decision("a", &[], &table), "a", 6).as_deref(), Ok("1"));
}

#[test]
fn of_a_first_hit_nothing_further_is_evaluated() {
    let rules = [("> 5", "5"), ("> 6", "assert(n, false)")];
    let model = decision("a", &[], &table(r#"hitPolicy="FIRST""#, &rules));
    assert_eq!(run(&model, "a", 7).as_deref(), Ok("5"));
}

#[test]
fn a_required_decision_is_known_by_its_variable_its_name_and_its_id() {
    let logic = format!(r#"<variable name="the result"/>{}"#, text("n + 1"));
    let first = decision("first", &[], &logic).replace(r#"name="first""#, r#"name="The First""#);
    let second = decision(
        "second",
        &["first"],
        &text("[the result, The First, first]"),
    );
    assert_eq!(
        run(&format!("{first}{second}"), "second", 1).as_deref(),
        Ok("[2,2,2]")
    );
}

#[test]
fn a_decision_is_evaluated_once_and_what_it_requires_before_it() {
    let model = [
        decision("d", &["b", "c"], &text("b + c")),
        decision("b", &["a"], &text("a")),
        decision("c", &["a"], &text("a")),
        decision("a", &[], &text("random number()")),
    ]
    .concat();
    let model = parse(&model).unwrap();
    let outcome = model.evaluate(
        model.decision("d").unwrap(),
        &|_: &str| None,
        &environment(),
    );
    let order = outcome.decisions.iter().map(|it| it.decision.id());
    assert_eq!(order.collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    let outputs = outcome.decisions.iter().map(|it| it.output.to_json());
    let outputs: Vec<_> = outputs.collect();
    assert_eq!(outputs[1], outputs[2]);
}

#[test]
fn knowledge_models_are_functions_of_expressions_and_invocations() {
    let bkm = format!(
        r#"<businessKnowledgeModel id="twice" name="twice"><encapsulatedLogic><formalParameter name="x"/>{}</encapsulatedLogic></businessKnowledgeModel>"#,
        text("x * 2")
    );
    let invoked = format!(
        r#"<invocation><literalExpression><text>twice</text></literalExpression><binding><parameter name="x"/>{}</binding></invocation>"#,
        text("n")
    );
    for logic in [text("twice(n)"), text("twice(x: n)"), invoked] {
        let model = format!("{bkm}{}", decision("a", &["bkm twice"], &logic));
        assert_eq!(run(&model, "a", 4).as_deref(), Ok("8"), "{logic}");
    }
}

/// A part of a box, with an expression in it.
fn part(name: &str, source: &str) -> String {
    format!("<{name}>{}</{name}>", text(source))
}

/// An entry of a context; the result if it has no name.
fn entry(name: &str, source: &str) -> String {
    let variable = match name {
        "" => String::new(),
        name => format!(r#"<variable name="{name}"/>"#),
    };
    format!("<contextEntry>{variable}{}</contextEntry>", text(source))
}

fn check_boxes(boxes: &[(String, &str)]) {
    for (logic, expected) in boxes {
        let model = decision("a", &[], logic);
        assert_eq!(run(&model, "a", 2).as_deref(), Ok(*expected), "{logic}");
    }
}

#[test]
fn contexts_lists_and_relations_hold_values() {
    check_boxes(&[
        (
            format!(
                "<context>{}{}</context>",
                entry("x", "n"),
                entry("y", "x + 1")
            ),
            r#"{"x":2,"y":3}"#,
        ),
        (
            format!(
                "<context>{}{}</context>",
                entry("x", "n"),
                entry("", "x + 2")
            ),
            "4",
        ),
        (format!("<list>{}{}</list>", text("n"), text("1")), "[2,1]"),
        (
            format!(
                r#"<relation><column name="a"/><column name="n"/><row>{}{}</row></relation>"#,
                text("1"),
                text("n")
            ),
            r#"[{"a":1,"n":2}]"#,
        ),
    ]);
}

#[test]
fn conditionals_filters_and_loops_do_what_texts_would() {
    check_boxes(&[
        (
            format!(
                "<conditional>{}{}{}</conditional>",
                part("if", "n = 2"),
                part("then", "1"),
                part("else", "0")
            ),
            "1",
        ),
        (
            format!(
                "<filter>{}{}</filter>",
                part("in", "[1, 2, 3]"),
                part("match", "item >= n")
            ),
            "[2,3]",
        ),
        (
            format!(
                r#"<for iteratorVariable="i">{}{}</for>"#,
                part("in", "[1, 2]"),
                part("return", "i * n")
            ),
            "[2,4]",
        ),
        (
            format!(
                r#"<every iteratorVariable="i">{}{}</every>"#,
                part("in", "[1, n]"),
                part("satisfies", "i < 2")
            ),
            "false",
        ),
    ]);
}

#[test]
fn a_service_is_a_function_of_what_it_declares() {
    let model = [
        decision("given", &[], &text("1")),
        decision("inner", &["given"], &text("given * 10")),
        decision("out", &["inner", "given"], &text("inner + given")),
        r##"<decisionService id="s" name="s"><outputDecision href="#out"/><encapsulatedDecision href="#inner"/><inputDecision href="#given"/></decisionService>"##.to_owned(),
        decision("a", &["bkm s"], &text("s(n)")),
    ]
    .concat();
    assert_eq!(run(&model, "a", 3).as_deref(), Ok("33"));
    assert_eq!(run(&model, "out", 3).as_deref(), Ok("11"));
}

#[test]
fn the_kind_of_logic_has_the_name_of_the_record_stream() {
    let model = format!(
        "{}{}",
        decision("a", &[], &table("", &OVERLAPPING)),
        decision("b", &[], &text("1"))
    );
    let model = parse(&model).unwrap();
    let kinds = model.decisions().map(|it| it.logic().type_name());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["DECISION_TABLE", "LITERAL_EXPRESSION"]
    );
    let DecisionLogic::Table(parts) = model.decision("a").unwrap().logic() else {
        panic!("a table");
    };
    assert_eq!(&*parts.inputs[0].name, "n");
    assert_eq!(&*parts.outputs[0].name, "o");
}

#[test]
fn every_version_of_the_namespace_is_read() {
    for namespace in [
        "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
        "http://www.omg.org/spec/DMN/20180521/MODEL/",
        "https://www.omg.org/spec/DMN/20191111/MODEL/",
        "https://www.omg.org/spec/DMN/20211108/MODEL/",
        "https://www.omg.org/spec/DMN/20230324/MODEL/",
    ] {
        let xml = definitions(&decision("a", &[], &text("1")))
            .replace("https://www.omg.org/spec/DMN/20191111/MODEL/", namespace);
        Model::parse("d.dmn", xml.as_bytes(), Dialect::Zeebe).unwrap();
    }
}

#[test]
fn what_breaks_a_rule_is_refused_with_its_place() {
    let ragged = table("", &OVERLAPPING).replace("<inputEntry><text>> 6</text></inputEntry>", "");
    let juel = text("1").replace(
        "<literalExpression>",
        r#"<literalExpression expressionLanguage="juel">"#,
    );
    for (content, expected) in [
        (
            decision("a", &["b"], &text("1")),
            "Refers to 'b', which does not exist",
        ),
        (
            format!(
                "{}{}",
                decision("a", &["b"], &text("b")),
                decision("b", &["a"], &text("a"))
            ),
            "requires itself, directly or not",
        ),
        (
            decision("a", &[], &text("1 +")),
            "failed to parse expression '1 +'",
        ),
        (
            decision("a", &[], &table("", &[("> > 1", "1")])),
            "expected an expression at position 1:3, found '>'",
        ),
        (
            decision("a", &[], &table(r#"hitPolicy="MOST""#, &[])),
            "Hit policy 'MOST' is unknown",
        ),
        (
            decision("a", &[], &ragged),
            "Must have 1 of 'inputEntry', one for each column",
        ),
        (
            decision("a", &[], &juel),
            "Expression language 'juel' is not supported",
        ),
        (
            decision("a", &[], ""),
            "Must contain a decision table or another expression",
        ),
        (
            decision(
                "a",
                &[],
                &table(r#"hitPolicy="COLLECT" aggregation="SUM""#, &[])
                    .replace("<output", r#"<output name="p"/><output"#),
            ),
            "COLLECT with an aggregation must have a single output",
        ),
        (
            r#"<decision id="a"/>"#.to_owned(),
            "Attribute 'name' must be present and not empty",
        ),
        (
            decision("a", &[], &text("1")).repeat(2),
            "The id 'a' is not unique",
        ),
    ] {
        let rejection = parse(&content).unwrap_err().to_string();
        assert!(
            rejection.starts_with("'d.dmn': \n- Element: "),
            "{rejection}"
        );
        assert!(rejection.contains(expected), "{expected} in {rejection}");
    }
}

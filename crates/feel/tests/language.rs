//! The language, by table: an expression and the JSON of its value.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use skep_feel::{Environment, Evaluation, Expression, Failure, Value, WarningKind};

fn environment() -> Environment {
    // 2024-02-29T12:30:00Z, a Thursday.
    Environment::at_epoch_millis(1_709_209_800_000, 42)
}

fn evaluation(source: &str, variables: &str) -> Evaluation {
    let variables = Value::from_json(variables).unwrap();
    let scope = |name: &str| variables.as_context().unwrap().get(name).cloned();
    let expression = Expression::parse(source).unwrap_or_else(|error| panic!("{error}"));
    expression
        .evaluate(&scope, &environment())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn check_with(variables: &str, table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(
            evaluation(source, variables).value.to_json(),
            *expected,
            "{source}"
        );
    }
}

fn check(table: &[(&str, &str)]) {
    check_with("{}", table);
}

#[test]
fn literals() {
    check(&[
        ("1", "1"),
        ("-1.50", "-1.5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("1.5E-2", "0.015"),
        ("\"a\\n\\u00e9\\\"\"", "\"a\\né\\\"\""),
        ("\"\\U01F40E\\uD83D\\uDCA9\"", "\"🐎💩\""),
        ("\"\\s\"", "\"\\\\s\""),
        ("true", "true"),
        ("null", "null"),
        ("[1, \"a\", [true]]", "[1,\"a\",[true]]"),
        ("{a: 1, \"b c\": a + 1}", "{\"a\":1,\"b c\":2}"),
        ("{a: 1, b: {c: a}}", "{\"a\":1,\"b\":{\"c\":1}}"),
        ("@\"2024-01-31\"", "\"2024-01-31\""),
        ("@\"P1DT2H\"", "\"P1DT2H\""),
        ("1 /* one */ + // two\n 2", "3"),
    ]);
}

#[test]
fn arithmetic_is_decimal() {
    check(&[
        ("0.1 + 0.2", "0.3"),
        ("0.1 + 0.2 = 0.3", "true"),
        ("10 / 4", "2.5"),
        ("1 / 3", "0.3333333333333333333333333333333333"),
        ("2 / 3 * 3", "2"),
        ("1 / 0", "null"),
        ("2 + 3 * 4 - 1", "13"),
        ("-3 ** 2", "9"),
        ("2 ** 10", "1024"),
        ("2 ** -1", "0.5"),
        ("2 ** 0.5 > 1.4142", "true"),
        (
            "9999999999999999999999999999999999 + 1",
            "10000000000000000000000000000000000",
        ),
        ("\"a\" + \"b\"", "\"ab\""),
        ("\"a\" + 1", "null"),
        ("1 + null", "null"),
    ]);
}

#[test]
fn logic_has_three_values() {
    check(&[
        ("true and null", "null"),
        ("false and null", "false"),
        ("null or true", "true"),
        ("null or false", "null"),
        ("true and 1", "null"),
        ("if null then 1 else 2", "2"),
        ("not(null)", "null"),
        ("not(true)", "false"),
        ("1 < 2 and 2 < 3 or false", "true"),
    ]);
}

#[test]
fn comparisons() {
    check(&[
        ("1 = 1.0", "true"),
        ("null = null", "true"),
        ("1 = null", "false"),
        ("1 != null", "true"),
        ("1 = \"1\"", "null"),
        ("1 < \"2\"", "null"),
        ("null < 1", "null"),
        ("[1,2] = [1,2]", "true"),
        ("{a: 1, b: 2} = {b: 2, a: 1}", "true"),
        ("3 between 1 and 5", "true"),
        ("3 in [1..3)", "false"),
        ("3 in ]2..4[", "true"),
        ("3 in (< 4)", "true"),
        ("3 in (1, 2, > 2)", "true"),
        ("3 in [1, 2, 3]", "true"),
        ("\"b\" in [\"a\"..\"c\"]", "true"),
        ("date(\"2024-01-02\") > date(\"2024-01-01\")", "true"),
        ("1 instance of number", "true"),
        ("[1,\"a\"] instance of list<number>", "false"),
        ("null instance of Any", "false"),
    ]);
}

#[test]
fn missing_variables_are_null_with_a_warning() {
    let evaluation = evaluation("a > 1", "{}");
    assert!(evaluation.value.is_null());
    assert_eq!(evaluation.warnings[0].kind, WarningKind::NoVariableFound);
    assert_eq!(
        evaluation.warnings[0].text,
        "No variable found with name 'a'"
    );
}

#[test]
fn paths_and_filters() {
    let variables = r#"{"o":{"lines":[{"n":1,"item":"x"},{"n":2,"item":"y"}],"k":{"v":7}},"n":5}"#;
    check_with(
        variables,
        &[
            ("o.k.v", "7"),
            ("o.missing", "null"),
            ("o.missing.deeper", "null"),
            ("o.lines.n", "[1,2]"),
            ("o.lines[1].n", "1"),
            ("o.lines[-1].n", "2"),
            ("o.lines[3]", "null"),
            ("o.lines[n > 1].n", "[2]"),
            ("o.lines[n = n].n", "[1,2]"),
            ("o.lines[item.n > 1].n", "[]"),
            ("o.lines[item = \"x\"].n", "[1]"),
            ("[1,2,3,4][item > 2]", "[3,4]"),
            ("[1,2,3][n - 3]", "2"),
            ("[[1,2],[3]][item[1] > 1]", "[[3]]"),
            ("`n` + 1", "6"),
            ("date(\"2024-02-29\").weekday", "4"),
            ("@\"P1DT2H\".hours", "2"),
            ("[1..5).end included", "false"),
        ],
    );
}

#[test]
fn loops_and_functions() {
    check(&[
        ("for x in [1,2], y in [10,20] return x + y", "[11,21,12,22]"),
        ("for x in 3..1 return x", "[3,2,1]"),
        ("for x in 1..2, y in 1..x return y", "[1,1,2]"),
        (
            "for i in 1..5 return if i < 3 then 1 else partial[-1] + partial[-2]",
            "[1,1,2,3,5]",
        ),
        ("for x in [] return x", "[]"),
        ("some x in [1,2,3] satisfies x > 2", "true"),
        ("every x in [1,2,3] satisfies x > 2", "false"),
        ("every x in [] satisfies false", "true"),
        ("{f: function(x, y) x - y, r: f(y: 1, x: 5)}.r", "4"),
        ("(function(x) x + 1)(2)", "3"),
        (
            "{a: 10, f: function(x) function(y) x + y + a, r: f(1)(2)}.r",
            "13",
        ),
        ("sort([3,1,2], function(x, y) x > y)", "[3,2,1]"),
        ("[1,2,3][(function(x) x > 1)(item)]", "[2,3]"),
        ("{f: function(x: string) x, r: f(1)}.r", "null"),
        ("{f: function(x) external {java: {}}, r: f(1)}.r", "null"),
    ]);
}

#[test]
fn strings() {
    check(&[
        ("substring(\"foobar\", 3)", "\"obar\""),
        ("substring(\"foobar\", -2, 1)", "\"a\""),
        ("substring(string: \"abc\", start position: 2)", "\"bc\""),
        ("string length(\"🐎x\")", "2"),
        ("upper case(\"aß\")", "\"ASS\""),
        ("substring before(\"foobar\", \"bar\")", "\"foo\""),
        ("substring after(\"foobar\", \"ob\")", "\"ar\""),
        ("replace(\"abc\", \"(b)\", \"[$1]\")", "\"a[b]c\""),
        ("matches(\"foobar\", \"^fo*b\")", "true"),
        ("split(\"a;b;;\", \";\")", "[\"a\",\"b\",\"\",\"\"]"),
        ("extract(\"a1b22\", \"[0-9]+\")", "[\"1\",\"22\"]"),
        ("string join([\"a\",null,\"c\"], \", \")", "\"a, c\""),
        ("string join([\"a\",\"b\"])", "\"ab\""),
        (
            "string join([\"a\",\"b\"], \",\", \"<\", \">\")",
            "\"<a,b>\"",
        ),
        ("trim(\"  a \")", "\"a\""),
        ("is blank(\" \\t\")", "true"),
        ("to base64(\"FEEL\")", "\"RkVFTA==\""),
        ("string(1.10)", "\"1.1\""),
        (
            "string([1,\"a\",{b: null}])",
            "\"[1, \\\"a\\\", {b: null}]\"",
        ),
        ("string length(uuid())", "36"),
        ("number(\"1,000.5\", \",\", \".\")", "1000.5"),
        ("from json(\"{\\\"a\\\": [1]}\")", "{\"a\":[1]}"),
        ("to json({a: [1, \"x\"]})", "\"{\\\"a\\\":[1,\\\"x\\\"]}\""),
    ]);
}

#[test]
fn lists_and_contexts() {
    check(&[
        ("list contains([1,null], null)", "true"),
        ("count([1,2])", "2"),
        ("min(3,1,2)", "1"),
        ("max([\"a\",\"c\",\"b\"])", "\"c\""),
        ("sum([1,2,3])", "6"),
        ("mean([1,2])", "1.5"),
        ("median([8, 2, 5, 3, 4])", "4"),
        (
            "stddev([2, 4, 7, 5])",
            "2.081665999466132735282297706979931",
        ),
        ("mode([6,3,9,6,6,3,3])", "[3,6]"),
        ("append([1], 2, 3)", "[1,2,3]"),
        ("concatenate([1],[2,3])", "[1,2,3]"),
        ("insert before([1,3], 2, 2)", "[1,2,3]"),
        ("remove([1,2,3], -1)", "[1,2]"),
        ("reverse([1,2])", "[2,1]"),
        ("sublist([1,2,3,4], -2, 1)", "[3]"),
        ("index of([1,2,1], 1)", "[1,3]"),
        ("union([1,2],[2,3])", "[1,2,3]"),
        ("distinct values([1,2,1])", "[1,2]"),
        ("duplicate values([1,2,1,3,3])", "[1,3]"),
        ("flatten([1,[2,[3]]])", "[1,2,3]"),
        ("partition([1,2,3], 2)", "[[1,2],[3]]"),
        ("list replace([1,2,3], 2, 9)", "[1,9,3]"),
        ("list replace([1,2,3], function(a, b) a > 1, 0)", "[1,0,0]"),
        ("all([true,null])", "null"),
        ("any([false,true])", "true"),
        ("get value({a: {b: 1}}, [\"a\",\"b\"])", "1"),
        ("get entries({a: 1})", "[{\"key\":\"a\",\"value\":1}]"),
        ("context put({a: 1}, \"b\", 2)", "{\"a\":1,\"b\":2}"),
        ("context put({}, [\"a\",\"b\"], 2)", "{\"a\":{\"b\":2}}"),
        ("context merge([{a: 1}, {a: 2, b: 3}])", "{\"a\":2,\"b\":3}"),
        ("context([{key: \"a\", value: 1}])", "{\"a\":1}"),
        ("is empty([])", "true"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        ("decimal(1/3, 2)", "0.33"),
        ("round half up(5.5, 0)", "6"),
        ("round half down(5.5, 0)", "5"),
        ("round up(-1.1, 0)", "-2"),
        ("round down(-1.9, 0)", "-1"),
        ("floor(-1.5)", "-2"),
        ("ceiling(1.56, 1)", "1.6"),
        ("abs(-3)", "3"),
        ("modulo(-12, 5)", "3"),
        ("modulo(10.1, -4.5)", "-3.4"),
        ("sqrt(16)", "4"),
        ("decimal(log(10), 8)", "2.30258509"),
        ("decimal(exp(5), 6)", "148.413159"),
        ("odd(3)", "true"),
        ("even(3)", "false"),
        ("random number() < 1", "true"),
    ]);
}

#[test]
fn dates_and_times() {
    check(&[
        ("today()", "\"2024-02-29\""),
        ("now()", "\"2024-02-29T12:30:00Z\""),
        ("date(2024, 2, 30)", "null"),
        (
            "date and time(\"2024-02-29T10:00:00+01:00\")",
            "\"2024-02-29T10:00:00+01:00\"",
        ),
        (
            "@\"2024-03-31T01:30:00@Europe/Berlin\" + @\"PT1H\"",
            "\"2024-03-31T03:30:00@Europe/Berlin\"",
        ),
        ("date(\"2024-01-31\") + duration(\"P1M\")", "\"2024-02-29\""),
        ("date(\"2024-03-01\") - date(\"2024-02-28\")", "\"P2D\""),
        (
            "date(\"2024-03-01\") - date and time(\"2024-02-28T00:00:00Z\")",
            "\"P2D\"",
        ),
        (
            "date(\"2024-03-01\") - date and time(\"2024-02-28T00:00:00\")",
            "null",
        ),
        ("time(\"23:30:00\") + duration(\"PT1H\")", "\"00:30:00\""),
        ("duration(\"P1D\") * 1.5", "\"P1DT12H\""),
        ("duration(\"P1Y\") / 2", "\"P6M\""),
        (
            "years and months duration(date(\"2023-01-15\"), date(\"2024-03-14\"))",
            "\"P1Y1M\"",
        ),
        ("day of week(today())", "\"Thursday\""),
        ("day of year(today())", "60"),
        ("week of year(date(\"2005-01-01\"))", "53"),
        ("month of year(today())", "\"February\""),
        ("last day of month(date(\"2023-02-01\"))", "\"2023-02-28\""),
        ("cycle(3, duration(\"PT10M\"))", "\"R3/PT10M\""),
        ("cycle(duration(\"P1D\"))", "\"R/P1D\""),
    ]);
}

#[test]
fn camundas_functions() {
    check_with(
        r#"{"a":null,"c":{"d":null}}"#,
        &[
            ("is defined(a)", "true"),
            ("is defined(b)", "false"),
            ("is defined(c.d)", "true"),
            ("is defined(c.e)", "false"),
            ("get or else(a, 5)", "5"),
            ("get or else(3, 5)", "3"),
            ("assert(3, true)", "3"),
            ("before([1..3], 4)", "true"),
            ("meets([1..3], [3..4])", "true"),
            ("overlaps([1..3], [2..4])", "true"),
            ("includes([1..9], [2..3])", "true"),
            ("coincides([1..9], [1..9])", "true"),
            ("overlaps after((1..5], [1..5])", "true"),
            ("and([true, false])", "false"),
            ("or(false, true)", "true"),
            ("abs(number: -1)", "1"),
            ("3 in range(\"[1..3]\")", "true"),
            ("range(\"[1..a]\")", "null"),
            ("upper case([\"a\"])", "\"A\""),
        ],
    );
}

#[test]
fn a_failed_assertion_fails_the_evaluation() {
    let expression = Expression::parse("assert(1, false, \"no\")").unwrap();
    let error = expression
        .evaluate(&|_: &str| None, &environment())
        .unwrap_err();
    assert_eq!(
        error.cause,
        Failure::Assertion {
            message: "no".to_owned()
        }
    );
    assert!(
        error
            .to_string()
            .starts_with("failed to evaluate expression 'assert(1, false, \"no\")': ")
    );
}

#[test]
fn unary_tests() {
    let table = [
        ("-", "1", "true"),
        ("< 5", "1", "true"),
        ("[1..3], 7", "7", "true"),
        ("not(1, 2)", "2", "false"),
        ("\"a\", \"b\"", "\"b\"", "true"),
        ("? > 2 and ? < 4", "3", "true"),
        ("null", "null", "true"),
        ("not(null)", "1", "true"),
        ("> 3", "null", "null"),
        ("contains(?, \"x\")", "\"axb\"", "true"),
        ("date(\"2024-01-01\")", "1", "null"),
    ];
    for (source, input, expected) in table {
        let expression = Expression::parse_unary_tests(source).unwrap();
        let input = Value::from_json(input).unwrap();
        let scope = |name: &str| (name == "?").then(|| input.clone());
        let value = expression.evaluate(&scope, &environment()).unwrap().value;
        assert_eq!(value.to_json(), expected, "{source}");
    }
}

#[test]
fn the_longest_known_name_wins() {
    let names = ["order", "order total", "order total-net", "Age (years)"];
    let variables = Value::from_json(
        r#"{"order":1,"order total":20,"order total-net":300,"Age (years)":4000,"total":5}"#,
    )
    .unwrap();
    let scope = |name: &str| variables.as_context().unwrap().get(name).cloned();
    let table = [
        ("order + 1", "2"),
        ("order  total + 1", "21"),
        ("order total - net + 1", "301"),
        ("Age (years) + order", "4001"),
        ("order-total", "-4"),
    ];
    for (source, expected) in table {
        let expression = Expression::parse_with_names(source, &names).unwrap();
        let value = expression.evaluate(&scope, &environment()).unwrap().value;
        assert_eq!(value.to_json(), expected, "{source}");
    }
}

#[test]
fn variables_are_the_names_read_from_outside() {
    let source = "b + a.x + (for i in list return i * b) + count(l[item > z])";
    let expression = Expression::parse(source).unwrap();
    let names: Vec<&str> = expression.variables().iter().map(|name| &**name).collect();
    assert_eq!(names, ["a", "b", "l", "list", "z"]);
    assert!(!expression.is_constant());
    assert!(Expression::parse("now()").unwrap().is_constant());
}

#[test]
fn syntax_errors_say_where() {
    for (source, expected) in [
        (
            "1 +",
            "failed to parse expression '1 +': expected an expression at position 1:4, found the end",
        ),
        (
            "\"a",
            "failed to parse expression '\"a': a string that is not closed at position 1:1",
        ),
        (
            "",
            "failed to parse expression '': expected an expression at position 1:1, found the end",
        ),
    ] {
        assert_eq!(Expression::parse(source).unwrap_err().to_string(), expected);
    }
    for wrong in [
        "1 2",
        "x y",
        "if a then b",
        "[1",
        "{a: }",
        "a.",
        "for x in",
        "f(1",
        "a and",
        "#",
    ] {
        assert!(Expression::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_same_seed_draws_the_same_values() {
    let expression = Expression::parse("[uuid(), random number(), uuid()]").unwrap();
    let draw = |seed| {
        let environment = Environment::at_epoch_millis(0, seed);
        expression
            .evaluate(&|_: &str| None, &environment)
            .unwrap()
            .value
            .to_json()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

//! Nothing that a user writes may hang, overflow the stack or exhaust memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use skep_feel::limits::{EXPRESSION_DEPTH_MAX, SOURCE_BYTES_MAX, VALUE_DEPTH_MAX};
use skep_feel::{
    Environment, Evaluation, EvaluationError, Expression, Failure, JsonError, ParseErrorCause,
    Value, ValueLimit,
};

fn evaluate(source: &str) -> Result<Evaluation, EvaluationError> {
    let environment = Environment::at_epoch_millis(0, 1);
    Expression::parse(source)
        .unwrap()
        .evaluate(&|_: &str| None, &environment)
}

/// Runs on the smallest stack that a caller may have.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    // The debug build's frames are some three times as large as the release build's.
    let bytes = if cfg!(debug_assertions) {
        1536 * 1024
    } else {
        512 * 1024
    };
    std::thread::Builder::new()
        .stack_size(bytes)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

#[test]
fn deep_expressions_are_refused_and_less_deep_ones_run() {
    on_a_small_stack(|| {
        let shapes = [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{a: ", "1", "}"),
            ("-", "a", ""),
            ("if true then 1 else ", "1", ""),
            ("for x in [1] return ", "1", ""),
            ("function(x) ", "1", ""),
            ("not(", "true", ")"),
            ("1 in (", "1", ")"),
            ("[1..", "2", "]"),
            ("a[", "1", "]"),
            ("{a: 1}.a + (", "1", ")"),
            ("some x in [1] satisfies ", "true", ""),
        ];
        for (open, inner, close) in shapes {
            let deep = nested(open, inner, close, 5_000);
            assert!(Expression::parse(&deep).is_err(), "{open}");
            let _ = Expression::parse_unary_tests(&deep);
            for levels in [20, EXPRESSION_DEPTH_MAX / 2 - 2, EXPRESSION_DEPTH_MAX - 2] {
                if let Ok(expression) = Expression::parse(&nested(open, inner, close, levels)) {
                    let environment = Environment::at_epoch_millis(0, 1);
                    expression.evaluate(&|_: &str| None, &environment).unwrap();
                } else {
                    assert!(levels > 20, "{open}");
                }
            }
        }
    });
}

#[test]
fn deep_types_are_refused() {
    on_a_small_stack(|| {
        let deep = |levels| format!("[] instance of {}", nested("list<", "number", ">", levels));
        assert!(Expression::parse(&deep(20)).is_ok());
        let cause = Expression::parse(&deep(5_000)).unwrap_err().cause;
        assert_eq!(cause, ParseErrorCause::TooDeep);
    });
}

#[test]
fn the_nesting_limit_is_where_it_says() {
    let depth = |levels| Expression::parse(&nested("(", "1", ")", levels));
    assert!(depth(EXPRESSION_DEPTH_MAX - 1).is_ok());
    assert_eq!(
        depth(EXPRESSION_DEPTH_MAX).unwrap_err().cause,
        ParseErrorCause::TooDeep
    );
}

#[test]
fn long_chains_are_not_deep() {
    for (first, operator) in [
        ("1", " + 1"),
        ("true", " and true"),
        ("a", ".b"),
        ("2", " * 2 / 2"),
    ] {
        let chain = format!("{first}{}", operator.repeat(2_000));
        Expression::parse(&chain).unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(Expression::parse(&format!("1{}", " = 1".repeat(2_000))).is_err());
}

#[test]
fn long_sources_are_refused() {
    let source = format!("1{}", " ".repeat(SOURCE_BYTES_MAX));
    let cause = Expression::parse(&source).unwrap_err().cause;
    assert_eq!(
        cause,
        ParseErrorCause::TooLong {
            bytes: SOURCE_BYTES_MAX + 1
        }
    );
    assert!(Expression::parse(&source[1..]).is_err());
    assert!(Expression::parse(&source[..SOURCE_BYTES_MAX]).is_ok());
}

#[test]
fn recursion_without_end_is_stopped() {
    on_a_small_stack(|| {
        let source = "{f: function(f, n) f(f, n + 1), r: f(f, 1)}.r";
        assert_eq!(evaluate(source).unwrap_err().cause, Failure::TooDeep);
    });
}

#[test]
fn recursion_with_an_end_runs() {
    let source = "{f: function(f, n) if n < 2 then 1 else n * f(f, n - 1), r: f(f, 20)}.r";
    assert_eq!(
        evaluate(source).unwrap().value.to_json(),
        "2432902008176640000"
    );
}

#[test]
fn work_without_end_runs_out_of_fuel() {
    for source in [
        "for x in 1..1000000000000 return x",
        "for x in 1..1000000000000, y in 1..1000000000000 return x",
        "some x in 1..1000000000000 satisfies false",
        "count(for x in 1..100000, y in 1..100000 return 1)",
        "{f: function(f, n) if n = 0 then [] else concatenate(f(f, n - 1), f(f, n - 1)), r: f(f, 60)}",
        "sort(for x in 1..1000000 return x, function(a, b) count(for y in 1..1000 return y) > 0)",
    ] {
        let cause = evaluate(source).unwrap_err().cause;
        assert!(
            matches!(cause, Failure::OutOfFuel { .. }),
            "{source}: {cause}"
        );
    }
}

#[test]
fn strings_that_double_are_stopped() {
    let source =
        "(for x in 1..100 return if x = 1 then \"0123456789\" else partial[-1] + partial[-1])[-1]";
    assert!(matches!(
        evaluate(source).unwrap_err().cause,
        Failure::OutOfFuel { .. } | Failure::ValueLimit(_)
    ));
}

#[test]
fn values_that_double_or_deepen_are_stopped() {
    on_a_small_stack(|| {
        let double =
            "(for x in 1..150 return if x = 1 then [1] else [partial[-1], partial[-1]])[-1]";
        let cause = evaluate(double).unwrap_err().cause;
        assert_eq!(cause, Failure::ValueLimit(ValueLimit::Size));
        let all = "for x in 1..1000000000000 return partial";
        let cause = evaluate(all).unwrap_err().cause;
        assert_eq!(cause, Failure::ValueLimit(ValueLimit::Size));
        let deepen = "for x in 1..100000 return [partial[-1]]";
        let cause = evaluate(deepen).unwrap_err().cause;
        assert_eq!(cause, Failure::ValueLimit(ValueLimit::Depth));
    });
}

#[test]
fn patterns_stay_cheap() {
    for source in [
        "matches(\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\", \"(a+)+$\")",
        "matches(\"a\", \"((a{1,1000}){1,1000}){1,1000}\")",
        "matches(\"a\", \"((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))\")",
        "replace(\"aaaaaaaaaa\", \"\", \"bbbb\")",
    ] {
        evaluate(source).unwrap();
    }
}

#[test]
fn costly_functions_use_fuel_for_what_they_cost() {
    for source in [
        "for x in 1..100000 return exp(x / 100000)",
        "for x in 1..100000 return x ** 0.3",
        "for x in 1..1000 return matches(\"a\", \"a{1,100}\" + string(x))",
        "{s: string join(for x in 1..200000 return \"0123456789\"), t: s + \"\", r: for x in 1..1000 return s = t}",
    ] {
        let cause = evaluate(source).unwrap_err().cause;
        assert!(
            matches!(cause, Failure::OutOfFuel { .. }),
            "{source}: {cause}"
        );
    }
    evaluate("for x in 1..10000 return matches(string(x), \"^[0-9]+$\")").unwrap();
}

#[test]
fn powers_and_exponents_stay_small() {
    for (source, expected) in [
        ("10 ** 7000", "null"),
        ("10 ** 1000000000000", "null"),
        ("1.0000001 ** 9007199254740991", "null"),
        ("exp(100000)", "null"),
        ("exp(-100000)", "0"),
        ("1e-7000", "0"),
    ] {
        assert_eq!(
            evaluate(source).unwrap().value.to_json(),
            expected,
            "{source}"
        );
    }
    assert!(Expression::parse("1e7000").is_err());
}

#[test]
fn json_has_a_depth_limit_and_deep_values_are_dropped() {
    on_a_small_stack(|| {
        let limit = usize::from(VALUE_DEPTH_MAX);
        let deepest = Value::from_json(&nested("[", "", "]", limit)).unwrap();
        assert_eq!(deepest.to_json(), nested("[", "", "]", limit));
        let contexts = Value::from_json(&nested("{\"a\":", "1", "}", limit)).unwrap();
        assert_eq!(contexts.clone().to_json(), contexts.to_json());
        for levels in [limit + 1, 1_000_000] {
            let error = Value::from_json(&nested("[", "", "]", levels)).unwrap_err();
            assert!(matches!(error, JsonError::TooDeep { .. }));
        }
    });
}

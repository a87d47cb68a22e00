//! JSON to values and back, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use skep_feel::{Environment, Expression, JsonError, Value};

#[test]
fn values_are_read_and_written() {
    for (text, expected) in [
        (" [ 1 , -0.50 , 1e2 , 1E-2 ] ", "[1,-0.5,100,0.01]"),
        ("-0", "0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1e300", "1E+300"),
        (r#"{"b":1,"a":{},"c":[]}"#, r#"{"b":1,"a":{},"c":[]}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (
            r#""\"\\\/\b\f\n\r\t\u0001\u00e9""#,
            r#""\"\\/\b\f\n\r\t\u0001é""#,
        ),
        (
            r#""\ud83d\udca9 \ud83d \udca9""#,
            "\"💩 \u{fffd} \u{fffd}\"",
        ),
    ] {
        assert_eq!(
            Value::from_json(text).unwrap().to_json(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn large_contexts_keep_their_order_and_their_last_values() {
    let entries: Vec<String> = (0..100)
        .map(|n| format!("\"k{}\":{n}", n * 37 % 50))
        .collect();
    let value = Value::from_json(&format!("{{{}}}", entries.join(","))).unwrap();
    let context = value.as_context().unwrap();
    assert_eq!(context.len(), 50);
    for n in 50..100 {
        let (key, kept) = &context.entries()[n - 50];
        assert_eq!(**key, format!("k{}", n * 37 % 50));
        assert_eq!(kept.to_json(), n.to_string());
        assert_eq!(context.get(key).unwrap().to_json(), n.to_string());
    }
    assert!(context.get("k50").is_none());
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    for (text, at) in [
        ("", 0),
        ("nul", 0),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("{\"a\" 1}", 5),
        ("{a:1}", 1),
        ("01", 2),
        ("1.", 2),
        ("1e", 2),
        ("-", 1),
        ("\"a", 2),
        ("\"\n\"", 1),
        ("\"\\x\"", 2),
        ("\"\\u12g4\"", 3),
        ("1 1", 2),
    ] {
        match Value::from_json(text) {
            Err(JsonError::Syntax { at: found, .. }) => assert_eq!(found, at, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let range = Value::from_json("[1e7000]").unwrap_err();
    assert_eq!(range, JsonError::NumberRange { at: 1 });
}

#[test]
fn what_json_cannot_hold_is_written_as_text_or_null() {
    let source = "[date(\"2024-01-02\"), time(\"10:00:00.5Z\"), duration(\"P1Y\"), [1..2], \
                  function(x) x, date and time(\"2024-01-02T03:04:05@Europe/Berlin\")]";
    let expression = Expression::parse(source).unwrap();
    let environment = Environment::at_epoch_millis(0, 0);
    let value = expression
        .evaluate(&|_: &str| None, &environment)
        .unwrap()
        .value;
    let expected = "[\"2024-01-02\",\"10:00:00.5Z\",\"P1Y\",null,null,\
                    \"2024-01-02T03:04:05@Europe/Berlin\"]";
    assert_eq!(value.to_json(), expected);
}

//! Random sources never panic, and values survive JSON.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use skep_feel::{Environment, Expression, Number, Value};

/// Pieces from which sources are put together that look enough like FEEL to get deep into the parser.
const PIECES: [&str; 84] = [
    "1",
    "0.5",
    "\"a\"",
    "true",
    "null",
    "x",
    "y",
    "?",
    "item",
    "partial",
    "`a b`",
    "@\"P1D\"",
    "@\"2024-02-29\"",
    "@\"10:00:00@Europe/Berlin\"",
    "+",
    "-",
    "*",
    "/",
    "**",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ".",
    "..",
    "and",
    "or",
    "not",
    "if",
    "then",
    "else",
    "for",
    "in",
    "return",
    "some",
    "every",
    "satisfies",
    "between",
    "instance of",
    "list<",
    "number",
    "function",
    "external",
    "a:",
    "x in",
    "sum(",
    "string(",
    "date(",
    "duration(",
    "count(",
    "sort(",
    "string join(",
    "date and time(",
    "replace(",
    "matches(",
    "substring(",
    "get value(",
    "context put(",
    "is defined(",
    "before(",
    "partition(",
    "flatten(",
    "decimal(",
    "time(",
    "//",
    "/*",
    "*/",
    "\"",
    "\\",
    "'",
    "é",
    "🐎",
    " ",
    "\n",
];

fn run(source: &str) {
    let mut environment = Environment::at_epoch_millis(1_700_000_000_000, 3);
    environment.fuel = 20_000;
    let scope = |name: &str| match name {
        "x" => Some(Value::from(3)),
        "y" => Some(Value::from_json(r#"[{"a":1},{"a":[2,"z"]}]"#).unwrap()),
        "?" => Some(Value::from("text")),
        _ => None,
    };
    let parsed = [
        Expression::parse(source),
        Expression::parse_unary_tests(source),
        Expression::parse_with_names(source, &["x y", "a-b", "item x", "in for"]),
    ];
    for expression in parsed.into_iter().flatten() {
        if let Ok(evaluation) = expression.evaluate(&scope, &environment) {
            let json = evaluation.value.to_json();
            Value::from_json(&json).unwrap_or_else(|error| panic!("{source}: {json}: {error}"));
        }
    }
}

/// What the language tests use, to be mutated.
fn seeds() -> Vec<&'static str> {
    include_str!("language.rs")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.split("\", \"").next())
        .collect()
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        (-1_000_000_000_i64..1_000_000_000, 1_u32..9)
            .prop_map(|(whole, fraction)| format!("{whole}.{fraction}")),
        "[a-zé🐎 ]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[a-z]{1,5}", inner, 0..20).prop_map(|entries| {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("\"{key}\":{value}"))
                    .collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_pieces_never_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24)) {
        run(&pieces.join(" "));
        run(&pieces.concat());
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,40}") {
        run(&text);
        let _ = Value::from_json(&text);
    }

    #[test]
    fn mutated_expressions_never_panic(
        seed in prop::sample::select(seeds()),
        at in any::<prop::sample::Index>(),
        piece in prop::sample::select(&PIECES[..]),
        cut in 0_usize..4,
    ) {
        let chars: Vec<char> = seed.chars().collect();
        let at = at.index(chars.len() + 1);
        let mutated: String = chars[..at]
            .iter()
            .copied()
            .chain(piece.chars())
            .chain(chars.iter().copied().skip(at + cut))
            .collect();
        run(&mutated);
    }

    #[test]
    fn json_comes_back_as_it_was(text in json()) {
        let value = Value::from_json(&text).unwrap();
        prop_assert_eq!(value.to_json(), text);
    }

    #[test]
    fn integers_add_and_multiply_as_integers(a in any::<i64>(), b in any::<i64>()) {
        let (x, y) = (Number::from(a), Number::from(b));
        prop_assert_eq!(x.checked_add(y).unwrap().to_i128(), Some(i128::from(a) + i128::from(b)));
        let product = i128::from(a) * i128::from(b);
        if product.unsigned_abs() < 10_u128.pow(34) {
            prop_assert_eq!(x.checked_mul(y).unwrap().to_i128(), Some(product));
        }
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn numbers_come_back_from_their_text(digits in "[1-9][0-9]{0,33}", exponent in -60_i32..60) {
        let number: Number = format!("{digits}e{exponent}").parse().unwrap();
        let again: Number = number.to_string().parse().unwrap();
        prop_assert_eq!(number, again);
        prop_assert_eq!(number.to_string(), again.to_string());
    }

    #[test]
    fn division_undoes_multiplication(a in 1_i64..i64::MAX, b in 1_i64..1_000_000, scale in -20_i32..20) {
        let a: Number = format!("{a}e{scale}").parse().unwrap();
        let b = Number::from(b);
        prop_assert_eq!(a.checked_mul(b).unwrap().checked_div(b), Some(a));
        let quotient = a.checked_div(b).unwrap().checked_mul(b).unwrap();
        let error = quotient.checked_sub(a).unwrap().abs();
        let bound: Number = a.checked_mul("1e-33".parse().unwrap()).unwrap();
        prop_assert!(error <= bound);
    }

    #[test]
    fn the_root_is_the_nearest_number(a in 1_i64..i64::MAX, scale in -20_i32..20) {
        let a: Number = format!("{a}e{scale}").parse().unwrap();
        let root = a.square_root().unwrap();
        let error = root.checked_mul(root).unwrap().checked_sub(a).unwrap().abs();
        prop_assert!(error <= a.checked_mul("2e-33".parse().unwrap()).unwrap());
    }
}

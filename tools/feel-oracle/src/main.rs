//! Compares this project's FEEL with another implementation, `dsntk`, on generated expressions: `feel-oracle [COUNT] [SEED]`.
//!
//! Both evaluate the same expression, without variables; what they give is compared as JSON. What one of both refuses to parse is counted
//! and shown as well. Ends with 1 if anything differs that is not known to.

use std::collections::BTreeMap;
use std::process::ExitCode;

use dsntk_feel::FeelScope;
use dsntk_feel::values::Value as Theirs;
use skep_feel::{Environment, Expression, NoVariables};

/// What is made.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Text,
    Boolean,
    List,
    Date,
    Duration,
}

/// A generator of expressions; the same seed gives the same ones.
struct Generator(u64);

impl Generator {
    fn next(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.next(of.len() as u64) as usize]
    }

    fn leaf(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Number => self.one(&[
                "0", "1", "2", "-3", "10", "2.5", "0.1", "100", "7", "-0.75", "null",
            ]),
            Kind::Text => self.one(&[
                r#""""#,
                r#""a""#,
                r#""foobar""#,
                r#""Hello World""#,
                r#""äö""#,
                r#""12""#,
                "null",
            ]),
            Kind::Boolean => self.one(&["true", "false", "null"]),
            Kind::List => self.one(&[
                "[]",
                "[1]",
                "[1,2,3]",
                "[3,1,2,3]",
                r#"["a","b"]"#,
                "[1,null,2]",
                "[[1,2],[3]]",
                "[true,false]",
            ]),
            Kind::Date => self.one(&[
                r#"date("2024-02-29")"#,
                r#"date("1999-12-31")"#,
                "date(2020,1,31)",
            ]),
            Kind::Duration => self.one(&[
                r#"duration("P1D")"#,
                r#"duration("PT36H30M")"#,
                r#"duration("-P2DT1S")"#,
            ]),
        }
        .to_owned()
    }

    fn number(&mut self, depth: u32) -> String {
        let [n, m] = [
            self.make(Kind::Number, depth),
            self.make(Kind::Number, depth),
        ];
        match self.next(14) {
            0 => format!("({n} + {m})"),
            1 => format!("({n} - {m})"),
            2 => format!("({n} * {m})"),
            3 => format!("({n} / {m})"),
            4 => format!("(({n}) ** 2)"),
            5 => format!("abs({n})"),
            6 => format!("floor({n})"),
            7 => format!("modulo({n}, {m})"),
            8 => format!("string length({})", self.make(Kind::Text, depth)),
            9 => format!("count({})", self.make(Kind::List, depth)),
            10 => format!("sum({})", self.make(Kind::List, depth)),
            11 => format!("(if {} then {n} else {m})", self.make(Kind::Boolean, depth)),
            12 => format!(
                "{}[{}]",
                self.make(Kind::List, depth),
                self.one(&["1", "2", "-1", "5"])
            ),
            _ => format!(
                "{}.{}",
                self.make(Kind::Date, depth),
                self.one(&["year", "month", "day"])
            ),
        }
    }

    fn text(&mut self, depth: u32) -> String {
        let [s, t] = [self.make(Kind::Text, depth), self.make(Kind::Text, depth)];
        match self.next(9) {
            0 => format!("({s} + {t})"),
            1 => format!("upper case({s})"),
            2 => format!("lower case({s})"),
            3 => format!("substring({s}, {})", self.one(&["1", "2", "-1", "-2"])),
            4 => format!("substring before({s}, {t})"),
            5 => format!("substring after({s}, {t})"),
            6 => format!("replace({s}, \"o\", \"0\")"),
            7 => format!("(if {} then {s} else {t})", self.make(Kind::Boolean, depth)),
            _ => format!("string({})", self.make(Kind::Number, depth)),
        }
    }

    fn boolean(&mut self, depth: u32) -> String {
        let [n, m] = [
            self.make(Kind::Number, depth),
            self.make(Kind::Number, depth),
        ];
        let [s, t] = [self.make(Kind::Text, depth), self.make(Kind::Text, depth)];
        let [b, c] = [
            self.make(Kind::Boolean, depth),
            self.make(Kind::Boolean, depth),
        ];
        match self.next(15) {
            0 => format!("({n} < {m})"),
            1 => format!("({n} >= {m})"),
            2 => format!("({n} = {m})"),
            3 => format!("({s} != {t})"),
            4 => format!("({b} and {c})"),
            5 => format!("({b} or {c})"),
            6 => format!("not({b})"),
            7 => format!("({n} between 0 and {m})"),
            8 => format!("({n} in [0..{m}])"),
            9 => format!("contains({s}, {t})"),
            10 => format!("starts with({s}, {t})"),
            11 => format!("list contains({}, {n})", self.make(Kind::List, depth)),
            12 => format!(
                "(some x in {} satisfies x = {n})",
                self.make(Kind::List, depth)
            ),
            13 => format!(
                "(every x in {} satisfies x = {n})",
                self.make(Kind::List, depth)
            ),
            _ => format!(
                "({} <= {})",
                self.make(Kind::Date, depth),
                self.make(Kind::Date, depth)
            ),
        }
    }

    fn list(&mut self, depth: u32) -> String {
        let [l, k] = [self.make(Kind::List, depth), self.make(Kind::List, depth)];
        match self.next(12) {
            0 => format!("append({l}, {})", self.make(Kind::Number, depth)),
            1 => format!("concatenate({l}, {k})"),
            2 => format!("reverse({l})"),
            3 => format!("distinct values({l})"),
            4 => format!("flatten({l})"),
            5 => format!("union({l}, {k})"),
            6 => format!("sublist({l}, {})", self.one(&["1", "2", "-1"])),
            7 => format!("(for x in {l} return x)"),
            8 => format!("(for x in 1..{} return x * 2)", self.one(&["1", "3", "5"])),
            9 => format!("{l}[item > 1]"),
            10 => format!("index of({l}, {})", self.make(Kind::Number, depth)),
            _ => format!(
                "[{}, {}]",
                self.make(Kind::Number, depth),
                self.make(Kind::Text, depth)
            ),
        }
    }

    fn make(&mut self, kind: Kind, depth: u32) -> String {
        if depth == 0 || self.next(4) == 0 {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        match kind {
            Kind::Number => self.number(depth),
            Kind::Text => self.text(depth),
            Kind::Boolean => self.boolean(depth),
            Kind::List => self.list(depth),
            Kind::Date => format!(
                "({} + {})",
                self.make(Kind::Date, depth),
                self.make(Kind::Duration, depth)
            ),
            Kind::Duration => format!(
                "({} + {})",
                self.make(Kind::Duration, depth),
                self.make(Kind::Duration, depth)
            ),
        }
    }

    fn any(&mut self) -> String {
        let kinds = [
            Kind::Number,
            Kind::Text,
            Kind::Boolean,
            Kind::List,
            Kind::Date,
            Kind::Duration,
        ];
        let kind = kinds[self.next(6) as usize];
        self.make(kind, 3)
    }
}

/// A number without a zero, or the sign of one, that says nothing.
fn number(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    let whole = digits.trim_start_matches('0');
    match whole {
        "" => "0".to_owned(),
        fraction if fraction.starts_with('.') => format!("{sign}0{fraction}"),
        whole => format!("{sign}{whole}"),
    }
}

fn theirs(value: &Theirs) -> String {
    match value {
        Theirs::Null(_) => "null".to_owned(),
        Theirs::Boolean(value) => value.to_string(),
        Theirs::Number(value) => number(&value.to_string()),
        Theirs::String(value) => format!("{value:?}"),
        Theirs::List(items) => {
            let items: Vec<String> = items.iter().map(theirs).collect();
            format!("[{}]", items.join(","))
        }
        other => format!("{:?}", other.to_string()),
    }
}

fn ours(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => format!("{text:?}"),
        serde_json::Value::Number(value) => number(&value.to_string()),
        serde_json::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(ours).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// What both give.
fn both(source: &str) -> (String, String) {
    let environment = Environment::at_epoch_millis(1_700_000_000_000, 1);
    let here = match Expression::parse(source) {
        Err(error) => format!("refused: {error}"),
        Ok(expression) => match expression.evaluate(&NoVariables, &environment) {
            Err(error) => format!("failed: {error}"),
            Ok(found) => {
                let json = found.value.to_json();
                serde_json::from_str(&json).map_or(json, |value| ours(&value))
            }
        },
    };
    let scope = FeelScope::default();
    let there = match dsntk_feel_parser::parse_expression(&scope, source, false) {
        Err(error) => format!("refused: {error}"),
        Ok(node) => theirs(&dsntk_feel_evaluator::evaluate(&scope, &node)),
    };
    (here, there)
}

/// Why a difference is none of ours, by what the expression has in it. Each kind was looked at.
fn known(source: &str, here: &str, there: &str) -> Option<&'static str> {
    let has = |part: &str| source.contains(part);
    let compares = has(" = ") || has(" != ");
    let squeezed = |text: &str| text.replace(['0', '.', '-'], "");
    Some(match () {
        () if has("string(")
            && (squeezed(here) == squeezed(there)
                || has("string length(string(")
                || has("string(0)")) =>
        {
            "dsntk writes zero as 000, 0.0 or -0"
        }
        () if there.starts_with("refused") => "dsntk does not parse a computed end of a range",
        () if has("substring(") => "the start lies beyond the end: empty here, null in dsntk",
        () if has(" in [") => "the end lies before the start: null here, false in dsntk",
        () if has("sublist(") => "the start lies beyond the end: null here, a list in dsntk",
        () if compares => "comparing with null: true or false here, null in dsntk",
        () if has("[[1,2],[3]]") => "a list of one item counts as the item where one is expected",
        () => return None,
    })
}

fn main() -> ExitCode {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<u64>().ok());
    let (count, seed) = (
        arguments.next().unwrap_or(100_000),
        arguments.next().unwrap_or(1),
    );
    let mut generator = Generator(seed);
    let (mut same, mut explained) = (0u64, BTreeMap::<&str, u64>::new());
    let mut unknown = BTreeMap::new();
    for _ in 0..count {
        let source = generator.any();
        let (here, there) = both(&source);
        let exponent = here.contains('e') && here.parse::<f64>().ok() == there.parse::<f64>().ok();
        if here == there || (exponent && here.parse::<f64>().is_ok()) {
            same += 1;
        } else if let Some(why) = known(&source, &here, &there) {
            *explained.entry(why).or_default() += 1;
        } else {
            unknown.insert(source, (here, there));
        }
    }
    for (source, (here, there)) in unknown.iter().take(60) {
        println!("{source}\n    here {here}, dsntk {there}");
    }
    println!("{same} of {count} the same, seed {seed}");
    for (why, times) in &explained {
        println!("{times} differ: {why}");
    }
    println!("{} differ without a known reason", unknown.len());
    ExitCode::from(u8::from(!unknown.is_empty()))
}

//! Nanoseconds per parse and per evaluation of expressions as models have them.
//! `cargo bench -p skep-feel`; prints one line per expression.

use std::hint::black_box;
use std::time::Instant;

use skep_feel::{Environment, Expression, Value};

const EXPRESSIONS: [&str; 8] = [
    "amount > 100 and customer.type = \"gold\"",
    "1+2",
    "amount * 1.19",
    "if customer.type = \"gold\" then amount - 10 else amount",
    "string length(customer.type) > 3",
    "sum(for x in 1..10 return x*amount)",
    "count(items[price > 20]) > 2",
    "\"order-\" + string(amount)",
];

/// Rounds of which the fastest counts: short ones and many, so that some pass undisturbed on a busy machine.
const ROUNDS: usize = 400;

fn fastest(count: u32, mut run: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..count {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(count));
    }
    best
}

fn main() {
    let customer = Value::from_json(r#"{"name":"Ada","type":"gold"}"#).expect("this is JSON");
    let amount = Value::from(250);
    let items = Value::from_json(
        r#"[{"price":10},{"price":20},{"price":30},{"price":40},{"price":50},{"price":60}]"#,
    )
    .expect("this is JSON");
    let scope = |name: &str| match name {
        "amount" => Some(amount.clone()),
        "customer" => Some(customer.clone()),
        "items" => Some(items.clone()),
        _ => None,
    };
    let environment = Environment::at_epoch_millis(1_700_000_000_000, 1);
    println!("{:>10} {:>10}", "parse ns", "eval ns");
    for source in EXPRESSIONS {
        let expression = Expression::parse(source).expect("the expression is right");
        let parse = fastest(200, || {
            black_box(Expression::parse(black_box(source)).is_ok());
        });
        let evaluate = fastest(2_000, || {
            black_box(expression.evaluate(&scope, &environment).is_ok());
        });
        println!("{parse:>10.0} {evaluate:>10.0}  {source}");
    }
}

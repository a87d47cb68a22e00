//! Square root, exponential, logarithm and general powers of [`Number`].
//!
//! The root is exact to the last digit. The others are series in 34-digit arithmetic on reduced arguments: their error
//! stays within some tens of units of the last place. Loops are bounded by the precision, never by the argument.

use super::wide::{Wide, digits};
use super::{Number, PRECISION};

/// ln 10 to 34 digits, rounded.
const LN_10: &str = "2.302585092994045684017991454684364";
/// ln 2 to 34 digits, rounded.
const LN_2: &str = "0.6931471805599453094172321214581766";

impl Number {
    /// Correctly rounded; `None` for a negative number.
    pub fn square_root(self) -> Option<Number> {
        if self.is_negative() {
            return None;
        }
        if self.is_zero() {
            return Some(Number::ZERO);
        }
        // Scaled to 67 or 68 digits with an even exponent, the integer root has exactly 34.
        let mut power = 2 * PRECISION - digits(self.coefficient());
        if (i32::from(self.exponent) - power as i32) % 2 != 0 {
            power -= 1;
        }
        let square = Wide::scaled(self.coefficient(), power);
        let root = integer_root(square);
        let exponent = (i32::from(self.exponent) - power as i32) / 2;
        Number::build(false, root, exponent).map(Number::normalized)
    }

    /// `e` to this power.
    pub fn exponential(self) -> Option<Number> {
        let ln_10 = constant(LN_10)?;
        // self = k ln 10 + rest, so that e^self = 10^k e^rest.
        let k = self
            .checked_div(ln_10)?
            .round(0, super::Rounding::HalfEven)?;
        let shift = i32::try_from(k.to_i64()?).ok()?;
        let rest = self.checked_sub(k.checked_mul(ln_10)?)?;
        // e^rest = (e^(rest/64))^64, which keeps the series at about 18 terms.
        let small = rest.checked_div(Number::from(64))?;
        let mut result = exponential_series(small)?;
        for _ in 0..6 {
            result = result.checked_mul(result)?;
        }
        result.shift(shift)
    }

    /// Natural logarithm; `None` unless positive.
    pub fn logarithm(self) -> Option<Number> {
        if self.is_negative() || self.is_zero() {
            return None;
        }
        if self == Number::ONE {
            return Some(Number::ZERO);
        }
        let scale = self.adjusted();
        let reduced = self.shift(-scale)?; // in 0.1 ..= 1
        // Halve the distance to one: reduced = 2^-n m with m in 0.7 .. 1.5.
        let estimate = -reduced.to_f64().log2();
        let halvings = estimate.round() as i64;
        let m = reduced.checked_mul(Number::from(2).power_integer(halvings)?)?;
        let ln_m = logarithm_series(m)?;
        let whole = constant(LN_10)?.checked_mul(Number::from(i64::from(scale)))?;
        let twos = constant(LN_2)?.checked_mul(Number::from(halvings))?;
        whole.checked_sub(twos)?.checked_add(ln_m)
    }

    /// General power; `None` where the result is not a real number or out of range.
    pub fn power(self, exponent: Number) -> Option<Number> {
        if let Some(integer) = exponent.to_i64() {
            return self.power_integer(integer);
        }
        if self.is_zero() {
            return if exponent.is_negative() {
                None
            } else {
                Some(Number::ZERO)
            };
        }
        if let Some(root) = exponent
            .checked_mul(Number::from(2))
            .and_then(|twice| twice.to_i64())
        {
            // Halves are common (x ** 0.5) and exact through the root.
            return self.square_root()?.power_integer(root);
        }
        let result = self.logarithm()?.checked_mul(exponent)?.exponential()?;
        Some(snap(result, |candidate| {
            let inverse = Number::ONE
                .checked_div(exponent)
                .and_then(|inverse| inverse.to_i64());
            inverse.is_some_and(|inverse| candidate.power_integer(inverse) == Some(self))
        }))
    }

    /// Multiplies by `10^places`.
    fn shift(self, places: i32) -> Option<Number> {
        let exponent = i32::from(self.exponent).checked_add(places)?;
        Number::build(self.negative, self.coefficient(), exponent)
    }
}

/// The root of a number of 67 or 68 digits, rounded to the nearest integer.
fn integer_root(square: Wide) -> u128 {
    // Newton's iteration from above falls until it has the root rounded down.
    let mut root = 10_u128.pow(PRECISION as u32);
    loop {
        let (quotient, _) = square.quotient(root);
        let next = (root + quotient) / 2;
        if next >= root {
            break;
        }
        root = next;
    }
    let rest = square.minus(Wide::product(root, root));
    // Beyond root + 1/2 if the rest is more than root.
    if rest.high != 0 || rest.low > root {
        root + 1
    } else {
        root
    }
}

fn constant(text: &str) -> Option<Number> {
    text.parse().ok()
}

/// Takes the neighbour with a few digits less if it is exactly the answer: 3 rather than 3.000…001.
fn snap(value: Number, exact: impl Fn(Number) -> bool) -> Number {
    let spare = digits(value.coefficient()).saturating_sub(PRECISION - 3) as i32;
    let scale = -(i32::from(value.exponent) + spare);
    match value.round(scale, super::Rounding::HalfEven) {
        Some(rounded) if exact(rounded.normalized()) => rounded.normalized(),
        _ => value,
    }
}

fn exponential_series(x: Number) -> Option<Number> {
    let mut sum = Number::ONE;
    let mut term = Number::ONE;
    for n in 1..60 {
        term = term.checked_mul(x)?.checked_div(Number::from(n))?;
        let next = sum.checked_add(term)?;
        if next == sum {
            break;
        }
        sum = next;
    }
    Some(sum)
}

/// ln m = 2 artanh((m - 1) / (m + 1)), for m near one.
fn logarithm_series(m: Number) -> Option<Number> {
    let z = m
        .checked_sub(Number::ONE)?
        .checked_div(m.checked_add(Number::ONE)?)?;
    let square = z.checked_mul(z)?;
    let mut power = z;
    let mut sum = z;
    for n in 1..120 {
        power = power.checked_mul(square)?;
        let next = sum.checked_add(power.checked_div(Number::from(2 * n + 1))?)?;
        if next == sum {
            break;
        }
        sum = next;
    }
    sum.checked_mul(Number::from(2))
}

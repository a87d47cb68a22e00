//! The four operations, remainder and rounding of [`Number`], each correctly rounded to 34 digits.

use std::cmp::Ordering;

use super::wide::{POWERS, Wide, digits};
use super::{COEFFICIENT_LIMIT, Number, PRECISION};

/// What to do with digits that are cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    HalfEven,
    /// Away from zero at the half.
    HalfUp,
    /// Towards zero at the half.
    HalfDown,
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    Floor,
    Ceiling,
}

impl Number {
    pub fn checked_add(self, other: Number) -> Option<Number> {
        if self.exponent == other.exponent {
            let sum = self.signed() + other.signed();
            return Number::build(sum < 0, sum.unsigned_abs(), i32::from(self.exponent));
        }
        let (large, small) = if self.exponent > other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        if small.is_zero() || large.is_zero() {
            return Some(if small.is_zero() { large } else { small });
        }
        let gap = (i32::from(large.exponent) - i32::from(small.exponent)) as usize;
        if gap > 2 * PRECISION {
            return add_negligible(large, small);
        }
        let exponent = i32::from(small.exponent);
        if digits(large.coefficient()) + gap <= PRECISION + 2 {
            let scaled = large.signed() * POWERS[gap] as i128;
            let sum = scaled + small.signed();
            return Number::build(sum < 0, sum.unsigned_abs(), exponent);
        }
        if gap + digits(large.coefficient()) > 2 * PRECISION + 6 {
            return add_negligible(large, small);
        }
        let first = Wide::scaled(large.coefficient(), gap);
        let second = Wide {
            high: 0,
            low: small.coefficient(),
        };
        if large.negative == small.negative {
            return Number::build_wide(large.negative, first.plus(second), exponent, false);
        }
        match first.compare(&second) {
            Ordering::Less => {
                Number::build_wide(small.negative, second.minus(first), exponent, false)
            }
            _ => Number::build_wide(large.negative, first.minus(second), exponent, false),
        }
    }

    pub fn checked_sub(self, other: Number) -> Option<Number> {
        self.checked_add(other.negate())
    }

    pub fn negate(self) -> Number {
        Number {
            negative: !self.negative && !self.is_zero(),
            ..self
        }
    }

    pub fn abs(self) -> Number {
        Number {
            negative: false,
            ..self
        }
    }

    pub fn checked_mul(self, other: Number) -> Option<Number> {
        let negative = self.negative != other.negative;
        let exponent = i32::from(self.exponent) + i32::from(other.exponent);
        if self.high == 0 && other.high == 0 {
            let product = u128::from(self.low) * u128::from(other.low);
            return Number::build(negative, product, exponent);
        }
        let product = Wide::product(self.coefficient(), other.coefficient());
        Number::build_wide(negative, product, exponent, false)
    }

    /// `None` when the divisor is zero or the result is out of range.
    pub fn checked_div(self, other: Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        if self.is_zero() {
            return Some(Number::ZERO);
        }
        let negative = self.negative != other.negative;
        let (a, b) = (self.coefficient(), other.coefficient());
        let exponent = i32::from(self.exponent) - i32::from(other.exponent);
        if exponent >= 0 && a.is_multiple_of(b) {
            return Number::build(negative, a / b, exponent);
        }
        // Enough digits that the quotient has 35 or 36: 34 and the ones that decide the rounding.
        let power = (PRECISION + 1 + digits(b)).saturating_sub(digits(a));
        let (quotient, remainder) = Wide::scaled(a, power).quotient(b);
        let exponent = exponent - power as i32;
        if remainder != 0 {
            let wide = Wide {
                high: 0,
                low: quotient,
            };
            return Number::build_wide(negative, wide, exponent, true);
        }
        let (quotient, exponent) = strip_zeros(quotient, exponent);
        Number::build(negative, quotient, exponent)
    }

    /// The remainder with the sign of the divisor (FEEL's `modulo`); `None` for a zero divisor.
    pub fn modulo(self, other: Number) -> Option<Number> {
        if other.is_zero() {
            return None;
        }
        if self.exponent == 0 && other.exponent == 0 {
            let (a, b) = (self.signed(), other.signed());
            let rest = a % b;
            let rest = if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            };
            return Number::build(rest < 0, rest.unsigned_abs(), 0);
        }
        let floor = self.checked_div(other)?.round(0, Rounding::Floor)?;
        self.checked_sub(other.checked_mul(floor)?)
    }

    /// Rounds to `scale` digits after the point (before it when negative).
    pub fn round(self, scale: i32, rounding: Rounding) -> Option<Number> {
        let drop = -i32::from(self.exponent) - scale;
        if drop <= 0 || self.is_zero() {
            return Some(self);
        }
        let wide = Wide {
            high: 0,
            low: self.coefficient(),
        };
        let coefficient = shorten(wide, drop as usize, false, rounding, self.negative);
        Number::build(self.negative, coefficient, -scale)
    }

    pub fn floor(self) -> Number {
        self.round(0, Rounding::Floor).unwrap_or(self)
    }

    pub fn ceiling(self) -> Number {
        self.round(0, Rounding::Ceiling).unwrap_or(self)
    }

    /// Raises to an integer power by squaring; `None` when out of range or `0` to a negative power.
    pub fn power_integer(self, exponent: i64) -> Option<Number> {
        let mut result = Number::ONE;
        let mut base = self;
        let mut rest = exponent.unsigned_abs();
        while rest > 0 {
            if rest & 1 == 1 {
                result = result.checked_mul(base)?;
            }
            rest >>= 1;
            if rest > 0 {
                base = base.checked_mul(base)?;
            }
        }
        if exponent < 0 {
            Number::ONE.checked_div(result)
        } else {
            Some(result)
        }
    }

    /// The same value without trailing zeros in the coefficient, and no positive exponent if it fits.
    pub fn normalized(self) -> Number {
        if self.exponent == 0 || self.is_zero() {
            return Number {
                exponent: 0,
                ..self
            };
        }
        if self.exponent > 0 {
            let scale = self.exponent as usize;
            if digits(self.coefficient()) + scale <= PRECISION {
                return Number::pack(self.negative, self.coefficient() * POWERS[scale], 0);
            }
            return self;
        }
        let (coefficient, exponent) = strip_zeros(self.coefficient(), i32::from(self.exponent));
        Number::pack(self.negative, coefficient, exponent)
    }
}

/// The sum where `small` lies entirely below the digits that `large` can hold.
fn add_negligible(large: Number, small: Number) -> Option<Number> {
    // Only the direction of rounding can depend on it, and half to even lands on `large` either way,
    // unless `large` is short: then it is widened to full precision first, with the same value.
    debug_assert!(large.adjusted() > small.adjusted());
    Some(large)
}

/// Removes trailing zeros while the exponent is negative.
fn strip_zeros(mut coefficient: u128, mut exponent: i32) -> (u128, i32) {
    for step in [16usize, 8, 4, 2, 1] {
        while exponent + step as i32 <= 0 && coefficient.is_multiple_of(POWERS[step]) {
            coefficient /= POWERS[step];
            exponent += step as i32;
        }
    }
    (coefficient, exponent)
}

/// Cuts `drop` digits off `value` and rounds; the result must fit 128 bits.
pub(super) fn shorten(
    value: Wide,
    drop: usize,
    sticky: bool,
    rounding: Rounding,
    negative: bool,
) -> u128 {
    if drop == 0 {
        return round_quotient(value.low, Ordering::Less, sticky, rounding, negative);
    }
    let length = value.digits();
    if drop > length {
        // Everything lies below a tenth of the last kept digit.
        let inexact = sticky || !value.is_zero();
        return round_quotient(0, Ordering::Less, inexact, rounding, negative);
    }
    let mut value = value;
    let mut sticky = sticky;
    let mut drop = drop;
    while drop > 38 {
        let (quotient, remainder) = value.quotient_wide(POWERS[38]);
        sticky |= remainder != 0;
        value = quotient;
        drop -= 38;
    }
    let (quotient, remainder) = value.quotient_wide(POWERS[drop]);
    assert!(quotient.high == 0, "a shortened coefficient fits 128 bits");
    let half = POWERS[drop] / 2;
    let position = match remainder.cmp(&half) {
        Ordering::Equal if sticky => Ordering::Greater,
        other => other,
    };
    round_quotient(
        quotient.low,
        position,
        sticky || remainder != 0,
        rounding,
        negative,
    )
}

/// `position` compares the cut part with one half.
fn round_quotient(
    quotient: u128,
    position: Ordering,
    inexact: bool,
    rounding: Rounding,
    negative: bool,
) -> u128 {
    let up = match rounding {
        _ if !inexact => false,
        Rounding::HalfEven => match position {
            Ordering::Greater => true,
            Ordering::Equal => quotient % 2 == 1,
            Ordering::Less => false,
        },
        Rounding::HalfUp => position != Ordering::Less,
        Rounding::HalfDown => position == Ordering::Greater,
        Rounding::Up => true,
        Rounding::Down => false,
        Rounding::Floor => negative,
        Rounding::Ceiling => !negative,
    };
    debug_assert!(quotient < COEFFICIENT_LIMIT * 100);
    quotient + u128::from(up)
}

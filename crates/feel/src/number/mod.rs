//! FEEL's number: a decimal with 34 significant digits, rounded half to even (the precision of IEEE 754
//! decimal128 and of Zeebe's numbers).
//!
//! Invariants: the coefficient is below 10^34; zero is never negative; the exponent lies in
//! `EXPONENT_MIN..=EXPONENT_MAX`. There is no infinity and no NaN: an operation without a result gives `None`,
//! which FEEL shows as null. Numbers that are equal compare and print equal whatever their trailing zeros.
//! Its 20 bytes and the spare values of `bool` keep [`crate::Value`] at 24 bytes.

mod arithmetic;
mod functions;
mod text;
mod wide;

use std::cmp::Ordering;

use wide::{POWERS, Wide, digits};

pub use arithmetic::Rounding;
pub use text::NumberError;

/// Significant digits of a number.
pub const PRECISION: usize = 34;
const COEFFICIENT_LIMIT: u128 = POWERS[PRECISION];
const EXPONENT_MAX: i32 = 6111;
const EXPONENT_MIN: i32 = -6176;

/// A decimal number of up to 34 significant digits.
#[derive(Clone, Copy)]
pub struct Number {
    low: u64,
    high: u64,
    exponent: i16,
    negative: bool,
}

impl Number {
    pub const ZERO: Number = Number {
        low: 0,
        high: 0,
        exponent: 0,
        negative: false,
    };
    pub const ONE: Number = Number {
        low: 1,
        high: 0,
        exponent: 0,
        negative: false,
    };

    #[inline]
    fn coefficient(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// Builds a number from parts that already keep the invariants.
    #[inline]
    fn pack(negative: bool, coefficient: u128, exponent: i32) -> Number {
        debug_assert!(coefficient < COEFFICIENT_LIMIT);
        Number {
            low: coefficient as u64,
            high: (coefficient >> 64) as u64,
            exponent: exponent as i16,
            negative: negative && coefficient != 0,
        }
    }

    /// Rounds to 34 digits and checks the exponent; `None` when the magnitude is out of range.
    #[inline]
    fn build(negative: bool, coefficient: u128, exponent: i32) -> Option<Number> {
        if coefficient < COEFFICIENT_LIMIT && (EXPONENT_MIN..=EXPONENT_MAX).contains(&exponent) {
            return Some(Number::pack(negative, coefficient, exponent));
        }
        Number::build_wide(
            negative,
            Wide {
                high: 0,
                low: coefficient,
            },
            exponent,
            false,
        )
    }

    /// Like [`Number::build`] for a wide coefficient; `sticky` says that digits below it were cut off.
    fn build_wide(negative: bool, value: Wide, exponent: i32, sticky: bool) -> Option<Number> {
        let excess = value.digits().saturating_sub(PRECISION);
        let underflow = usize::try_from(EXPONENT_MIN.saturating_sub(exponent)).unwrap_or(0);
        let drop = excess.max(underflow);
        let coefficient = arithmetic::shorten(value, drop, sticky, Rounding::HalfEven, negative);
        let exponent = exponent + i32::try_from(drop).ok()?;
        // Rounding up can only carry into a power of ten, which loses no digit when cut once more.
        let (coefficient, exponent) = if coefficient == COEFFICIENT_LIMIT {
            (COEFFICIENT_LIMIT / 10, exponent + 1)
        } else {
            (coefficient, exponent)
        };
        if coefficient == 0 {
            return Some(Number::ZERO);
        }
        if exponent <= EXPONENT_MAX {
            return Some(Number::pack(negative, coefficient, exponent));
        }
        let surplus = usize::try_from(exponent - EXPONENT_MAX).ok()?;
        if digits(coefficient) + surplus > PRECISION {
            return None;
        }
        Some(Number::pack(
            negative,
            coefficient * POWERS[surplus],
            EXPONENT_MAX,
        ))
    }

    pub fn is_zero(&self) -> bool {
        self.low == 0 && self.high == 0
    }

    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether the number has no fraction.
    pub fn is_integer(&self) -> bool {
        let exponent = i32::from(self.exponent);
        if exponent >= 0 || self.is_zero() {
            return true;
        }
        let scale = usize::try_from(-exponent).unwrap_or(usize::MAX);
        scale <= PRECISION && self.coefficient().is_multiple_of(POWERS[scale])
    }

    /// The value as an `i128` when it is an integer of up to 38 digits.
    pub fn to_i128(&self) -> Option<i128> {
        let coefficient = self.coefficient();
        let exponent = i32::from(self.exponent);
        let magnitude = if exponent == 0 || coefficient == 0 {
            coefficient
        } else if exponent > 0 {
            let scale = usize::try_from(exponent).ok()?;
            coefficient.checked_mul(*POWERS.get(scale)?)?
        } else {
            let divisor = *POWERS.get(usize::try_from(-exponent).ok()?)?;
            if !coefficient.is_multiple_of(divisor) {
                return None;
            }
            coefficient / divisor
        };
        let magnitude = i128::try_from(magnitude).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// The value as an `i64` when it is an integer that fits.
    pub fn to_i64(&self) -> Option<i64> {
        self.to_i128().and_then(|value| i64::try_from(value).ok())
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        if let Some(value) = self.to_i64() {
            return value as f64;
        }
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The number that a double's shortest decimal text names; `None` for NaN and infinities.
    pub fn from_f64(value: f64) -> Option<Number> {
        if !value.is_finite() {
            return None;
        }
        format!("{value:e}").parse().ok()
    }

    #[inline]
    fn signed(&self) -> i128 {
        let magnitude = self.coefficient() as i128;
        if self.negative { -magnitude } else { magnitude }
    }

    /// Position of the leading digit: 1 for 0.1..1, 2 for 1..10 and so on, relative only.
    fn adjusted(&self) -> i32 {
        digits(self.coefficient()) as i32 + i32::from(self.exponent)
    }

    fn compare_magnitude(&self, other: &Number) -> Ordering {
        if self.is_zero() || other.is_zero() {
            return self.coefficient().min(1).cmp(&other.coefficient().min(1));
        }
        let by_size = self.adjusted().cmp(&other.adjusted());
        if by_size != Ordering::Equal {
            return by_size;
        }
        // Equal leading positions: the exponents differ by less than 34, so scaling stays narrow.
        let exponent = self.exponent.min(other.exponent);
        let scale = |n: &Number| Wide::scaled(n.coefficient(), (n.exponent - exponent) as usize);
        scale(self).compare(&scale(other))
    }
}

impl Ord for Number {
    #[inline]
    fn cmp(&self, other: &Number) -> Ordering {
        if self.exponent == other.exponent {
            return self.signed().cmp(&other.signed());
        }
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl From<i64> for Number {
    fn from(value: i64) -> Number {
        Number {
            low: value.unsigned_abs(),
            high: 0,
            exponent: 0,
            negative: value < 0,
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Number {
        Number {
            low: value,
            high: 0,
            exponent: 0,
            negative: false,
        }
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Number {
        Number::from(i64::from(value))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Number {
        Number::from(value as u64)
    }
}

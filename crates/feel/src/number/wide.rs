//! 256-bit unsigned helpers for products and quotients of 34-digit coefficients.
//!
//! Owns nothing but arithmetic. Invariant: callers keep quotients below 2^128, which holds because every
//! divisor is a power of ten chosen so that at most 36 digits remain, or a coefficient below 10^34.

use std::cmp::Ordering;

/// `10^n` for every power of ten that fits a `u128`.
pub(super) const POWERS: [u128; 39] = {
    let mut table = [1u128; 39];
    let mut i = 1;
    while i < 39 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

const LOW: u128 = u64::MAX as u128;

/// An unsigned 256-bit integer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wide {
    pub(super) high: u128,
    pub(super) low: u128,
}

impl Wide {
    pub(super) fn product(a: u128, b: u128) -> Wide {
        let (a1, a0) = (a >> 64, a & LOW);
        let (b1, b0) = (b >> 64, b & LOW);
        let low = a0 * b0;
        let middle = a1 * b0 + (low >> 64);
        let middle2 = a0 * b1 + (middle & LOW);
        Wide {
            high: a1 * b1 + (middle >> 64) + (middle2 >> 64),
            low: (middle2 << 64) | (low & LOW),
        }
    }

    /// `a * 10^power`; the caller keeps the result below 2^256 (at most 77 digits).
    pub(super) fn scaled(a: u128, power: usize) -> Wide {
        if power <= 38 {
            return Wide::product(a, POWERS[power]);
        }
        let first = Wide::product(a, POWERS[38]);
        first.times(POWERS[power - 38])
    }

    fn times(self, factor: u128) -> Wide {
        let low = Wide::product(self.low, factor);
        let high = Wide::product(self.high, factor);
        assert!(high.high == 0, "a scaled coefficient has at most 77 digits");
        Wide {
            high: low.high + high.low,
            low: low.low,
        }
    }

    pub(super) fn plus(self, other: Wide) -> Wide {
        let (low, carry) = self.low.overflowing_add(other.low);
        Wide {
            high: self.high + other.high + u128::from(carry),
            low,
        }
    }

    /// `self - other`; the caller has compared them.
    pub(super) fn minus(self, other: Wide) -> Wide {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Wide {
            high: self.high - other.high - u128::from(borrow),
            low,
        }
    }

    pub(super) fn compare(&self, other: &Wide) -> Ordering {
        self.high.cmp(&other.high).then(self.low.cmp(&other.low))
    }

    pub(super) fn is_zero(&self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// Number of decimal digits, 1 for zero.
    pub(super) fn digits(&self) -> usize {
        if self.high == 0 {
            return digits(self.low);
        }
        let mut power = 38;
        // At most 40 rounds, and only on the slow path.
        while power < 76 && Wide::scaled(1, power + 1).compare(self) != Ordering::Greater {
            power += 1;
        }
        power + 1
    }

    /// Quotient and remainder; the quotient may be wider than 128 bits.
    pub(super) fn quotient_wide(self, divisor: u128) -> (Wide, u128) {
        let high = self.high / divisor;
        let rest = Wide {
            high: self.high % divisor,
            low: self.low,
        };
        let (low, remainder) = rest.quotient(divisor);
        (Wide { high, low }, remainder)
    }

    /// Quotient and remainder where the quotient fits 128 bits (Knuth's algorithm D with 64-bit digits).
    pub(super) fn quotient(self, divisor: u128) -> (u128, u128) {
        assert!(
            self.high < divisor,
            "the quotient of a wide division must fit 128 bits"
        );
        if self.high == 0 {
            return (self.low / divisor, self.low % divisor);
        }
        let shift = divisor.leading_zeros();
        let v = divisor << shift;
        let (v1, v0) = (v >> 64, v & LOW);
        let top = if shift == 0 {
            self.high
        } else {
            (self.high << shift) | (self.low >> (128 - shift))
        };
        let bottom = self.low << shift;
        let (u1, u0) = (bottom >> 64, bottom & LOW);
        let q1 = quotient_digit(top, u1, v1, v0);
        let middle = (top << 64)
            .wrapping_add(u1)
            .wrapping_sub(q1.wrapping_mul(v));
        let q0 = quotient_digit(middle, u0, v1, v0);
        let remainder = (middle << 64)
            .wrapping_add(u0)
            .wrapping_sub(q0.wrapping_mul(v))
            >> shift;
        ((q1 << 64).wrapping_add(q0), remainder)
    }
}

/// One 64-bit digit of a quotient, corrected so that it is exact.
fn quotient_digit(upper: u128, next: u128, v1: u128, v0: u128) -> u128 {
    let mut digit = upper / v1;
    let mut rest = upper - digit * v1;
    while digit > LOW || digit * v0 > (rest << 64) + next {
        digit -= 1;
        rest += v1;
        if rest > LOW {
            break;
        }
    }
    digit
}

/// Number of decimal digits, 1 for zero.
pub(super) fn digits(value: u128) -> usize {
    let bits = 128 - value.leading_zeros() as usize;
    // log10(2) is about 1233 / 4096; the estimate is exact or one too low.
    let estimate = (bits * 1233) >> 12;
    let exact = if value >= POWERS[estimate.min(38)] {
        estimate + 1
    } else {
        estimate
    };
    exact.max(1)
}

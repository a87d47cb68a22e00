//! Reading and writing numbers as text. The written form is plain (no exponent) up to a sensible length,
//! without trailing zeros in the fraction, and reads back as the same value.

use std::fmt;
use std::str::FromStr;

use super::Number;
use super::wide::{Wide, digits};

/// Zeros that are written out before the text switches to an exponent.
const PLAIN_ZEROS_MAX: i32 = 40;

/// A text that is not a number, or one whose magnitude is out of range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NumberError {
    #[error("not a number")]
    Syntax,
    #[error("the number is out of range")]
    Range,
}

impl FromStr for Number {
    type Err = NumberError;

    /// Reads `[-+]digits[.digits][e[-+]digits]`; a leading point is allowed, a trailing one is not.
    fn from_str(text: &str) -> Result<Number, NumberError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], parse_exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let mut reader = Mantissa::default();
        reader.read(mantissa)?;
        let exponent = exponent
            .checked_add(reader.exponent)
            .ok_or(NumberError::Range)?;
        let wide = Wide {
            high: 0,
            low: reader.coefficient,
        };
        if reader.coefficient == 0 {
            return Ok(Number::ZERO);
        }
        // Beyond this the result is out of range or zero anyway; the bound keeps the sums below small.
        let exponent = exponent.clamp(-100_000, 100_000);
        Number::build_wide(negative, wide, exponent, reader.sticky).ok_or(NumberError::Range)
    }
}

#[derive(Default)]
struct Mantissa {
    coefficient: u128,
    exponent: i32,
    sticky: bool,
}

impl Mantissa {
    fn read(&mut self, text: &str) -> Result<(), NumberError> {
        let mut seen_digit = false;
        let mut fraction = false;
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    seen_digit = true;
                    self.push(u128::from(byte - b'0'), fraction)?;
                }
                b'.' if !fraction => fraction = true,
                _ => return Err(NumberError::Syntax),
            }
        }
        if !seen_digit || text.ends_with('.') {
            return Err(NumberError::Syntax);
        }
        Ok(())
    }

    fn push(&mut self, digit: u128, fraction: bool) -> Result<(), NumberError> {
        // 37 digits: three more than kept, the rest only matters as not being zero.
        let step = if digits(self.coefficient) < 37 {
            self.coefficient = self.coefficient * 10 + digit;
            if fraction { -1 } else { 0 }
        } else {
            self.sticky |= digit != 0;
            if fraction { 0 } else { 1 }
        };
        self.exponent = self.exponent.checked_add(step).ok_or(NumberError::Range)?;
        Ok(())
    }
}

fn parse_exponent(text: &str) -> Result<i32, NumberError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NumberError::Syntax);
    }
    let magnitude: i32 = unsigned.parse().unwrap_or(i32::MAX / 2);
    Ok(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.normalized();
        if number.negative {
            f.write_str("-")?;
        }
        let exponent = i32::from(number.exponent);
        if exponent == 0 && number.high == 0 {
            return write!(f, "{}", number.low);
        }
        let text = number.coefficient().to_string();
        let point = text.len() as i32 + exponent;
        if exponent > PLAIN_ZEROS_MAX || point < -PLAIN_ZEROS_MAX {
            let (first, rest) = text.split_at(1);
            let rest = rest.trim_end_matches('0');
            let dot = if rest.is_empty() { "" } else { "." };
            return write!(f, "{first}{dot}{rest}E{:+}", point - 1);
        }
        if exponent >= 0 {
            return write!(f, "{text}{:0<width$}", "", width = exponent as usize);
        }
        if point <= 0 {
            return write!(f, "0.{:0<width$}{text}", "", width = -point as usize);
        }
        let (whole, fraction) = text.split_at(point as usize);
        write!(f, "{whole}.{fraction}")
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

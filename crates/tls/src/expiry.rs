//! Until when a certificate is valid: the one field of it that is read here (RFC 5280, section 4.1).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Seconds since 1970 at which a certificate ceases to be valid; `None` if it does not say so.
pub(crate) fn expires_at(certificate: &[u8]) -> Option<i64> {
    let mut outer = Reader(certificate);
    let mut certificate = Reader(outer.take(SEQUENCE)?);
    let mut signed = Reader(certificate.take(SEQUENCE)?);
    // Version 1 is not named.
    if signed.0.first() == Some(&VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?;
    let _algorithm = signed.take(SEQUENCE)?;
    let _issuer = signed.take(SEQUENCE)?;
    let mut validity = Reader(signed.take(SEQUENCE)?);
    let _begin = validity.any()?;
    seconds(validity.any()?)
}

/// What is left of a run of values in DER.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value, whatever it is: its tag and content.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // So many bytes say how long it is; a certificate is not longer than four can say.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next value, which must be one of these.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any()
            .filter(|(found, _)| *found == tag)
            .map(|(_, content)| content)
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn seconds((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text.strip_suffix(b"Z")?).ok()?;
    let text = match tag {
        // The years from 1950 to 2049 have two digits.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, 2, 3);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        certificate.der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_of_its_forms() {
        for (year, seconds) in [
            (2026, 1_770_076_800),
            (2049, 2_495_923_200),
            (2050, 2_527_459_200),
            (2100, 4_105_296_000),
        ] {
            assert_eq!(expires_at(&made(year)), Some(seconds), "{year}");
        }
    }

    #[test]
    fn what_is_cut_off_or_broken_says_nothing_and_does_no_harm() {
        let whole = made(2026);
        for length in 0..whole.len() {
            assert_eq!(expires_at(&whole[..length]), None);
        }
        for place in 0..whole.len().min(200) {
            for byte in [0x00, 0x80, 0x84, 0xff] {
                let mut broken = whole.clone();
                broken[place] = byte;
                let _ = expires_at(&broken);
            }
        }
    }
}

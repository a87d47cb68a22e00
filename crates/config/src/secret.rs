//! Values that must not be seen.

use std::fmt;
use std::hint::black_box;

/// A secret text: has no `Display`, its `Debug` shows nothing, and its memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Hides a text.
    pub fn new(text: &str) -> Secret {
        Secret(text.as_bytes().to_vec())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).expect("it was made from a text")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        black_box(&self.0);
    }
}

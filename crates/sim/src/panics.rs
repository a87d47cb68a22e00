//! Panics during a run are findings: their text is kept instead of printed.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    static SIMULATING: Cell<bool> = const { Cell::new(false) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// While it lives, panics of this thread are kept.
pub struct Kept;

impl Kept {
    /// From now on.
    pub fn begin() -> Kept {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if SIMULATING.get() {
                    LAST.set(info.to_string());
                    COUNT.set(COUNT.get() + 1);
                } else {
                    before(info);
                }
            }));
        });
        SIMULATING.set(true);
        Kept
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        SIMULATING.set(false);
    }
}

/// How many there were on this thread.
pub fn count() -> u64 {
    COUNT.get()
}

/// The text of the last panic.
pub fn last() -> String {
    LAST.with_borrow(Clone::clone)
}

//! How much a test does, and that it does so alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether the whole form is wanted: `SAGALINE_PROVE=1`.
#[must_use]
pub fn whole() -> bool {
    std::env::var("SAGALINE_PROVE").is_ok_and(|value| value == "1")
}

/// One broker and two cores are for one test of a program at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

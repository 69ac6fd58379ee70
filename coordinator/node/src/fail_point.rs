//! Places where a test may have the process die by SIGKILL, as `SAGALINE_FAIL_POINT=NAME:N` says: at the N-th time that NAME is passed.
//! Without that variable a fail point is one comparison. Nothing else may depend on it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sagaline_partition::KnownRules;

/// Outputs were decided and none of them is published.
pub const AFTER_DECIDE: &str = "after-decide";
/// Outputs were published and acknowledged, and no Progress says so.
pub const AFTER_PUBLISH: &str = "after-publish";
/// A Progress was folded, and the store is not flushed.
pub const AFTER_PROGRESS: &str = "after-progress";
/// No place but a way to be broken: who goes live leaves what the outbox holds unpublished, so that a test can show that it sees the loss.
pub const NO_REPUBLISHING: &str = "no-republishing";
/// No place but a way to be broken: the fold panics at this offset of every inbox partition, until a person has it passed over.
pub const PANIC_AT: &str = "panic-at";

/// No place but a way to be broken: the process dies when it folds this offset of any inbox partition, until a person has it passed over.
pub const DIE_AT: &str = "die-at";

struct Armed {
    name: String,
    left: AtomicU64,
}

static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
    let wanted = std::env::var("SAGALINE_FAIL_POINT").ok()?;
    let (name, count) = wanted.split_once(':')?;
    Some(Armed { name: name.to_owned(), left: AtomicU64::new(count.parse().ok()?) })
});

/// No place but a pretence: this program knows the rules up to that version, so that a test has builds of two times side by side.
pub const KNOWN_RULES: &str = "known-rules";

/// Which rules this program is to say that it knows.
pub fn known_rules() -> KnownRules {
    let armed = ARMED.as_ref().filter(|armed| armed.name == KNOWN_RULES);
    let newest = armed.and_then(|armed| u32::try_from(armed.left.load(Ordering::Relaxed)).ok());
    newest.map_or(KnownRules::OWN, KnownRules::up_to)
}

/// Whether a process is to be broken in this way, whatever the number says.
pub fn is_armed(name: &str) -> bool {
    ARMED.as_ref().is_some_and(|armed| armed.name == name)
}

/// The fold comes to a record, and may panic or die at it.
///
/// # Panics
/// As the test wants.
pub fn fold(offset: i64) {
    let Some(armed) = ARMED.as_ref() else { return };
    let here = armed.left.load(Ordering::Relaxed).cast_signed() == offset;
    assert!(!(here && armed.name == PANIC_AT), "a test wants it");
    if here && armed.name == DIE_AT {
        die();
    }
}

/// The process passes a fail point, and may not come out of it.
pub fn pass(name: &str) {
    if let Some(armed) = ARMED.as_ref()
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        die();
    }
}

#[allow(unsafe_code)]
fn die() {
    // SAFETY: raising a signal touches no memory of ours; SIGKILL lets nothing run afterwards, which is what the test wants.
    unsafe { libc::raise(libc::SIGKILL) };
}

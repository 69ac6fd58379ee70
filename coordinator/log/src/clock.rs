//! The machine's clocks behind a trait. The only place of this crate that asks the operating system for the time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sagaline_schemas::Millis;

/// Where a log gets its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock: milliseconds since 1970. May jump, also backwards.
    fn wall(&self) -> Millis;

    /// Time since the machine was started, the time it slept included. Never goes back while the machine is up.
    fn since_boot(&self) -> Duration;
}

/// The machine's own clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Millis {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as Millis,
            Err(before) => -(before.duration().as_millis() as Millis),
        }
    }

    fn since_boot(&self) -> Duration {
        boot_time()
    }
}

/// `std`'s `Instant` stands still while a laptop sleeps; a saga's deadline does not.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn boot_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the type that the call fills in.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(status, 0, "Linux has had CLOCK_BOOTTIME since 2.6.39");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// `Instant` counts sleep on the other systems that this is developed on.
#[cfg(not(target_os = "linux"))]
fn boot_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// A wall clock that is set once and then only goes on: what the embedded log stamps records with.
#[derive(Debug)]
pub(crate) struct SteadyClock {
    clock: std::sync::Arc<dyn Clock>,
    wall: Millis,
    boot: Duration,
}

impl SteadyClock {
    /// Starts at the wall clock, or at `at_least` where that is later.
    pub(crate) fn start(clock: std::sync::Arc<dyn Clock>, at_least: Millis) -> Self {
        let (wall, boot) = (clock.wall().max(at_least), clock.since_boot());
        Self { clock, wall, boot }
    }

    /// Milliseconds since 1970; never less than before.
    pub(crate) fn now(&self) -> Millis {
        let elapsed = self.clock.since_boot().saturating_sub(self.boot);
        self.wall + elapsed.as_millis() as Millis
    }
}

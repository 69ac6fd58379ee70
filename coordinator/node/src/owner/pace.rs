//! When a Progress is due. It costs a record, so acknowledgements are gathered; a timer that is due waits less; and a Progress that did not
//! reach the due time, because the broker's clock is behind, is repeated ever more slowly.

use std::time::Duration;

use crate::BootTime;

/// Acknowledgements and waiting durations are gathered for so long.
const GATHER: Duration = Duration::from_millis(100);
/// Timers that are due are gathered for so long.
const DUE: Duration = Duration::from_millis(10);
/// Longest wait of a due timer that the broker's clock has not reached.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// When the next Progress may be appended.
#[derive(Debug, Default)]
pub struct Pace {
    last: Option<BootTime>,
    /// Progresses in a row that did not reach the timer that they were for.
    futile: u32,
}

impl Pace {
    /// Whether acknowledgements and durations have been gathered for long enough.
    pub fn may_report(&self, now: BootTime) -> bool {
        self.since_last(now) >= GATHER
    }

    /// Whether due timers have.
    pub fn may_fire(&self, now: BootTime) -> bool {
        self.until_fire(now).is_zero()
    }

    /// How long due timers are gathered yet.
    pub fn until_fire(&self, now: BootTime) -> Duration {
        DUE.saturating_mul(1 << self.futile.min(10)).min(MAX_WAIT).saturating_sub(self.since_last(now))
    }

    fn since_last(&self, now: BootTime) -> Duration {
        self.last.map_or(Duration::MAX, |last| now.saturating_sub(last))
    }

    /// One is appended.
    pub fn appended(&mut self, now: BootTime) {
        self.last = Some(now);
    }

    /// It is folded; did it reach the timers that were due when it was written?
    pub fn folded(&mut self, reached: bool) {
        self.futile = if reached { 0 } else { self.futile + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> BootTime {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_goes_at_once_and_the_next_is_gathered_for() {
        let mut pace = Pace::default();
        assert!(pace.may_report(at(5)));
        pace.appended(at(5));
        assert!(!pace.may_report(at(104)));
        assert!(pace.may_report(at(105)));
        assert!(pace.may_fire(at(15)));
        assert_eq!(pace.until_fire(at(12)), at(3));
    }

    #[test]
    fn a_timer_that_the_brokers_clock_does_not_reach_is_asked_for_ever_more_slowly_but_never_given_up() {
        let mut pace = Pace::default();
        pace.appended(at(0));
        (0..50).for_each(|_| pace.folded(false));
        assert!(!pace.may_fire(at(999)));
        assert!(pace.may_fire(at(1000)));
        pace.folded(true);
        assert!(pace.may_fire(at(10)));
    }
}

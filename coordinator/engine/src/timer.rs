//! What a timer's firing means. A timer that no longer means anything was disarmed: the list in the saga is the truth.

use sagaline_schemas::record::Kind;

use crate::fact::Fact;
use crate::saga::TimerKind;
use crate::turn::Turn;

impl Turn<'_> {
    pub fn timer(&mut self, kind: TimerKind, effect: Option<u32>) {
        if !self.has_timer(kind, effect) {
            return;
        }
        self.disarm(kind, effect);
        match (kind, effect) {
            (TimerKind::Deadline, _) => self.deadline_passed(),
            (TimerKind::Attempt, Some(effect)) => self.attempt_timed_out(effect, Kind::Do),
            (TimerKind::Backoff, Some(effect)) => self.backoff_over(effect, Kind::Do),
            (TimerKind::UndoAttempt, Some(effect)) => self.attempt_timed_out(effect, Kind::Compensate),
            (TimerKind::UndoBackoff, Some(effect)) => self.backoff_over(effect, Kind::Compensate),
            // Forgetting removes the saga: the partition's business.
            (
                TimerKind::Forget
                | TimerKind::Attempt
                | TimerKind::Backoff
                | TimerKind::UndoAttempt
                | TimerKind::UndoBackoff,
                _,
            ) => {}
        }
    }

    fn attempt_timed_out(&mut self, effect: u32, kind: Kind) {
        let attempt = self.tries(effect, kind).count;
        let spot = self.spot(effect);
        self.fact(Fact::TimedOut { spot, kind, attempt });
        self.attempt_failed(effect, kind, 0, "no answer in time");
    }
}

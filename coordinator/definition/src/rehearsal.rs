//! A rehearsal: a definition whose durations are shortened, so that three weeks take a minute on a real log. Everything about it lies in the
//! definition, and so in the log: the fold stays closed. Why it is done so: docs/adr/0009-rehearsals.md.

use std::collections::BTreeMap;

use sagaline_schemas::{Digest, Millis};
use serde::{Deserialize, Serialize};

use crate::model::{Compensate, Definition, Patience, Policy, Sleep, Step, Verb};

/// No duration is made shorter than this by a rehearsal, milliseconds: an answer must have its time on a real log.
pub const SHORTEST: Millis = 1_000;

/// How time runs in a rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// So much of the definition's time, milliseconds, at least 1.
    pub of: Millis,
    /// Takes so much real time, milliseconds, at least 1.
    pub takes: Millis,
    /// What the definition's expressions and calendars take for the time at which a saga begins: milliseconds since 1970.
    pub as_of: Millis,
}

impl Rehearsal {
    /// The definition's time, for a saga that began at `started_at`, at the real time `now`.
    pub fn world_time(&self, started_at: Millis, now: Millis) -> Millis {
        self.as_of.saturating_add(scaled(now.saturating_sub(started_at), self.of, self.takes))
    }

    /// The real time, for a saga that began at `started_at`, of a time of the definition.
    pub fn real_time(&self, started_at: Millis, world: Millis) -> Millis {
        started_at.saturating_add(scaled(world.saturating_sub(self.as_of), self.takes, self.of))
    }

    /// How long something takes that takes `duration` in the definition.
    pub fn real_duration(&self, duration: Millis) -> Millis {
        duration.min(scaled(duration, self.takes, self.of).max(SHORTEST))
    }

    /// A wait between attempts is nobody's time to answer: it may be as short as it comes.
    fn real_pause(&self, pause: Millis) -> Millis {
        pause.min(scaled(pause, self.takes, self.of).max(1))
    }

    /// Attempts that fit into their total time still do.
    fn policy(&self, policy: &mut Policy) {
        policy.backoff = self.real_pause(policy.backoff);
        policy.cap = self.real_pause(policy.cap);
        policy.attempt_timeout = self.real_duration(policy.attempt_timeout);
        let all = i64::from(policy.attempts).saturating_mul(policy.attempt_timeout.saturating_add(policy.cap));
        policy.within = policy.within.map(|within| within.min(self.real_duration(within).max(all)));
    }

    fn patience(&self, patience: &mut Patience) {
        patience.within = self.real_duration(patience.within);
        patience.remind = patience.remind.map(|remind| self.real_duration(remind));
    }

    fn step(&self, step: &mut Step, children: &BTreeMap<Digest, Digest>) {
        step.expected = step.expected.map(|expected| self.real_duration(expected));
        match &mut step.verb {
            Verb::Call(call) => {
                self.policy(&mut call.retry);
                match &mut call.compensate {
                    Compensate::By { retry, .. } => self.policy(retry),
                    Compensate::Never | Compensate::Reads => {}
                }
            }
            Verb::Saga(child) => {
                child.definition = children.get(&child.definition).copied().unwrap_or(child.definition)
            }
            Verb::Sleep(Sleep::For(duration)) => *duration = self.real_duration(*duration),
            // Dates are no durations: the engine looks at the definition's time.
            Verb::Sleep(Sleep::Until(_) | Sleep::Window(_) | Sleep::Workdays { .. }) | Verb::Decide(_) => {}
            Verb::Wait(wait) => self.patience(&mut wait.patience),
            Verb::Until(until) => self.patience(&mut until.patience),
            Verb::Approve(approve) => {
                self.patience(&mut approve.patience);
                approve.escalate.iter_mut().for_each(|(after, _)| *after = self.real_duration(*after));
            }
        }
    }
}

/// `duration * to / from`, rounded towards nothing; the farthest there is where that is farther.
fn scaled(duration: Millis, to: Millis, from: Millis) -> Millis {
    let exact = i128::from(duration) * i128::from(to) / i128::from(from.max(1));
    i64::try_from(exact).unwrap_or(if exact < 0 { Millis::MIN } else { Millis::MAX })
}

impl Definition {
    /// The same definition as a rehearsal. `children`: what became of the digests of those that it starts.
    ///
    /// Its version says what it is, so that it is never taken for the real one.
    #[must_use]
    pub fn rehearsed(mut self, rehearsal: Rehearsal, children: &BTreeMap<Digest, Digest>) -> Self {
        let Rehearsal { of, takes, as_of } = rehearsal;
        self.version = format!("{}-rehearsal.{of}-{takes}.{as_of}", self.version);
        self.deadline.after = rehearsal.real_duration(self.deadline.after);
        for fact in &mut self.facts {
            fact.fresh = fact.fresh.map(|fresh| rehearsal.real_duration(fresh));
            if let Some(ask) = &mut fact.ask {
                ask.every = rehearsal.real_duration(ask.every);
            }
        }
        self.steps.iter_mut().for_each(|step| rehearsal.step(step, children));
        for check in [&mut self.ensure.completed, &mut self.ensure.compensated].into_iter().flatten() {
            check.within = rehearsal.real_duration(check.within);
        }
        self.rehearsal = Some(rehearsal);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Millis = 86_400_000;
    const TWO_SECONDS: Rehearsal = Rehearsal { of: DAY, takes: 2_000, as_of: 1_000 * DAY };

    #[test]
    fn long_durations_shrink_and_short_ones_stay() {
        let real = |duration| TWO_SECONDS.real_duration(duration);
        assert_eq!([0, 1, 999, 1_000].map(real), [0, 1, 999, 1_000]);
        assert_eq!([1_001, 60_000, DAY / 2].map(real), [1_000, 1_000, 1_000]);
        assert_eq!([DAY, 21 * DAY].map(real), [2_000, 42_000]);
        assert_eq!(real(Millis::MAX), Millis::MAX / (DAY / 2_000));
    }

    #[test]
    fn time_of_the_definition_and_real_time_are_each_others_inverse() {
        let started = 5 * DAY;
        assert_eq!(TWO_SECONDS.world_time(started, started + 3_000), 1_001 * DAY + DAY / 2);
        assert_eq!(TWO_SECONDS.real_time(started, 1_001 * DAY + DAY / 2), started + 3_000);
        assert_eq!(TWO_SECONDS.real_time(started, 999 * DAY), started - 2_000);
    }

    #[test]
    fn attempts_that_fit_into_their_total_time_still_do() {
        let jitter = crate::model::Jitter::Full;
        let mut policy = Policy {
            attempts: 12,
            backoff: 1_000,
            cap: 300_000,
            factor_percent: 200,
            jitter,
            attempt_timeout: 30_000,
            within: Some(6 * 3_600_000),
        };
        TWO_SECONDS.policy(&mut policy);
        let Policy { backoff, cap, attempt_timeout, within, .. } = policy;
        assert_eq!((backoff, cap, attempt_timeout, within), (1, 6, 1_000, Some(12 * 1_006)));
    }
}

//! Attempts at an effect and at its undoing: when the next one comes, and when there is none.
//!
//! attempt n fails -> wait(n) -> attempt n + 1, until the policy's attempts or its total time are used up.
//! wait(n) = min(cap, backoff * factor^(n-1)), of which the jitter leaves a part to a hash of the next command's id:
//! deterministic for a replay, spread over sagas (AWS Architecture Blog, "Exponential Backoff and Jitter").

use sagaline_definition::model::{Compensate, Jitter, Policy};
use sagaline_schemas::hash;
use sagaline_schemas::record::Kind;
use sagaline_schemas::{CommandId, Millis};

use crate::fact::Fact;
use crate::ledger::{Change, News, UndoChange, UndoNews, next, next_undo};
use crate::saga::{TimerKind, Tries};
use crate::turn::{Outgoing, Turn};

/// How long a participant's own word may stretch an attempt or the wait before the next, milliseconds: seven days.
pub(crate) const LONGEST_PATIENCE: Millis = 7 * 24 * 3_600_000;

/// The timer that bounds an attempt of this kind, and the one that waits for the next.
pub(crate) fn timers(kind: Kind) -> (TimerKind, TimerKind) {
    match kind {
        Kind::Compensate => (TimerKind::UndoAttempt, TimerKind::UndoBackoff),
        Kind::Do | Kind::Probe | Kind::Ask => (TimerKind::Attempt, TimerKind::Backoff),
    }
}

impl Turn<'_> {
    pub fn tries(&mut self, effect: u32, kind: Kind) -> &mut Tries {
        let effect = self.effect(effect);
        match kind {
            Kind::Compensate => &mut effect.undo_tries,
            Kind::Do | Kind::Probe | Kind::Ask => &mut effect.tries,
        }
    }

    pub fn policy(&self, effect: u32, kind: Kind) -> Policy {
        let call = self.call(effect);
        match (&call.compensate, kind) {
            (Compensate::By { retry, .. }, Kind::Compensate) => *retry,
            (Compensate::Never | Compensate::Reads, Kind::Compensate) | (_, Kind::Do | Kind::Probe | Kind::Ask) => {
                call.retry
            }
        }
    }

    /// Decides the next attempt.
    pub fn attempt(&mut self, effect: u32, kind: Kind) {
        let now = self.moment.log_time;
        let timeout = self.policy(effect, kind).attempt_timeout;
        let tries = self.tries(effect, kind);
        if tries.count == 0 {
            tries.first = now;
        }
        tries.count += 1;
        tries.resting = false;
        let attempt = tries.count;
        let (clock, backoff) = timers(kind);
        self.disarm(clock, Some(effect));
        self.disarm(backoff, Some(effect));
        let spot = self.spot(effect);
        self.fact(Fact::Decided { spot, kind, attempt });
        self.out.commands.push(Outgoing { effect, kind, attempt, deadline: now.saturating_add(timeout) });
    }

    /// The log has acknowledged a command: its clock begins, unless an answer came first.
    pub fn sent(&mut self, effect: u32, kind: Kind, attempt: u32, base: Option<Millis>) {
        if self.saga.tries(effect, kind).is_none_or(|tries| tries.count != attempt) {
            return;
        }
        let begins = match kind {
            Kind::Compensate => next_undo(&self.effect(effect).undo, UndoNews::Sent) == UndoChange::ClockBegins,
            Kind::Do | Kind::Probe | Kind::Ask => next(&self.effect(effect).outcome, News::Sent) == Change::ClockBegins,
        };
        let (clock, backoff) = timers(kind);
        let over = self.has_timer(backoff, Some(effect)) || self.tries(effect, kind).resting;
        if !begins || over || !self.wants(kind) {
            return;
        }
        self.mark_sent(effect, kind);
        let begun = base.map(|base| *self.tries(effect, kind).begun.get_or_insert(base));
        if self.has_timer(clock, Some(effect)) {
            // Its participant said how long it takes before the log said that it was sent.
            return;
        }
        let policy = self.policy(effect, kind);
        let (Some(base), Some(begun)) = (base, begun) else {
            return self.arm_after(clock, Some(effect), policy.attempt_timeout);
        };
        let total = policy.within.map_or(Millis::MAX, |within| begun.saturating_add(within));
        let due = base.saturating_add(policy.attempt_timeout).min(total);
        self.arm_at(clock, Some(effect), due);
    }

    fn mark_sent(&mut self, effect: u32, kind: Kind) {
        let effect = self.effect(effect);
        match kind {
            Kind::Compensate => effect.undo = crate::ledger::Undo::Sent,
            Kind::Do | Kind::Probe | Kind::Ask => effect.outcome = crate::ledger::Outcome::Sent,
        }
    }

    /// Whether attempts of this kind still mean something: none at doing once the saga goes back, none at all once it has ended.
    pub fn wants(&self, kind: Kind) -> bool {
        match kind {
            Kind::Compensate => !self.saga.is_ended(),
            Kind::Do | Kind::Probe | Kind::Ask => !self.goes_back_or_ended(),
        }
    }

    /// The newest attempt brought nothing. `not_before`: the participant's own wish.
    pub fn attempt_failed(&mut self, effect: u32, kind: Kind, not_before: Millis, error: &str) {
        let policy = self.policy(effect, kind);
        let tries = self.tries(effect, kind).clone();
        let (clock, backoff) = timers(kind);
        self.disarm(clock, Some(effect));
        let left = tries
            .begun
            .zip(policy.within)
            .map(|(begun, within)| begun.saturating_add(within).saturating_sub(self.moment.log_time));
        if tries.count - tries.forgiven >= policy.attempts || left.is_some_and(|left| left <= 0) {
            return self.used_up(effect, kind, error);
        }
        let wait =
            wait(&policy, tries.count - tries.forgiven, self.command_id(effect, kind, tries.count + 1)).max(not_before);
        let wait = left.map_or(wait, |left| wait.min(left));
        match wait {
            0 => self.next_attempt(effect, kind),
            wait => self.arm_after(backoff, Some(effect), wait),
        }
    }

    /// The wait is over. The total time may be, too: then this was the last chance for a late answer.
    pub fn backoff_over(&mut self, effect: u32, kind: Kind) {
        let within = self.policy(effect, kind).within;
        let begun = self.tries(effect, kind).begun;
        let total = begun.zip(within).map(|(begun, within)| begun.saturating_add(within));
        if total.is_some_and(|total| total <= self.moment.log_time) {
            return self.used_up(effect, kind, "the total time for all attempts is used up");
        }
        self.next_attempt(effect, kind);
    }

    /// Now, or when the saga takes decisions again.
    fn next_attempt(&mut self, effect: u32, kind: Kind) {
        let decides = match kind {
            Kind::Compensate => self.saga.goes_back(),
            Kind::Do | Kind::Probe | Kind::Ask => self.saga.goes_forward(),
        };
        if decides { self.attempt(effect, kind) } else { self.tries(effect, kind).resting = true }
    }

    fn used_up(&mut self, effect: u32, kind: Kind, error: &str) {
        let spot = self.spot(effect);
        self.fact(Fact::UsedUp { spot, kind });
        match kind {
            Kind::Compensate => self.undo_news(effect, UndoNews::UsedUp, error),
            Kind::Do | Kind::Probe | Kind::Ask => self.news(effect, News::UsedUp { error: error.to_owned() }),
        }
    }

    /// A person's word, or news that changes all, brings a full set of attempts.
    pub fn fresh_attempts(&mut self, effect: u32, kind: Kind) {
        let tries = self.tries(effect, kind);
        tries.forgiven = tries.count;
        tries.begun = None;
    }

    pub fn command_id(&self, effect: u32, kind: Kind, attempt: u32) -> CommandId {
        let of = &self.saga.effects[effect as usize];
        let effect = hash::effect_id(self.saga.id, &self.step_of(effect).step, &of.items, of.round);
        hash::command_id(effect, kind, attempt)
    }
}

/// The wait after attempt `n` of those that count (from 1), milliseconds.
pub(crate) fn wait(policy: &Policy, n: u32, next: CommandId) -> Millis {
    let mut whole = i128::from(policy.backoff.max(0));
    for _ in 1..n.min(64) {
        whole = (whole * i128::from(policy.factor_percent) / 100).min(i128::from(policy.cap.max(0)));
    }
    let whole = whole.min(i128::from(policy.cap.max(0))) as Millis;
    let (sure, chance) = match policy.jitter {
        Jitter::Full => (0, whole),
        Jitter::Equal => (whole / 2, whole - whole / 2),
        Jitter::None => (whole, 0),
    };
    sure + fraction(next, chance)
}

/// Between 0 and `of`, both included, the same for the same command for ever.
fn fraction(command: CommandId, of: Millis) -> Millis {
    let hash = blake3::hash(hash::Preimage::new("jitter").fixed(command.as_bytes()).as_bytes());
    let bits = u64::from_be_bytes(hash.as_bytes()[..8].try_into().expect("a BLAKE3 hash has 32 bytes"));
    ((u128::from(bits) * (of as u128 + 1)) >> 64) as Millis
}

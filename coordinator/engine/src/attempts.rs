//! Attempts at an effect and at its undoing: attempt n fails -> wait(n) -> attempt n + 1, until the policy's attempts or total time are used up.
//! wait(n) = min(cap, backoff * factor^(n-1)), of which the jitter leaves a part to a hash of the next command's id: deterministic for a
//! replay, spread over sagas (AWS Architecture Blog, "Exponential Backoff and Jitter"). A participant that is down uses up nothing: what it did
//! not answer waits, and the policy begins anew when it is back. One that says itself that it is out gets that attempt back, and no other.

use sagaline_definition::model::{Compensate, Jitter, Policy};
use sagaline_schemas::hash;
use sagaline_schemas::record::Kind;
use sagaline_schemas::{CommandId, Millis};

use crate::fact::Fact;
use crate::ledger::{Change, News, Outcome, Undo, UndoChange, UndoNews, next, next_undo};
use crate::saga::{Probing, TimerKind, Tries};
use crate::turn::{Deed, Outgoing, Turn};

/// How long a participant's own word may stretch an attempt or the wait before the next, milliseconds: seven days.
pub(crate) const LONGEST_PATIENCE: Millis = 7 * 24 * 3_600_000;

/// The timer that bounds an attempt of this kind, and the one that waits for the next.
pub(crate) fn timers(kind: Kind) -> (TimerKind, TimerKind) {
    match kind {
        Kind::Compensate => (TimerKind::UndoAttempt, TimerKind::UndoBackoff),
        Kind::Probe => (TimerKind::ProbeAttempt, TimerKind::ProbeBackoff),
        Kind::Do | Kind::Ask => (TimerKind::Attempt, TimerKind::Backoff),
    }
}

impl Turn<'_> {
    pub fn tries(&mut self, effect: u32, kind: Kind) -> &mut Tries {
        let effect = self.effect(effect);
        match kind {
            Kind::Compensate => &mut effect.undo_tries,
            Kind::Probe => &mut effect.probe_tries,
            Kind::Do | Kind::Ask => &mut effect.tries,
        }
    }

    /// None for a child saga: messages between partitions need no attempts.
    pub fn policy(&self, effect: u32, kind: Kind) -> Option<Policy> {
        let Deed::Call(call) = self.deed(effect) else { return None };
        Some(match (&call.compensate, kind) {
            (Compensate::By { retry, .. }, Kind::Compensate) => *retry,
            (Compensate::By { .. } | Compensate::Never | Compensate::Reads, _) => call.retry,
        })
    }

    /// Whether the saga decides commands of this kind now.
    fn decides(&self, kind: Kind) -> bool {
        match kind {
            Kind::Compensate => self.saga.undoes(),
            Kind::Probe => self.saga.goes_forward() || self.ensures(),
            Kind::Do | Kind::Ask => self.saga.goes_forward(),
        }
    }

    /// Decides the next attempt, if the participant takes it; else it waits until the participant does.
    pub fn attempt(&mut self, effect: u32, kind: Kind) {
        match self.deed(effect) {
            Deed::Child(_) => self.tell_child(effect, kind),
            Deed::Call(call) if self.admits(&call.participant) => self.send_attempt(effect, kind),
            Deed::Call(_) => self.rest(effect, kind),
        }
    }

    /// Takes a seat for one more command. Where none is free, the saga queues; nothing in a turn gives one back.
    pub fn admits(&mut self, participant: &str) -> bool {
        if self.full.contains(participant) {
            return false;
        }
        let admitted = self.gates.admit(participant);
        if !admitted {
            self.full.insert(participant.to_owned());
            self.out.out.push(Outgoing::Queued { participant: participant.to_owned() });
        }
        admitted
    }

    /// The next attempt is due, and waits; the total time stands still.
    fn rest(&mut self, effect: u32, kind: Kind) {
        let now = self.moment.log_time;
        self.tries(effect, kind).rest(now);
    }

    /// The participant has taken a seat for it.
    pub fn send_attempt(&mut self, effect: u32, kind: Kind) {
        let Some(policy) = self.policy(effect, kind) else { return };
        let now = self.moment.log_time;
        let tries = self.tries(effect, kind);
        if tries.count == 0 {
            tries.first = now;
        }
        tries.count += 1;
        tries.resting = false;
        let attempt = tries.count;
        self.stop_clock(effect, kind);
        let spot = self.effect(effect).spot();
        self.fact(Fact::Decided { spot, kind, attempt });
        let deadline = now.saturating_add(policy.attempt_timeout);
        self.out.out.push(Outgoing::Command { effect, kind, attempt, deadline });
    }

    /// An attempt at doing that was due while it could not be decided. Whether anything moved.
    pub fn attempt_that_rests(&mut self, effect: u32) -> bool {
        let of = self.effect(effect);
        let (doing, probing) = (of.tries.resting, of.probe_tries.resting);
        let before = self.out.facts.len();
        if doing && self.may_attempt(effect) {
            self.attempt(effect, Kind::Do);
        }
        if probing && self.saga.goes_forward() {
            self.attempt(effect, Kind::Probe);
        }
        // A gate that stays closed and a guard that still does not hold are no news.
        self.out.facts.len() > before
    }

    /// The guard, before every attempt but the first, which is looked at when the place begins.
    fn may_attempt(&mut self, effect: u32) -> bool {
        let Some(at) = self.place_of(effect) else { return true };
        if self.guard_holds(at) {
            return true;
        }
        self.rest(effect, Kind::Do);
        self.guard_fails(at);
        false
    }

    /// The log has acknowledged a command: its clock begins, unless an answer came first.
    pub fn sent(&mut self, effect: u32, kind: Kind, attempt: u32, base: Option<Millis>) {
        let newest = self.saga.effects.get(effect as usize).and_then(|of| of.tries(kind)).map(|tries| tries.count);
        let Some(policy) = self.policy(effect, kind).filter(|_| newest == Some(attempt)) else { return };
        let spot = self.effect(effect).spot();
        let (clock, backoff) = timers(kind);
        let over = self.has_timer(backoff, Some(&spot)) || self.tries(effect, kind).resting;
        if !self.clock_begins(effect, kind) || over || !self.wants(effect, kind) {
            return;
        }
        self.mark_sent(effect, kind);
        let begun = base.map(|base| self.tries(effect, kind).begin(base));
        if self.has_timer(clock, Some(&spot)) {
            // Its participant said how long it takes before the log said that it was sent.
            return;
        }
        let (Some(base), Some(begun)) = (base, begun) else {
            return self.arm_after(clock, Some(spot), policy.attempt_timeout);
        };
        let total = policy.within.map_or(Millis::MAX, |within| begun.saturating_add(within));
        let due = base.saturating_add(policy.attempt_timeout).min(total);
        self.arm_at(clock, Some(spot), due);
    }

    fn clock_begins(&mut self, effect: u32, kind: Kind) -> bool {
        let effect = self.effect(effect);
        match kind {
            Kind::Compensate => next_undo(&effect.undo, UndoNews::Sent) == UndoChange::ClockBegins,
            Kind::Probe => effect.probing != Probing::No,
            // Whoever asks what became of it makes no more attempts.
            Kind::Do | Kind::Ask => {
                effect.probing == Probing::No && next(&effect.outcome, News::Sent) == Change::ClockBegins
            }
        }
    }

    fn mark_sent(&mut self, effect: u32, kind: Kind) {
        let effect = self.effect(effect);
        match kind {
            Kind::Compensate => effect.undo = Undo::Sent,
            Kind::Do | Kind::Ask => effect.outcome = Outcome::Sent,
            Kind::Probe => {}
        }
    }

    /// Whether attempts of this kind still mean something: none at doing once the saga goes back or the place waits for it no longer, none
    /// at all once the saga has ended.
    pub fn wants(&mut self, effect: u32, kind: Kind) -> bool {
        match kind {
            Kind::Compensate | Kind::Probe => !self.saga.is_ended(),
            Kind::Do | Kind::Ask => {
                let undone = self.effect(effect).undo != Undo::No;
                let redone = self.is_redone(self.saga.effects[effect as usize].step);
                !undone && !redone && !self.goes_back_or_ended() && self.place_of(effect).is_some()
            }
        }
    }

    /// The newest attempt brought nothing. `not_before`: the participant's own wish.
    pub fn attempt_failed(&mut self, effect: u32, kind: Kind, not_before: Millis, error: &str) {
        let (Some(policy), Deed::Call(call)) = (self.policy(effect, kind), self.deed(effect)) else { return };
        self.stop_clock(effect, kind);
        if self.gates.is_down(&call.participant) {
            // Nothing is used up while nobody could have answered.
            self.fresh_attempts(effect, kind);
            return self.rest(effect, kind);
        }
        let tries = self.tries(effect, kind).clone();
        let left = policy.within.map(|within| within.saturating_sub(tries.used(self.moment.log_time)));
        let counting = tries.count.saturating_sub(tries.forgiven);
        if counting >= policy.attempts || left.is_some_and(|left| left <= 0) {
            return self.used_up(effect, kind, error);
        }
        let wait = wait(&policy, counting, self.command_id(effect, kind, tries.count + 1)).max(not_before);
        let wait = left.map_or(wait, |left| wait.min(left));
        let spot = self.effect(effect).spot();
        match wait {
            0 => self.next_attempt(effect, kind),
            wait => self.arm_after(timers(kind).1, Some(spot), wait),
        }
    }

    /// Nobody could have answered better: the attempt is due again, and waits for its participant (docs/adr/0008-outage-answer.md).
    pub fn give_back(&mut self, effect: u32, kind: Kind) {
        self.stop_clock(effect, kind);
        self.tries(effect, kind).give_back();
    }

    /// The wait is over. The total time may be, too: then this was the last chance for a late answer.
    pub fn backoff_over(&mut self, effect: u32, kind: Kind) {
        let within = self.policy(effect, kind).and_then(|policy| policy.within);
        let now = self.moment.log_time;
        let used = self.tries(effect, kind).used(now);
        if within.is_some_and(|within| within <= used) {
            return self.used_up(effect, kind, "the total time for all attempts is used up");
        }
        self.next_attempt(effect, kind);
    }

    /// Now, or when the saga takes decisions again.
    pub fn next_attempt(&mut self, effect: u32, kind: Kind) {
        if !self.decides(kind) {
            self.rest(effect, kind);
        } else if kind != Kind::Do || self.may_attempt(effect) {
            self.attempt(effect, kind);
        }
    }

    fn used_up(&mut self, effect: u32, kind: Kind, error: &str) {
        let spot = self.effect(effect).spot();
        self.fact(Fact::UsedUp { spot, kind });
        match kind {
            Kind::Compensate => self.undo_news(effect, UndoNews::UsedUp, error),
            Kind::Probe => self.probe_says_nothing(effect, error),
            Kind::Do | Kind::Ask if self.can_probe(effect) => self.probe(effect, Probing::Outcome),
            Kind::Do | Kind::Ask => self.news(effect, News::UsedUp { error: error.to_owned() }),
        }
    }

    /// A person's word, or news that changes all, brings a full set of attempts.
    pub fn fresh_attempts(&mut self, effect: u32, kind: Kind) {
        self.tries(effect, kind).renew();
    }

    /// Nobody asks any more what became of it; what is said all the same is believed.
    pub fn abandon(&mut self, effect: u32) {
        self.stop_clock(effect, Kind::Do);
        self.stop_clock(effect, Kind::Probe);
        self.effect(effect).probing = Probing::No;
    }

    pub fn stop_clock(&mut self, effect: u32, kind: Kind) {
        let spot = self.effect(effect).spot();
        let (clock, backoff) = timers(kind);
        self.disarm(clock, Some(&spot));
        self.disarm(backoff, Some(&spot));
        self.tries(effect, kind).resting = false;
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

//! Timers: armed, disarmed, and what their firing means. One that no longer means anything was disarmed: the list in the saga is the truth.

use sagaline_definition::model::Definition;
use sagaline_schemas::Millis;
use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::saga::{Cause, Effect, PlaceState, Saga, Spot, StepState, Timer, TimerKind, TimerStart};
use crate::turn::Turn;

impl Turn<'_> {
    /// The timer runs from the next Progress on; it replaces one of the same kind.
    pub fn arm_after(&mut self, kind: TimerKind, at: Option<Spot>, duration: Millis) {
        self.arm(kind, at, TimerStart::Waiting { duration });
    }

    /// The timer is due at a time; it replaces one of the same kind.
    pub fn arm_at(&mut self, kind: TimerKind, at: Option<Spot>, due: Millis) {
        // One that is armed while timers fire is due later than this moment: else a moment need never end.
        self.arm(kind, at, TimerStart::Due { at: due.max(self.moment.log_time.saturating_add(1)) });
    }

    fn arm(&mut self, kind: TimerKind, at: Option<Spot>, start: TimerStart) {
        self.disarm(kind, at.as_ref());
        self.saga.timers.push(Timer { kind, at, start });
    }

    /// Now, as the definition's expressions and calendars have it. Another time than the log's in a rehearsal only.
    pub fn world_time(&self) -> Millis {
        let now = self.moment.log_time;
        self.definition.rehearsal.map_or(now, |rehearsal| rehearsal.world_time(self.saga.started_at, now))
    }

    /// The log time of a time of the definition.
    pub fn real_time(&self, world: Millis) -> Millis {
        self.definition.rehearsal.map_or(world, |rehearsal| rehearsal.real_time(self.saga.started_at, world))
    }

    pub fn disarm(&mut self, kind: TimerKind, at: Option<&Spot>) {
        self.saga.timers.retain(|timer| timer.kind != kind || timer.at.as_ref() != at);
    }

    pub fn has_timer(&self, kind: TimerKind, at: Option<&Spot>) -> bool {
        self.saga.timers.iter().any(|timer| timer.kind == kind && timer.at.as_ref() == at)
    }

    pub fn timer(&mut self, kind: TimerKind, at: Option<Spot>) {
        if !self.has_timer(kind, at.as_ref()) {
            return;
        }
        self.disarm(kind, at.as_ref());
        let Some(spot) = at else {
            return match kind {
                TimerKind::Deadline => self.deadline_passed(),
                TimerKind::ProbeBackoff => self.look_again(),
                // What must hold before the end is looked at a last time, now that no time is left.
                TimerKind::Ensure => self.disarm(TimerKind::ProbeBackoff, None),
                // Forgetting removes the saga: the partition's business.
                _ => {}
            };
        };
        let effect = self.saga.effect_at(spot.step, &spot.items, spot.round);
        let place = self.at(&spot);
        match (kind, effect, place) {
            (TimerKind::Attempt, Some(effect), _) => self.attempt_timed_out(effect, Kind::Do),
            (TimerKind::UndoAttempt, Some(effect), _) => self.attempt_timed_out(effect, Kind::Compensate),
            (TimerKind::ProbeAttempt, Some(effect), _) => self.attempt_timed_out(effect, Kind::Probe),
            (TimerKind::Backoff, Some(effect), _) => self.backoff_over(effect, Kind::Do),
            (TimerKind::UndoBackoff, Some(effect), _) => self.backoff_over(effect, Kind::Compensate),
            (TimerKind::ProbeBackoff, Some(effect), _) => self.backoff_over(effect, Kind::Probe),
            (TimerKind::Sleep, _, Some(at)) => self.woke(at),
            (TimerKind::Within, _, Some(at)) => self.wait_timed_out(at),
            (TimerKind::Remind, _, Some(at)) => self.remind(at),
            (TimerKind::Escalate, _, Some(at)) => self.escalate(at),
            (TimerKind::Expected, _, _) => self.fact(Fact::Overdue { step: Some(spot.step) }),
            (TimerKind::AskFact, _, _) => self.ask_for_fact(spot.step),
            (TimerKind::AskTime, _, _) => self.answer_is_late(spot.step),
            // A place that began anew has disarmed its timers; none is left to mean anything.
            _ => {}
        }
    }

    fn attempt_timed_out(&mut self, effect: u32, kind: Kind) {
        let attempt = self.tries(effect, kind).count;
        let spot = self.effect(effect).spot();
        self.fact(Fact::TimedOut { spot, kind, attempt });
        self.attempt_failed(effect, kind, 0, "no answer in time");
    }
}

/// A timer is passed over: the attempt that it stood for is due when a person lets the saga go on; a sleep or wait is over then, a fact
/// is asked for in its time.
pub fn rest_instead(definition: &Definition, saga: &mut Saga, kind: TimerKind, at: Option<&Spot>) {
    saga.timers.retain(|timer| timer.kind != kind || timer.at.as_ref() != at);
    let Some(spot) = at else { return };
    if kind == TimerKind::AskTime {
        return;
    }
    if kind == TimerKind::AskFact {
        let every = definition.facts.get(spot.step as usize).and_then(|fact| Some(fact.ask.as_ref()?.every));
        let again =
            every.map(|every| Timer { kind, at: Some(spot.clone()), start: TimerStart::Waiting { duration: every } });
        return saga.timers.extend(again);
    }
    if let Some(effect) = saga.effect_at(spot.step, &spot.items, spot.round) {
        rest(&mut saga.effects[effect as usize], kind);
    }
    let item = spot.items.first().map_or(0, |item| *item as usize);
    let step = spot.step as usize;
    let Some(StepState::Begun { places }) = saga.steps.get_mut(step).map(|run| &mut run.state) else { return };
    let Some(place) = places.get_mut(item).filter(|place| place.round == spot.round) else { return };
    match kind {
        TimerKind::Sleep => place.state = PlaceState::Known { value: Bytes::from("null") },
        TimerKind::Within => {
            let cause = Cause::TimedOut { step: definition.steps[step].step.clone() };
            place.state = PlaceState::Owed { cause, effect: None };
        }
        _ => {}
    }
}

fn rest(effect: &mut Effect, kind: TimerKind) {
    match kind {
        TimerKind::Attempt | TimerKind::Backoff => effect.tries.resting = true,
        TimerKind::UndoAttempt | TimerKind::UndoBackoff => effect.undo_tries.resting = true,
        TimerKind::ProbeAttempt | TimerKind::ProbeBackoff => effect.probe_tries.resting = true,
        TimerKind::Deadline
        | TimerKind::Forget
        | TimerKind::Sleep
        | TimerKind::Within
        | TimerKind::Remind
        | TimerKind::Escalate
        | TimerKind::Expected
        | TimerKind::Ensure
        | TimerKind::AskFact
        | TimerKind::AskTime => {}
    }
}

//! What a timer's firing means. A timer that no longer means anything was disarmed: the list in the saga is the truth.

use sagaline_definition::model::Definition;
use sagaline_schemas::record::Kind;
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::saga::{Cause, Effect, PlaceState, Saga, Spot, StepState, TimerKind};
use crate::turn::Turn;

impl Turn<'_> {
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

/// A timer is passed over: the attempt that it stood for is due when a person lets the saga go on; a sleep or wait is over then.
pub fn rest_instead(definition: &Definition, saga: &mut Saga, kind: TimerKind, at: Option<&Spot>) {
    saga.timers.retain(|timer| timer.kind != kind || timer.at.as_ref() != at);
    let Some(spot) = at else { return };
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
        | TimerKind::AskFact => {}
    }
}

//! Seats, where a contract limits what its participant has in flight: one for each effect of a saga, one for each fact that it asks for. Whose
//! answer nobody waits for any more gives it back: that is read off the saga, whatever changed it.

use sagaline_definition::model::Definition;
use sagaline_engine::{Asking, Direction, Effect, Probing, Saga, TimerKind, Undo};
use sagaline_schemas::record::Kind;

use crate::command::call_of;
use crate::fold::Partition;
use crate::gates::{Limited, subject_of};
use crate::halt::Halt;
use crate::keys::{self, SeatOf};
use crate::overlay::decode;
use crate::progress::corrupt;
use crate::state::Seat;
use crate::store::Family;

impl Partition {
    pub(crate) fn take_seat(
        &mut self,
        definition: &Definition,
        limited: &Limited,
        saga: &Saga,
        (effect, kind, attempt): (u32, Kind, u32),
    ) -> Result<(), Halt> {
        let Some(call) = call_of(definition, saga, effect) else { return Ok(()) };
        let participant = call.participant.clone();
        self.sit_down(limited, keys::seat(saga.id, effect), Seat { participant, kind, attempt })
    }

    pub(crate) fn take_seat_to_ask(
        &mut self,
        definition: &Definition,
        limited: &Limited,
        saga: &Saga,
        (fact, attempt): (u32, u32),
    ) -> Result<(), Halt> {
        let ask = definition.facts.get(fact as usize).and_then(|clause| clause.ask.as_ref());
        let Some(participant) = ask.map(|ask| ask.participant.clone()) else { return Ok(()) };
        self.sit_down(limited, keys::question_seat(saga.id, fact), Seat { participant, kind: Kind::Ask, attempt })
    }

    /// The gate counts one more since it admitted this one.
    fn sit_down(&mut self, limited: &Limited, key: Vec<u8>, seat: Seat) -> Result<(), Halt> {
        if limited.get(&seat.participant).is_none_or(|limits| limits.in_flight.is_none()) {
            return Ok(());
        }
        // The attempt before, or what is undone now, had one: it is the same.
        if self.over.get(Family::Seats, &key)?.is_some() {
            self.gates.entry(subject_of(&seat.participant)).or_default().leave();
        }
        self.over.write(Family::Seats, key, &seat);
        Ok(())
    }

    /// Whose answer nobody waits for any more gives the seat back.
    pub(crate) fn leave_seats(&mut self, saga: &Saga) -> Result<(), Halt> {
        let prefix = saga.id.as_bytes();
        for (key, seat) in self.over.scan(Family::Seats, prefix, keys::after_prefix(prefix).as_deref(), usize::MAX)? {
            let seat: Seat = decode(Family::Seats, &seat)?;
            let is_awaited = match keys::seat_of(&key).ok_or_else(|| corrupt("seats"))? {
                SeatOf::Effect(effect) => {
                    let effect = saga.effects.get(effect as usize).ok_or_else(|| corrupt("seats"))?;
                    is_awaited(saga, effect, &seat)
                }
                SeatOf::Fact(fact) => question_is_awaited(saga, fact, &seat),
            };
            if !is_awaited {
                self.leave(key, &seat);
            }
        }
        Ok(())
    }

    fn leave(&mut self, key: Vec<u8>, seat: &Seat) {
        self.over.delete(Family::Seats, key);
        let subject = subject_of(&seat.participant);
        self.gates.entry(subject.clone()).or_default().leave();
        self.keep_gate(&subject);
        self.freed.insert(subject);
    }
}

/// Whether the question has no answer, and has not waited too long for one.
fn question_is_awaited(saga: &Saga, fact: u32, seat: &Seat) -> bool {
    let newest = saga.facts.get(fact as usize).filter(|state| state.asked == seat.attempt);
    !saga.is_ended() && newest.is_some_and(|state| state.asking == Asking::Open)
}

/// Whether the attempt is under way, and its answer means something.
fn is_awaited(saga: &Saga, effect: &Effect, seat: &Seat) -> bool {
    let Some(tries) = effect.tries(seat.kind).filter(|tries| tries.count == seat.attempt && !tries.resting) else {
        return false;
    };
    let spot = effect.spot();
    let rests = |kind| saga.timers.iter().any(|timer| timer.kind == kind && timer.at.as_ref() == Some(&spot));
    let goes_back = matches!(saga.direction(), None | Some(Direction::Back { .. } | Direction::Over { .. }));
    tries.count > 0
        && match seat.kind {
            Kind::Compensate => matches!(effect.undo, Undo::Decided | Undo::Sent) && !rests(TimerKind::UndoBackoff),
            Kind::Probe => effect.probing != Probing::No && !rests(TimerKind::ProbeBackoff),
            Kind::Do | Kind::Ask => {
                // Once a probe asks what became of it, no attempt's answer is waited for: the probe must find a seat.
                let open = effect.outcome.is_open() && effect.undo == Undo::No && effect.probing == Probing::No;
                open && !goes_back && !rests(TimerKind::Backoff)
            }
        }
}

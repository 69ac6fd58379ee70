//! Probes: what became of an effect that nobody answered for, and whether the world is as it should be before an end is called by its name.

use sagaline_definition::model::Check;
use sagaline_schemas::Millis;
use sagaline_schemas::record::{Answer, End, Happened, Kind, Probed};
use sagaline_schemas::wire::Bytes;

use crate::fact::Fact;
use crate::ledger::{Change, News, next};
use crate::saga::{Direction, KnownBy, Phase, Probing, Stuck, TimerKind};
use crate::text::shortened;
use crate::turn::{Deed, Turn};

/// The code of a refusal that a probe found out, rather than the participant said.
pub const NEVER_HAPPENED: &str = "NeverHappened";

/// Shortest time between two looks at the world before an end, milliseconds.
const SHORTEST_LOOK: Millis = 1_000;

impl<'a> Turn<'a> {
    pub fn can_probe(&mut self, effect: u32) -> bool {
        matches!(self.deed(effect), Deed::Call(call) if call.probe.is_some())
    }

    /// A full set of probes begins, now or when the saga takes decisions again.
    pub fn probe(&mut self, effect: u32, purpose: Probing) {
        self.effect(effect).probing = purpose;
        self.fresh_attempts(effect, Kind::Probe);
        self.next_attempt(effect, Kind::Probe);
    }

    pub fn probe_answer(&mut self, effect: u32, attempt: u32, answer: Answer) {
        let tries = &self.effect(effect).probe_tries;
        let (newest, of_an_earlier_look) = (tries.count == attempt, attempt <= tries.forgiven);
        let ensures = self.effect(effect).probing == Probing::Ensure;
        match answer {
            // What was found before may have changed since.
            Answer::Probed(_) if ensures && of_an_earlier_look => self.effect(effect).repeats += 1,
            Answer::Probed(said) => self.probed(effect, said),
            Answer::Failed(said) if newest => self.failed(effect, Kind::Probe, &said),
            Answer::Working(said) if newest => self.working(effect, Kind::Probe, said.until),
            _ => self.effect(effect).repeats += 1,
        }
    }

    /// Yes and no settle an open outcome, whatever was asked for; whoever asked before an end has found what there is.
    fn probed(&mut self, effect: u32, said: Probed) {
        let purpose = self.effect(effect).probing;
        self.effect(effect).probed = Some(said.found.clone().unwrap_or_else(|| Bytes::from("null")));
        let news = match said.happened {
            Happened::Yes => Some(News::Succeeded(said.result.unwrap_or_else(|| Bytes::from("null")))),
            Happened::No => {
                Some(News::Refused { code: NEVER_HAPPENED.to_owned(), detail: "its probe says so".to_owned() })
            }
            Happened::Unknown => None,
        };
        let settles = news.filter(|news| {
            let open = self.saga.effects[effect as usize].outcome.is_undecided();
            open && matches!(next(&self.saga.effects[effect as usize].outcome, news.clone()), Change::Became(_))
        });
        self.stop_clock(effect, Kind::Probe);
        self.effect(effect).probing = Probing::No;
        match settles {
            Some(news) => {
                self.effect(effect).known = KnownBy::Probe;
                self.news(effect, news);
            }
            None if purpose == Probing::Outcome => self.probe_says_nothing(effect, "its probe does not know either"),
            None => {}
        }
    }

    /// Probing is over, and nobody knows.
    pub fn probe_says_nothing(&mut self, effect: u32, error: &str) {
        let purpose = self.effect(effect).probing;
        self.stop_clock(effect, Kind::Probe);
        self.effect(effect).probing = Probing::No;
        if purpose != Probing::Ensure {
            self.news(effect, News::UsedUp { error: error.to_owned() });
        }
    }

    /// Whether the saga looks at what must hold before its end.
    pub fn ensures(&self) -> bool {
        matches!(self.saga.phase, Phase::Running { direction: Direction::Ensure { .. } })
    }

    pub fn begin_to_ensure(&mut self, check: &Check) {
        if check.within > 0 && !self.has_timer(TimerKind::Ensure, None) {
            self.arm_after(TimerKind::Ensure, None, check.within);
        }
        self.probe_for_end(check);
    }

    /// Every effect of the steps that the check names is asked after anew: where a step ran more than once, its newest, which is what the check sees.
    fn probe_for_end(&mut self, check: &Check) {
        for step in &check.probes {
            let repeated = self.definition.steps[*step].for_each.is_some();
            for effect in self.saga.newest_effects(*step as u32, repeated).into_iter().flatten() {
                if self.effect(effect).tries.count > 0 && self.can_probe(effect) {
                    self.effect(effect).probed = None;
                    self.probe(effect, Probing::Ensure);
                }
            }
        }
    }

    /// Once all probes are answered: the end, or another look later, or a person.
    pub fn look_at_end(&mut self) {
        let Phase::Running { direction: Direction::Ensure { end, cause } } = self.saga.phase.clone() else { return };
        if cause.is_none() {
            if !self.is_uncontradicted() {
                return;
            }
            self.react();
            if !self.ensures() || self.saga.held.is_some() {
                return;
            }
        }
        let Some(check) = self.check_of(end) else { return self.end(end, cause) };
        for effect in 0..self.saga.effects.len() as u32 {
            if self.effect(effect).probe_tries.resting {
                self.attempt(effect, Kind::Probe);
            }
        }
        if self.saga.effects.iter().any(|effect| effect.probing != Probing::No) {
            return;
        }
        let names = self.names();
        match check.condition.holds(&names) {
            Ok(true) => self.end(end, cause),
            // A probe that brought nothing leaves a condition without a value: the next one may bring more.
            Ok(false) | Err(_) if self.has_timer(TimerKind::Ensure, None) => self.look_again_later(check),
            Ok(false) => self.ensure_fails(format!("{} does not hold", check.condition.source())),
            Err(error) => self.ensure_fails(error.to_string()),
        }
    }

    fn check_of(&self, end: End) -> Option<&'a Check> {
        let ensure = &self.definition.ensure;
        if end == End::Completed { ensure.completed.as_ref() } else { ensure.compensated.as_ref() }
    }

    /// The next look after a tenth of the time that is allowed.
    fn look_again_later(&mut self, check: &Check) {
        if !self.has_timer(TimerKind::ProbeBackoff, None) {
            self.arm_after(TimerKind::ProbeBackoff, None, (check.within / 10).max(SHORTEST_LOOK));
        }
    }

    /// A person wants everything looked at once more, with all the time that is allowed.
    pub fn ensure_again(&mut self) {
        if let Phase::Running { direction: Direction::Ensure { end, .. } } = &self.saga.phase
            && let Some(check) = self.check_of(*end)
        {
            self.begin_to_ensure(check);
        }
    }

    /// The time for another look has come.
    pub fn look_again(&mut self) {
        if let Phase::Running { direction: Direction::Ensure { end, .. } } = &self.saga.phase
            && let Some(check) = self.check_of(*end)
        {
            self.probe_for_end(check);
        }
    }

    fn ensure_fails(&mut self, found: String) {
        self.disarm(TimerKind::Ensure, None);
        self.fact(Fact::EnsureFailed { found: shortened(found.clone()) });
        self.become_stuck(Stuck::Ensure { found: shortened(found) });
    }
}

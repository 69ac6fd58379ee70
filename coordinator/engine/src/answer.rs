//! What a participant's answer does to the ledger, and what the saga makes of the change.

use sagaline_schemas::record::{Answer, Failed, Kind, Mark, MarkKind};

use crate::attempts::{LONGEST_PATIENCE, timers};
use crate::fact::{AnswerKind, Fact};
use crate::ledger::{Change, News, Outcome, Undo, UndoChange, UndoNews, next, next_undo};
use crate::saga::{Direction, Phase, Probing, Stuck};
use crate::turn::{Deed, Rejected, Turn};

impl Turn<'_> {
    pub fn answer(&mut self, effect: u32, kind: Kind, attempt: u32, answer: Answer, instance: String) {
        let commands =
            self.saga.effects.get(effect as usize).and_then(|of| of.tries(kind)).map_or(0, |tries| tries.count);
        if !(1..=commands).contains(&attempt) || matches!(self.deed(effect), Deed::Child(_)) {
            let text = format!("there was no command of kind {kind:?} with attempt {attempt}");
            self.out.rejected = Some(Rejected::Answer(text));
            return;
        }
        if !fits(kind, &answer) {
            let text = format!("{} is no answer to a command of kind {kind:?}", answer_kind(&answer).0);
            self.out.rejected = Some(Rejected::Answer(text));
            return;
        }
        let newest = self.tries(effect, kind).count == attempt;
        let spot = self.effect(effect).spot();
        let (facts, repeats) = (self.out.facts.len(), self.effect(effect).repeats);
        self.fact(Fact::Answered { spot, kind, attempt, answer: answer_kind(&answer).1, instance });
        match (kind, answer) {
            (Kind::Compensate, answer) => self.undo_answer(effect, newest, answer),
            (Kind::Probe, answer) => self.probe_answer(effect, attempt, answer),
            (Kind::Do | Kind::Ask, answer) => self.do_answer(effect, newest, answer),
        }
        if self.effect(effect).repeats > repeats {
            // Counted, and no more: a history must not grow with every repeat.
            self.out.facts.truncate(facts);
        }
    }

    fn do_answer(&mut self, effect: u32, newest: bool, answer: Answer) {
        match answer {
            Answer::Succeeded(said) => self.news(effect, News::Succeeded(said.result)),
            Answer::Refused(said) => self.news(effect, News::Refused { code: said.code, detail: said.detail }),
            Answer::Mark(Mark { mark: MarkKind::Forgotten }) => self.news(effect, News::Forgotten),
            Answer::Failed(said) if newest => self.failed(effect, Kind::Do, &said),
            Answer::Working(said) if newest => self.working(effect, Kind::Do, said.until),
            _ => self.effect(effect).repeats += 1,
        }
    }

    fn undo_answer(&mut self, effect: u32, newest: bool, answer: Answer) {
        match answer {
            Answer::Compensated(said) => self.undo_news(effect, UndoNews::Compensated(said.result), ""),
            Answer::NothingThere(_) => self.undo_news(effect, UndoNews::NothingThere, ""),
            Answer::Mark(Mark { mark: MarkKind::Forgotten }) => {
                self.undo_news(effect, UndoNews::UsedUp, "the participant no longer remembers the effect");
            }
            Answer::Failed(said) if newest => self.failed(effect, Kind::Compensate, &said),
            Answer::Working(said) if newest => self.working(effect, Kind::Compensate, said.until),
            _ => self.effect(effect).repeats += 1,
        }
    }

    /// The newest attempt says that it brought nothing. While the wait for the next one runs, it has said so before.
    pub fn failed(&mut self, effect: u32, kind: Kind, said: &Failed) {
        if !self.awaits_answer(effect, kind) {
            self.effect(effect).repeats += 1;
            return;
        }
        if said.outage {
            return self.give_back(effect, kind);
        }
        let not_before = said.retry_after.unwrap_or(0).clamp(0, LONGEST_PATIENCE);
        self.attempt_failed(effect, kind, not_before, &said.error);
    }

    /// The attempt takes longer: its clock moves.
    pub fn working(&mut self, effect: u32, kind: Kind, until: i64) {
        if !self.awaits_answer(effect, kind) {
            self.effect(effect).repeats += 1;
            return;
        }
        let now = self.moment.log_time;
        let within = self.policy(effect, kind).and_then(|policy| policy.within);
        let left = within.map_or(i64::MAX, |within| within.saturating_sub(self.tries(effect, kind).used(now)));
        let (total, longest) = (now.saturating_add(left), now.saturating_add(LONGEST_PATIENCE));
        let spot = self.effect(effect).spot();
        self.arm_at(timers(kind).0, Some(spot), until.min(total).min(longest));
    }

    /// Whether the newest attempt is under way, and its answer means something.
    fn awaits_answer(&mut self, effect: u32, kind: Kind) -> bool {
        let of = self.effect(effect);
        let open = match kind {
            Kind::Compensate => matches!(of.undo, Undo::Decided | Undo::Sent),
            Kind::Probe => of.probing != Probing::No,
            Kind::Do | Kind::Ask => of.outcome.is_open() && of.probing == Probing::No,
        };
        let spot = of.spot();
        open && self.wants(effect, kind)
            && !self.tries(effect, kind).resting
            && !self.has_timer(timers(kind).1, Some(&spot))
    }

    /// The ledger's table decides; then the saga does what follows from the change.
    pub fn news(&mut self, effect: u32, news: News) {
        match next(&self.effect(effect).outcome, news) {
            Change::Counted | Change::ClockBegins | Change::NextAttempt => self.effect(effect).repeats += 1,
            Change::Became(outcome) => {
                self.effect(effect).outcome = outcome.clone();
                self.stop_clock(effect, Kind::Do);
                self.stop_clock(effect, Kind::Probe);
                self.effect(effect).probing = Probing::No;
                self.became(effect, outcome);
            }
        }
    }

    fn became(&mut self, effect: u32, outcome: Outcome) {
        match outcome {
            Outcome::Decided | Outcome::Sent => {}
            Outcome::Succeeded { .. } => match self.effect(effect).undo {
                Undo::No => self.step_succeeded(effect),
                Undo::NothingThere => self.late_success(effect),
                Undo::Listed | Undo::Decided | Undo::Sent | Undo::Compensated { .. } | Undo::UsedUp => {}
            },
            Outcome::Refused { code, .. } => match self.effect(effect).undo {
                Undo::No => self.step_refused(effect, code),
                Undo::Listed => self.effect(effect).undo = Undo::No,
                Undo::Decided | Undo::Sent | Undo::Compensated { .. } | Undo::NothingThere | Undo::UsedUp => {}
            },
            Outcome::Unknown { error } => {
                if self.effect(effect).undo == Undo::No {
                    self.step_failed(effect, error);
                }
            }
            Outcome::Contradicted { .. } => self.contradicted(effect),
        }
    }

    /// Both are kept. Where the saga goes or went back it is listed: it may stand. Else a person says first what is true.
    fn contradicted(&mut self, effect: u32) {
        if self.went_back() && self.compensable(effect) && self.effect(effect).undo == Undo::No {
            self.effect(effect).undo = Undo::Listed;
        }
        self.become_stuck(Stuck::Contradiction { effect });
    }

    /// It was said that there was nothing to undo. While the saga undoes, or is about to end undone, it is undone again; else a person
    /// decides.
    fn late_success(&mut self, effect: u32) {
        if self.is_closed() {
            return;
        }
        self.effect(effect).undo = Undo::Listed;
        self.fresh_attempts(effect, Kind::Compensate);
        match &self.saga.phase {
            Phase::Running { direction: Direction::Back { .. } | Direction::Aside { .. } } => {}
            Phase::Running { direction: Direction::Ensure { cause: Some(cause), .. } } => self.turn_back(cause.clone()),
            Phase::Running { .. } | Phase::Stuck { .. } | Phase::Ended { .. } => {
                self.become_stuck(Stuck::LateSuccess { effect });
            }
        }
    }

    /// The same for the undoing.
    pub fn undo_news(&mut self, effect: u32, news: UndoNews, error: &str) {
        let happened = matches!(self.effect(effect).outcome, Outcome::Succeeded { .. } | Outcome::Contradicted { .. });
        let lie = happened && news == UndoNews::NothingThere;
        let news = if lie { UndoNews::UsedUp } else { news };
        match next_undo(&self.effect(effect).undo, news) {
            UndoChange::Counted | UndoChange::ClockBegins | UndoChange::NextAttempt => self.effect(effect).repeats += 1,
            UndoChange::Became(undo) => {
                self.stop_clock(effect, Kind::Compensate);
                self.effect(effect).undo = undo.clone();
                match undo {
                    Undo::UsedUp if lie => self.become_stuck(Stuck::LateSuccess { effect }),
                    Undo::UsedUp => self.become_stuck(Stuck::Compensation { effect, error: error.to_owned() }),
                    Undo::Compensated { .. } | Undo::NothingThere => self.undone(effect),
                    Undo::No | Undo::Listed | Undo::Decided | Undo::Sent => {}
                }
            }
        }
    }
}

/// Which answers a command can have.
pub(crate) fn fits(kind: Kind, answer: &Answer) -> bool {
    match (kind, answer) {
        (_, Answer::Failed(_) | Answer::Working(_) | Answer::Mark(_)) => true,
        (Kind::Do, Answer::Succeeded(_) | Answer::Refused(_)) => true,
        (Kind::Do, Answer::Compensated(_) | Answer::NothingThere(_) | Answer::Probed(_)) => false,
        (Kind::Compensate, Answer::Compensated(_) | Answer::NothingThere(_)) => true,
        (Kind::Compensate, Answer::Succeeded(_) | Answer::Refused(_) | Answer::Probed(_)) => false,
        (Kind::Probe, answer) => matches!(answer, Answer::Probed(_)),
        (Kind::Ask, answer) => matches!(answer, Answer::Succeeded(_) | Answer::Refused(_)),
    }
}

pub(crate) fn answer_kind(answer: &Answer) -> (&'static str, AnswerKind) {
    match answer {
        Answer::Succeeded(_) => ("Succeeded", AnswerKind::Succeeded),
        Answer::Refused(said) => ("Refused", AnswerKind::Refused { code: said.code.clone() }),
        Answer::Failed(said) if said.outage => ("Failed", AnswerKind::Unavailable { error: said.error.clone() }),
        Answer::Failed(said) => ("Failed", AnswerKind::Failed { error: said.error.clone() }),
        Answer::Working(said) => ("Working", AnswerKind::Working { until: said.until }),
        Answer::Compensated(_) => ("Compensated", AnswerKind::Compensated),
        Answer::NothingThere(_) => ("NothingThere", AnswerKind::NothingThere),
        Answer::Probed(said) => ("Probed", AnswerKind::Probed { happened: said.happened }),
        Answer::Mark(said) => ("Mark", AnswerKind::Marked { mark: format!("{:?}", said.mark) }),
    }
}

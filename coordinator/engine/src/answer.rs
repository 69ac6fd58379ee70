//! What a participant's answer does to the ledger, and what the saga makes of the change.

use sagaline_schemas::record::{Answer, Kind, Mark, MarkKind};

use crate::attempts::{LONGEST_PATIENCE, timers};
use crate::fact::{AnswerKind, Fact};
use crate::ledger::{Change, News, Outcome, Undo, UndoChange, UndoNews, next, next_undo};
use crate::saga::{Cause, Stuck};
use crate::turn::{Rejected, Turn};

impl Turn<'_> {
    pub fn answer(&mut self, effect: u32, kind: Kind, attempt: u32, answer: Answer, instance: String) {
        if !fits(kind, &answer) {
            let text = format!("{} is no answer to a command of kind {kind:?}", answer_kind(&answer).0);
            self.out.rejected = Some(Rejected::Answer(text));
            return;
        }
        let newest = self.tries(effect, kind).count == attempt;
        let spot = self.spot(effect);
        let (facts, repeats) = (self.out.facts.len(), self.effect(effect).repeats);
        self.fact(Fact::Answered { spot, kind, attempt, answer: answer_kind(&answer).1, instance });
        match (kind, answer) {
            (Kind::Compensate, answer) => self.undo_answer(effect, newest, answer),
            (Kind::Do | Kind::Probe | Kind::Ask, answer) => self.do_answer(effect, newest, answer),
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
            Answer::Mark(Mark { mark: MarkKind::Forgotten }) => self.forgotten(effect),
            Answer::Failed(said) if newest => self.failed(effect, Kind::Do, said.retry_after, &said.error),
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
            Answer::Failed(said) if newest => self.failed(effect, Kind::Compensate, said.retry_after, &said.error),
            Answer::Working(said) if newest => self.working(effect, Kind::Compensate, said.until),
            _ => self.effect(effect).repeats += 1,
        }
    }

    fn forgotten(&mut self, effect: u32) {
        self.news(effect, News::Forgotten);
    }

    /// The newest attempt says that it brought nothing. While the wait for the next one runs, it has said so before.
    fn failed(&mut self, effect: u32, kind: Kind, retry_after: Option<i64>, error: &str) {
        let open = match kind {
            Kind::Compensate => next_undo(&self.effect(effect).undo, UndoNews::Failed) == UndoChange::NextAttempt,
            Kind::Do | Kind::Probe | Kind::Ask => {
                next(&self.effect(effect).outcome, News::Failed) == Change::NextAttempt
            }
        };
        let waits = self.has_timer(timers(kind).1, Some(effect)) || self.tries(effect, kind).resting;
        if !open || waits || !self.wants(kind) {
            self.effect(effect).repeats += 1;
            return;
        }
        let not_before = retry_after.unwrap_or(0).clamp(0, LONGEST_PATIENCE);
        self.attempt_failed(effect, kind, not_before, error);
    }

    /// The attempt takes longer: its clock moves.
    fn working(&mut self, effect: u32, kind: Kind, until: i64) {
        let open = match kind {
            Kind::Compensate => matches!(self.effect(effect).undo, Undo::Decided | Undo::Sent),
            Kind::Do | Kind::Probe | Kind::Ask => self.effect(effect).outcome.is_open(),
        };
        let (clock, backoff) = timers(kind);
        let waits = self.has_timer(backoff, Some(effect)) || self.tries(effect, kind).resting;
        if !open || waits || !self.wants(kind) {
            self.effect(effect).repeats += 1;
            return;
        }
        let begun = self.tries(effect, kind).begun;
        let total = begun
            .zip(self.policy(effect, kind).within)
            .map_or(i64::MAX, |(begun, within)| begun.saturating_add(within));
        let longest = self.moment.log_time.saturating_add(LONGEST_PATIENCE);
        self.arm_at(clock, Some(effect), until.min(total).min(longest));
    }

    /// The ledger's table decides; then the saga does what follows from the change.
    pub fn news(&mut self, effect: u32, news: News) {
        match next(&self.effect(effect).outcome, news) {
            Change::Counted | Change::ClockBegins | Change::NextAttempt => self.effect(effect).repeats += 1,
            Change::Became(outcome) => {
                self.effect(effect).outcome = outcome.clone();
                self.stop_clock(effect, Kind::Do);
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

    /// Both are kept, and it is listed, if the saga goes or went back: it may stand.
    fn contradicted(&mut self, effect: u32) {
        let back = self.goes_back_or_ended() && !self.is_closed();
        if back && self.compensable(effect) && self.effect(effect).undo == Undo::No {
            self.effect(effect).undo = Undo::Listed;
        }
        self.become_stuck(Stuck::Contradiction { effect });
    }

    /// It was said that there was nothing to undo. While the saga goes back it is undone again; else a person decides.
    fn late_success(&mut self, effect: u32) {
        if self.is_closed() {
            return;
        }
        self.effect(effect).undo = Undo::Listed;
        self.fresh_attempts(effect, Kind::Compensate);
        if !self.saga.goes_back() {
            self.become_stuck(Stuck::LateSuccess { effect });
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

    pub fn stop_clock(&mut self, effect: u32, kind: Kind) {
        let (clock, backoff) = timers(kind);
        self.disarm(clock, Some(effect));
        self.disarm(backoff, Some(effect));
        self.tries(effect, kind).resting = false;
    }

    pub fn cause_refused(&mut self, effect: u32, code: String) -> Cause {
        Cause::Refused { step: self.step_of(effect).step.clone(), code }
    }

    pub fn cause_failed(&mut self, effect: u32, error: String) -> Cause {
        Cause::Failed { step: self.step_of(effect).step.clone(), error }
    }
}

/// Which answers a command can have.
fn fits(kind: Kind, answer: &Answer) -> bool {
    match (kind, answer) {
        (_, Answer::Failed(_) | Answer::Working(_) | Answer::Mark(_)) => true,
        (Kind::Do, Answer::Succeeded(_) | Answer::Refused(_)) => true,
        (Kind::Do, Answer::Compensated(_) | Answer::NothingThere(_) | Answer::Probed(_)) => false,
        (Kind::Compensate, Answer::Compensated(_) | Answer::NothingThere(_)) => true,
        (Kind::Compensate, Answer::Succeeded(_) | Answer::Refused(_) | Answer::Probed(_)) => false,
        (Kind::Probe | Kind::Ask, _) => false,
    }
}

fn answer_kind(answer: &Answer) -> (&'static str, AnswerKind) {
    match answer {
        Answer::Succeeded(_) => ("Succeeded", AnswerKind::Succeeded),
        Answer::Refused(said) => ("Refused", AnswerKind::Refused { code: said.code.clone() }),
        Answer::Failed(said) => ("Failed", AnswerKind::Failed { error: said.error.clone() }),
        Answer::Working(said) => ("Working", AnswerKind::Working { until: said.until }),
        Answer::Compensated(_) => ("Compensated", AnswerKind::Compensated),
        Answer::NothingThere(_) => ("NothingThere", AnswerKind::NothingThere),
        Answer::Probed(_) => ("Probed", AnswerKind::Marked { mark: "probed".to_owned() }),
        Answer::Mark(said) => ("Mark", AnswerKind::Marked { mark: format!("{:?}", said.mark) }),
    }
}

//! Waiting: for time, for an event, for a condition. An event counts whenever it comes: before the wait it lies in the mailbox.

use sagaline_definition::Expr;
use sagaline_definition::model::{Decide, Patience, Sleep, Until, Verb, Wait};
use sagaline_schemas::Value;
use sagaline_schemas::wire::Bytes;

use crate::calendar;
use crate::fact::Fact;
use crate::loops;
use crate::saga::{Cause, Letter, PlaceState, Spot, TimerKind};
use crate::turn::{At, Rejected, Turn};

impl Turn<'_> {
    /// A named decision: taken once, exhaustive, recorded.
    pub fn decide(&mut self, at: At, decide: &Decide) {
        for arm in &decide.arms {
            let names = self.names_at(at);
            match arm.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&names)) {
                Ok(true) => return self.settle(at, PlaceState::Known { value: Bytes(arm.is.to_json()) }),
                Ok(false) => {}
                Err(error) => return self.stuck_at_expression(Some(at.step), error.to_string()),
            }
        }
        self.stuck_at_expression(Some(at.step), "no case of the decision holds".to_owned());
    }

    pub fn begin_sleep(&mut self, at: At, sleep: &Sleep) {
        let until = match self.wake_at(at, sleep) {
            Ok(until) => until,
            Err(error) => return self.stuck_at_expression(Some(at.step), error),
        };
        let spot = self.await_something(at);
        match (until, sleep) {
            (_, Sleep::For(duration)) => self.arm_after(TimerKind::Sleep, Some(spot), *duration),
            (Some(until), _) if until > self.world_time() => {
                self.arm_at(TimerKind::Sleep, Some(spot), self.real_time(until));
            }
            _ => self.settle(at, PlaceState::Known { value: Bytes::from("null") }),
        }
    }

    /// When a sleep ends that has no fixed length, in the definition's time.
    fn wake_at(&self, at: At, sleep: &Sleep) -> Result<Option<i64>, String> {
        let now = self.world_time();
        let calendar =
            |name: &String| self.definition.calendars.get(name).ok_or_else(|| format!("there is no calendar {name:?}"));
        Ok(match sleep {
            Sleep::For(_) => None,
            Sleep::Until(until) => {
                let names = self.names_at(at);
                let value = until.eval(&names).map_err(|error| error.to_string())?;
                Some(calendar::instant(&value).map_err(|error| format!("{}: {error}", until.source()))?)
            }
            Sleep::Window(name) => Some(calendar::next_window(calendar(name)?, now)?),
            Sleep::Workdays { calendar: name, days } => Some(calendar::after_workdays(calendar(name)?, now, *days)?),
        })
    }

    fn await_something(&mut self, at: At) -> Spot {
        let since = self.moment.log_time;
        self.place(at).state = PlaceState::Awaiting { since };
        let spot = self.spot(at);
        self.fact(Fact::Awaits { spot: spot.clone() });
        spot
    }

    pub fn begin_wait(&mut self, at: At, patience: &Patience) {
        let spot = self.await_something(at);
        self.be_patient(&spot, patience);
    }

    /// A condition that may take no time is true now, or never.
    pub fn begin_until(&mut self, at: At, until: &Until) {
        let spot = self.await_something(at);
        // Before the first look: a condition that has no value yet must not be awaited for ever once it has one.
        self.be_patient(&spot, &until.patience);
        if !self.look_at_wait(at) && self.saga.goes_forward() && until.patience.within == 0 {
            self.wait_timed_out(at);
        }
    }

    pub fn be_patient(&mut self, spot: &Spot, patience: &Patience) {
        self.arm_after(TimerKind::Within, Some(spot.clone()), patience.within);
        if let Some(remind) = patience.remind {
            self.arm_after(TimerKind::Remind, Some(spot.clone()), remind);
        }
    }

    /// Whether what is awaited is there.
    pub fn look_at_wait(&mut self, at: At) -> bool {
        match &self.step(at.step).verb {
            Verb::Wait(wait) => self.look_for_letter(at, wait),
            Verb::Until(until) => {
                let names = self.names_at(at);
                match until.condition.holds(&names) {
                    Ok(true) => self.settle(at, PlaceState::Known { value: Bytes::from("null") }),
                    Ok(false) => return false,
                    Err(error) => self.stuck_at_expression(Some(at.step), error.to_string()),
                }
                true
            }
            Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Approve(_) | Verb::Decide(_) => false,
        }
    }

    /// The oldest event that the step wants. What tells of an effect that is undone is let go.
    fn look_for_letter(&mut self, at: At, wait: &Wait) -> bool {
        if wait.via.is_some() {
            self.let_go_of_old_letters(at, wait);
        }
        for number in 0..self.saga.letters.len() {
            let letter = &self.saga.letters[number];
            if letter.step != at.step {
                continue;
            }
            let event = Value::parse(&letter.event).unwrap_or_default();
            let names = self.names_at(at).with("event", event);
            match wait.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&names)) {
                Ok(true) => {
                    let letter = self.saga.letters.remove(number);
                    self.settle(at, PlaceState::Known { value: letter.event });
                    return true;
                }
                Ok(false) => {}
                Err(error) => {
                    self.stuck_at_expression(Some(at.step), error.to_string());
                    return true;
                }
            }
        }
        false
    }

    fn let_go_of_old_letters(&mut self, at: At, wait: &Wait) {
        let is_old = |letter: &Letter| {
            letter.step == at.step && self.names_what_was_undone(wait, &Value::parse(&letter.event).unwrap_or_default())
        };
        let kept = self.saga.letters.iter().filter(|letter| !is_old(letter)).cloned().collect();
        self.saga.letters = kept;
    }

    /// An event comes. One that its step wants, or may want yet, waits in the mailbox; one that nobody wants any more is let go.
    pub fn letter(&mut self, step: u32, event: Bytes) {
        let refused = match self.why_not_wanted(step, &event) {
            Ok(None) => self.keep_letter(step, event).err(),
            Ok(Some(_)) => None,
            Err(wrong) => Some(wrong),
        };
        self.out.rejected = refused.map(Rejected::Event);
    }

    /// None: it is wanted, or may be. Some: nobody wants it, which is nobody's fault.
    ///
    /// # Errors
    /// When no step awaits such a thing at all, or the event is of another shape than the step's condition or type expects. What the
    /// condition does not want need not be of the type: a topic may carry other events, too.
    pub fn why_not_wanted(&self, step: u32, event: &Bytes) -> Result<Option<String>, String> {
        let Some(Verb::Wait(wait)) = self.definition.steps.get(step as usize).map(|step| &step.verb) else {
            return Err("no step of this saga awaits such an event".to_owned());
        };
        if self.saga.is_ended() {
            return Err("the saga has ended".to_owned());
        }
        if self.goes_back_or_ended() {
            return Ok(Some("the saga goes forward no more".to_owned()));
        }
        let settled = self.saga.steps.get(step as usize).is_some_and(|run| run.state.is_settled());
        if settled && !self.is_redone(step) && !loops::may_run_again(self.definition, step) {
            return Ok(Some("the step is done".to_owned()));
        }
        let about_event_only = |condition: &&Expr| condition.names().iter().all(|name| name == "event");
        let event = Value::parse(event).unwrap_or_default();
        if let Some(condition) = wait.condition.as_ref().filter(about_event_only) {
            let names = self.names().with("event", event.clone());
            if !condition.holds(&names).map_err(|error| error.to_string())? {
                return Ok(Some(format!("{} does not hold for it", condition.source())));
            }
        }
        if self.names_what_was_undone(wait, &event) {
            return Ok(Some("it names what was undone since".to_owned()));
        }
        let fits = wait.shape.as_ref().map_or(Ok(()), |shape| shape.check(&event));
        fits.map_err(|mismatch| format!("wait.type: {mismatch}"))?;
        Ok(None)
    }

    /// Whether an event names the saga by what a step returned that has begun anew since, and returned something else: it tells of an effect
    /// that is undone, and must not be taken for news of the one that came after it.
    fn names_what_was_undone(&self, wait: &Wait, event: &Value) -> bool {
        let Some(alias) = &wait.via else { return false };
        let named = wait.key.eval(&self.names().with("event", event.clone()));
        let Ok(Value::String(value)) = named else { return false };
        let was = self.saga.aliases.iter().any(|bound| bound.alias == *alias && bound.value == value);
        was && !self.may_be_called(alias, &value)
    }

    /// Into the mailbox.
    ///
    /// # Errors
    /// When it is full.
    pub fn keep_letter(&mut self, step: u32, event: Bytes) -> Result<(), String> {
        let most = self.limits.max_mailbox;
        if self.saga.letters.len() >= most as usize {
            return Err(format!("{most} events wait for this saga already, the settings allow no more"));
        }
        let came_at = self.moment.log_time;
        self.saga.letters.push(Letter { step, event, came_at });
        self.fact(Fact::LetterCame { step });
        Ok(())
    }

    /// A sleep is over.
    pub fn woke(&mut self, at: At) {
        if matches!(self.place(at).state, PlaceState::Awaiting { .. }) {
            self.settle(at, PlaceState::Known { value: Bytes::from("null") });
        }
    }

    /// A wait's time is up.
    pub fn wait_timed_out(&mut self, at: At) {
        if !matches!(self.place(at).state, PlaceState::Awaiting { .. } | PlaceState::Asking { .. }) {
            return;
        }
        let spot = self.spot(at);
        self.fact(Fact::WaitedInVain { spot });
        let step = self.step(at.step).step.clone();
        self.owe(at, Cause::TimedOut { step }, None);
    }

    /// Somebody is reminded, again and again.
    pub fn remind(&mut self, at: At) {
        let remind = match &self.step(at.step).verb {
            Verb::Wait(wait) => wait.patience.remind,
            Verb::Until(until) => until.patience.remind,
            Verb::Approve(approve) => approve.patience.remind,
            Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Decide(_) => None,
        };
        let spot = self.spot(at);
        let waits = matches!(self.place(at).state, PlaceState::Awaiting { .. } | PlaceState::Asking { .. });
        if let Some(remind) = remind.filter(|_| waits) {
            self.fact(Fact::Reminded { spot: spot.clone() });
            self.arm_after(TimerKind::Remind, Some(spot), remind);
        }
    }
}

//! Facts: what is known of the world while a saga lives. The highest version wins; news that is older is recognised, not believed.

use std::borrow::Cow;

use sagaline_definition::expr::Names;
use sagaline_definition::model::FactClause;
use sagaline_schemas::record::{Answer, Kind};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Millis, Value, wire_struct};

use crate::answer::{answer_kind, fits};
use crate::fact::Fact;
use crate::saga::{Asking, FactState, Spot, TimerKind};
use crate::turn::{Outgoing, Rejected, Turn};

/// How long an answer about a fact has a seat among what its participant has in flight, milliseconds. One that comes later still counts.
const LONGEST_QUESTION: Millis = 30_000;

wire_struct! {
    /// News of one fact.
    pub struct Told {
        /// What it is now, canonical JSON.
        pub value: Bytes,
        /// Its version, where it has one.
        pub seq: Option<i64>,
        /// Log time when it became known: its age counts from then, whoever hears of it later.
        pub at: Millis,
    }
}

/// What an event says of a fact that came at a time. None: it is not about it.
///
/// # Errors
/// When an expression has no value, or one of the wrong type.
pub fn told(clause: &FactClause, event: &Value, at: Millis) -> Result<Option<Told>, String> {
    let names = One { name: "event", value: event };
    if let Some(condition) = &clause.condition
        && !condition.holds(&names).map_err(|error| error.to_string())?
    {
        return Ok(None);
    }
    let Some(value) = &clause.value else { return Ok(None) };
    let value = value.eval(&names).map_err(|error| error.to_string())?;
    clause.admits(&value)?;
    let value = Bytes(value.to_json());
    let seq = match &clause.seq {
        None => None,
        Some(seq) => match seq.eval(&names).map_err(|error| error.to_string())? {
            Value::Int(seq) => Some(seq),
            other => return Err(format!("{}: a version is a whole number, this is {}", seq.source(), other.kind())),
        },
    };
    Ok(Some(Told { value, seq, at }))
}

/// The only name that an expression sees.
struct One<'a> {
    name: &'a str,
    value: &'a Value,
}

impl Names for One<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == self.name).then_some(Cow::Borrowed(self.value))
    }
}

impl Turn<'_> {
    /// Facts as they are when the saga begins.
    pub fn begin_facts(&mut self, told: Vec<(u32, Told)>) {
        let initial = |clause: &FactClause| FactState {
            value: Bytes(clause.initial.to_json()),
            seq: None,
            told_at: None,
            by: None,
            asked: 0,
            asking: Asking::Idle,
        };
        self.saga.facts = self.definition.facts.iter().map(initial).collect();
        self.saga.reactions = vec![false; self.definition.react.len()];
        for (fact, told) in told {
            self.take_told(fact, told, None);
        }
        for (number, clause) in (0..).zip(&self.definition.facts) {
            if clause.ask.is_some() {
                self.ask_for_fact(number);
            }
        }
    }

    /// `by`: a person says so; without a version it holds until a higher one comes.
    pub fn take_told(&mut self, fact: u32, told: Told, by: Option<String>) {
        if self.saga.is_ended() {
            return;
        }
        let Some(state) = self.saga.facts.get_mut(fact as usize) else { return };
        let stale = told.seq.zip(state.seq).is_some_and(|(news, known)| news <= known);
        if stale {
            return self.fact(Fact::StaleNews { fact });
        }
        state.value = told.value;
        state.seq = told.seq.or(state.seq);
        state.told_at = Some(told.at);
        state.by.clone_from(&by);
        self.fact(Fact::Told { fact, by });
    }

    /// A participant is asked: now, or as soon as it takes the question; and so long after that again.
    pub fn ask_for_fact(&mut self, fact: u32) {
        let Some(ask) = self.definition.facts.get(fact as usize).and_then(|clause| clause.ask.as_ref()) else { return };
        let spot = Spot { step: fact, items: vec![], round: 0 };
        self.disarm(TimerKind::AskTime, Some(&spot));
        let input = match ask.with.eval(&self.names()) {
            Ok(input) => Bytes(input.to_json()),
            Err(error) => {
                self.arm_after(TimerKind::AskFact, Some(spot), ask.every);
                return self.stuck_at_expression(None, error.to_string());
            }
        };
        if !self.gates.admit_question(&ask.participant) {
            return self.wait_to_ask(fact, &ask.participant);
        }
        self.arm_after(TimerKind::AskFact, Some(spot.clone()), ask.every);
        if ask.every > LONGEST_QUESTION {
            // Else the next asking comes first.
            self.arm_after(TimerKind::AskTime, Some(spot), LONGEST_QUESTION);
        }
        let Some(state) = self.saga.facts.get_mut(fact as usize) else { return };
        state.asked += 1;
        state.asking = Asking::Open;
        let attempt = state.asked;
        self.out.out.push(Outgoing::Ask { fact, attempt, input });
    }

    /// It keeps its place: from when it was due first.
    fn wait_to_ask(&mut self, fact: u32, participant: &str) {
        let now = self.moment.log_time;
        let Some(state) = self.saga.facts.get_mut(fact as usize) else { return };
        let (since, open) = match state.asking {
            Asking::Waits { since, open } => (since, open),
            asking @ (Asking::Idle | Asking::Open | Asking::Late) => (now, asking.is_open()),
        };
        state.asking = Asking::Waits { since, open };
        self.out.out.push(Outgoing::WaitsToAsk { fact, participant: participant.to_owned(), since });
    }

    /// Its turn has come. Who has ended asks nobody.
    pub fn may_ask(&mut self, fact: u32) {
        let waits =
            self.saga.facts.get(fact as usize).is_some_and(|state| matches!(state.asking, Asking::Waits { .. }));
        if waits && !self.saga.is_ended() {
            self.ask_for_fact(fact);
        }
    }

    /// Others need not wait for its answer any longer.
    pub fn answer_is_late(&mut self, fact: u32) {
        if let Some(state) = self.saga.facts.get_mut(fact as usize)
            && state.asking == Asking::Open
        {
            state.asking = Asking::Late;
        }
    }

    /// What a participant says of a fact. One that says nothing is asked again in its time; what it says twice, or too late, is no news.
    pub fn fact_answered(&mut self, fact: u32, attempt: u32, answer: Answer) {
        if !fits(Kind::Ask, &answer) {
            let text = format!("{} is no answer to who asks for a fact", answer_kind(&answer).0);
            self.out.rejected = Some(Rejected::Answer(text));
            return;
        }
        let Some(clause) = self.definition.facts.get(fact as usize) else { return };
        let Some(ask) = &clause.ask else { return };
        let ended = self.saga.is_ended();
        let Some(state) = self.saga.facts.get_mut(fact as usize) else { return };
        let awaited = state.asking.is_open() && state.asked == attempt && !ended;
        if !awaited || matches!(answer, Answer::Working(_)) {
            return;
        }
        let Answer::Succeeded(said) = answer else { return self.question_is_answered(fact) };
        let answer = Value::parse(&said.result).unwrap_or_default();
        let value = ask.value.eval(&self.names().with("answer", answer));
        // One that is of another type is no answer: it is asked again in its time.
        if let Some(wrong) = value.as_ref().ok().and_then(|value| clause.admits(value).err()) {
            self.out.rejected = Some(Rejected::Answer(format!("facts.{}: {wrong}", clause.fact)));
            return;
        }
        self.question_is_answered(fact);
        let value = match value {
            Ok(value) => Bytes(value.to_json()),
            Err(error) => return self.stuck_at_expression(None, error.to_string()),
        };
        let at = self.moment.log_time;
        match self.saga.facts.get_mut(fact as usize) {
            // Only its age changes: a history need not tell of it.
            Some(state) if state.value == value => state.told_at = Some(at),
            _ => self.take_told(fact, Told { value, seq: None, at }, None),
        }
    }

    fn question_is_answered(&mut self, fact: u32) {
        self.disarm(TimerKind::AskTime, Some(&Spot { step: fact, items: vec![], round: 0 }));
        if let Some(state) = self.saga.facts.get_mut(fact as usize) {
            state.asking = state.asking.answered();
        }
    }
}

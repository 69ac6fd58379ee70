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

    /// A participant is asked, now and every so often; not while it is known not to answer.
    pub fn ask_for_fact(&mut self, fact: u32) {
        let Some(ask) = self.definition.facts.get(fact as usize).and_then(|clause| clause.ask.as_ref()) else { return };
        self.arm_after(TimerKind::AskFact, Some(Spot { step: fact, items: vec![], round: 0 }), ask.every);
        if self.gates.is_down(&ask.participant) {
            return;
        }
        let input = match ask.with.eval(&self.names()) {
            Ok(input) => Bytes(input.to_json()),
            Err(error) => return self.stuck_at_expression(None, error.to_string()),
        };
        let Some(state) = self.saga.facts.get_mut(fact as usize) else { return };
        state.asked += 1;
        state.asking = Asking::Open;
        let attempt = state.asked;
        self.out.out.push(Outgoing::Ask { fact, attempt, input });
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
        let awaited = state.asking == Asking::Open && state.asked == attempt && !ended;
        if !awaited || matches!(answer, Answer::Working(_)) {
            return;
        }
        let Answer::Succeeded(said) = answer else {
            state.asking = Asking::Idle;
            return;
        };
        let answer = Value::parse(&said.result).unwrap_or_default();
        let value = ask.value.eval(&One { name: "answer", value: &answer });
        // One that is of another type is no answer: it is asked again in its time.
        if let Some(wrong) = value.as_ref().ok().and_then(|value| clause.admits(value).err()) {
            self.out.rejected = Some(Rejected::Answer(format!("facts.{}: {wrong}", clause.fact)));
            return;
        }
        state.asking = Asking::Idle;
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
}

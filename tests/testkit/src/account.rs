//! What came of a scenario.

use std::collections::BTreeMap;
use std::fmt;

use sagaline_engine::report::WorldReport;
use sagaline_engine::{Fact, Spot};
use sagaline_language::scenario::Reply;
use sagaline_schemas::record::Kind;
use sagaline_schemas::{Millis, Value};

/// A command that left the saga.
#[derive(Clone, Debug, PartialEq)]
pub struct Commanded {
    /// `reserve`, `reserve[1]`, `undo reserve`, `probe charge`, `ask rate`; from the second attempt on with its number: `charge #2`.
    pub name: String,
    /// What is wanted.
    pub kind: Kind,
    /// Of which place, and which time it is begun; where a fact is asked for, the fact's number stands for the step's.
    pub spot: Spot,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Its input.
    pub input: Value,
    /// Milliseconds after the saga's beginning.
    pub at: Millis,
    /// What its participant said, and how long after.
    pub reply: Reply,
    /// The turn that sent it: its number in `Account::turns`.
    pub turn: usize,
}

/// What a turn of the saga came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Caused {
    /// It began.
    Begun,
    /// A happening, by its number in the scenario.
    Happened(usize),
    /// The answer to a command, by its number in `Account::commands`.
    Reply(usize),
    /// A participant is back.
    Up(String),
    /// Its time had come.
    #[default]
    Time,
}

/// One turn of the saga, and what it made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned {
    /// Milliseconds after the saga's beginning.
    pub at: Millis,
    /// What it came from.
    pub cause: Caused,
    /// What the history tells of it.
    pub facts: Vec<Fact>,
    /// Why it was not taken; none: it was.
    pub rejected: Option<String>,
}

/// A step at which the saga waited for an event, people, a condition or time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// The step, with the item where it has items: `built`, `parcels[1]`.
    pub name: String,
    /// Milliseconds after the saga's beginning.
    pub at: Millis,
}

/// What a saga did, from its beginning to its end or rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// All commands in order.
    pub commands: Vec<Commanded>,
    /// All steps at which it waited, in order.
    pub waits: Vec<Waited>,
    /// All turns in order. A participant that goes away is a turn too, though the saga does not know.
    pub turns: Vec<Turned>,
    /// The state of the world at the end.
    pub report: Option<WorldReport>,
    /// How it ended, or rests: `completed`, `compensated`, `cancelled`, `closed`, `stuck`, `held`, `waiting`.
    pub end: String,
    /// Why it is stuck, or went back; empty if neither.
    pub because: String,
    /// Milliseconds from its beginning to its end or rest.
    pub after: Millis,
    /// By effect, in their order: `stands`, `void` or `unknown`.
    pub world: Vec<(String, String)>,
    /// By step: when it began, milliseconds after the saga's beginning.
    pub times: BTreeMap<String, Millis>,
    /// Requests and events that were not taken, and why.
    pub rejected: Vec<String>,
    /// What happened when, for people.
    pub timeline: Vec<(Millis, String)>,
}

impl Account {
    /// Names of all commands in order.
    pub fn command_names(&self) -> Vec<&str> {
        self.commands.iter().map(|command| command.name.as_str()).collect()
    }

    /// What became of an effect.
    pub fn world_of(&self, effect: &str) -> Option<&str> {
        self.world.iter().rev().find(|(name, _)| name == effect).map(|(_, state)| state.as_str())
    }
}

/// `3d 4h 5m 6.007s`
pub fn elapsed(millis: Millis) -> String {
    let (days, hours, minutes) = (millis / 86_400_000, millis / 3_600_000 % 24, millis / 60_000 % 60);
    let (seconds, rest) = (millis / 1_000 % 60, millis % 1_000);
    let mut parts: Vec<String> = Vec::new();
    for (number, unit) in [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"), (rest, "ms")] {
        if number > 0 {
            parts.push(format!("{number}{unit}"));
        }
    }
    if parts.is_empty() { "0".to_owned() } else { parts.join(" ") }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, what) in &self.timeline {
            writeln!(f, "{:>16}  {what}", elapsed(*at))?;
        }
        writeln!(
            f,
            "{:>16}  {}{}",
            elapsed(self.after),
            self.end,
            if self.because.is_empty() { String::new() } else { format!(": {}", self.because) }
        )?;
        self.world.iter().try_for_each(|(effect, state)| writeln!(f, "{:>16}  {effect}: {state}", ""))
    }
}

//! A scenario in the making: a definition, its participants, what happens when.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::Definition;
use sagaline_engine::Gates;
use sagaline_language::scenario::{Happening, Reply, Says, Scenario, What};
use sagaline_schemas::record::Kind;
use sagaline_schemas::{Millis, Value};

use crate::account::Account;
use crate::play::Play;

/// When sagas begin unless said: Monday, 5 January 2026, 09:00 UTC.
const CLOCK: Millis = 1_767_603_600_000;

/// A command as its participant gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// `reserve`, `reserve[1]`, `undo reserve`, `probe charge`, `ask rate`.
    pub name: String,
    /// The same without the item.
    pub step: String,
    /// What is wanted.
    pub kind: Kind,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Its input.
    pub input: Value,
    /// Milliseconds since 1970.
    pub now: Millis,
}

type Answers<'a> = Box<dyn FnMut(&Command) -> Reply + 'a>;

/// A scenario in the making.
pub struct Stage<'a> {
    pub(crate) definition: &'a Definition,
    pub(crate) input: Value,
    pub(crate) key: String,
    pub(crate) clock: Millis,
    pub(crate) happenings: Vec<Happening>,
    answers: BTreeMap<String, Answers<'a>>,
}

impl<'a> Stage<'a> {
    /// Participants answer every command at once, with nothing for a result, until told otherwise.
    pub fn new(definition: &'a Definition) -> Self {
        Self {
            definition,
            input: Value::Null,
            key: "test".to_owned(),
            clock: CLOCK,
            happenings: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// As a file says it.
    ///
    /// # Errors
    /// When its clock is no time.
    pub fn of(definition: &'a Definition, scenario: &Scenario) -> Result<Self, String> {
        let mut stage = Self::new(definition).input(scenario.input.clone());
        stage.key.clone_from(&scenario.key);
        if let Some(clock) = &scenario.clock {
            stage.clock = crate::instant(clock)?;
        }
        stage.happenings.clone_from(&scenario.happenings);
        for (name, replies) in &scenario.replies {
            let mut left: Vec<Reply> =
                replies.iter().rev().flat_map(|reply| vec![reply.clone(); reply.times as usize]).collect();
            stage = stage.on(name, move |_| match left.len() {
                0 | 1 => left.first().cloned().unwrap_or_else(done),
                _ => left.pop().unwrap_or_else(done),
            });
        }
        Ok(stage)
    }

    /// What the saga begins with.
    #[must_use]
    pub fn input(mut self, input: Value) -> Self {
        self.input = input;
        self
    }

    /// When it begins, milliseconds since 1970.
    #[must_use]
    pub fn clock(mut self, clock: Millis) -> Self {
        self.clock = clock;
        self
    }

    /// Who answers a command: `reserve`, `undo reserve`, `probe charge`, `ask rate`.
    #[must_use]
    pub fn on(mut self, name: &str, answers: impl FnMut(&Command) -> Reply + 'a) -> Self {
        self.answers.insert(name.to_owned(), Box::new(answers));
        self
    }

    /// Something happens, so many milliseconds after the beginning.
    #[must_use]
    pub fn at(mut self, at: Millis, what: What) -> Self {
        self.happenings.push(Happening { at, what });
        self
    }

    /// Plays it to its end, or until nothing more can happen.
    pub fn play(self) -> Account {
        Play::new(self).run()
    }

    pub(crate) fn answer(&mut self, command: &Command) -> Reply {
        let known = if self.answers.contains_key(&command.name) { &command.name } else { &command.step };
        match self.answers.get_mut(known) {
            Some(answers) => answers(command),
            // Nobody is asked for a fact in vain by accident.
            None if command.kind == Kind::Ask => Reply { says: Says::Silent, after: 0, times: 1 },
            None => done(),
        }
    }
}

fn done() -> Reply {
    Reply { says: Says::Ok(Value::Null), after: 0, times: 1 }
}

/// Participants that take nothing at the moment.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    /// Away: nobody answers.
    pub away: BTreeSet<String>,
    /// Out, by their own word: one command tries now and then whether they are back.
    pub out: BTreeMap<String, Outage>,
}

/// What stands before a participant that is out.
#[derive(Debug)]
pub(crate) struct Outage {
    /// How long the next try waits.
    wait: Millis,
    /// Its time has come.
    may_try: bool,
}

/// Between the first two tries, and the longest wait between two: as the coordinator's gates have it.
const WAITS: (Millis, Millis) = (1_000, 60_000);

impl Doors {
    /// It says that it is out. Gives when the next command may try, and whether that is news.
    pub fn is_out(&mut self, participant: &str) -> (Millis, bool) {
        let (wait, news) = match self.out.get(participant) {
            Some(outage) => ((outage.wait * 2).min(WAITS.1), false),
            None => (WAITS.0, true),
        };
        self.out.insert(participant.to_owned(), Outage { wait, may_try: false });
        (wait, news)
    }

    /// The next command may try.
    pub fn may_try(&mut self, participant: &str) {
        if let Some(outage) = self.out.get_mut(participant) {
            outage.may_try = true;
        }
    }
}

impl Gates for Doors {
    fn admit(&mut self, participant: &str) -> bool {
        let open = !self.away.contains(participant);
        match self.out.get_mut(participant) {
            Some(outage) if open => std::mem::take(&mut outage.may_try),
            Some(_) | None => open,
        }
    }
    fn admit_question(&mut self, participant: &str) -> bool {
        !self.is_down(participant)
    }
    fn is_down(&self, participant: &str) -> bool {
        self.away.contains(participant) || self.out.contains_key(participant)
    }
}

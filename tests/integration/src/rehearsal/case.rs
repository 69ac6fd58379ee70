//! One scenario on its way to a rehearsal: made unique, so that all can run side by side, and played in virtual time first: what the saga did there
//! is the script of what participants say, and when.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use sagaline_definition::Definition;
use sagaline_definition::model::Verb;
use sagaline_engine::Spot;
use sagaline_language::scenario::{Says, Scenario, What, scenarios};
use sagaline_schemas::record::Kind;
use sagaline_schemas::{Millis, Value};
use sagaline_testkit::{Account, Caused, Commanded, Stage, Turned};
use tokio::sync::watch;

use super::made;

/// How time runs: so much of the story's time takes so much real time, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scale {
    /// So much of the story's time.
    pub of: Millis,
    /// Takes so much.
    pub takes: Millis,
}

impl Scale {
    /// A day takes so long.
    #[must_use]
    pub const fn day(takes: Millis) -> Self {
        Self { of: 86_400_000, takes }
    }

    /// How long something takes.
    #[must_use]
    pub fn real(self, story: Millis) -> Millis {
        (i128::from(story) * i128::from(self.takes) / i128::from(self.of)) as Millis
    }

    /// As the command line takes it.
    #[must_use]
    pub fn word(self) -> String {
        format!("{}ms={}ms", self.of, self.takes)
    }
}

/// A scenario that is rehearsed.
#[derive(Debug)]
pub struct Case {
    /// Tells it from all others.
    pub number: usize,
    /// Its file, its line and its name.
    pub title: String,
    /// The name of the file with its definition.
    pub file: String,
    /// Its unique form.
    pub scenario: Scenario,
    /// The definition as its author wrote it.
    pub definition: Arc<Definition>,
    /// The saga's key.
    pub key: String,
    /// What begins it: an event; none: a request.
    pub start: Option<Value>,
    /// How time runs.
    pub scale: Scale,
    /// What came of it in virtual time.
    pub account: Account,
    /// How many turns of the virtual saga the real one has caught up with.
    pub progress: watch::Sender<usize>,
}

/// What a participant is to do with a command.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it says.
    pub says: Says,
    /// How long after, real milliseconds.
    pub after: Millis,
    /// Not before so many turns have been caught up with; none: it never says anything.
    pub gate: Option<usize>,
}

impl Case {
    /// The first of a file's scenarios has the number `first`.
    ///
    /// # Errors
    /// When the file can't be read, or an event can't be made.
    pub fn of_file(path: &Path, definition: &Arc<Definition>, first: usize, scale: Scale) -> Result<Vec<Self>> {
        let text = std::fs::read_to_string(path)?;
        let read = scenarios(&path.display().to_string(), &text)?.value;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let cases = (first..).zip(read.scenarios).map(|(number, scenario)| {
            let title = format!("{name}:{}: {}", scenario.line, scenario.name);
            Self::new(number, title, read.definition.clone(), scenario, definition, scale)
        });
        cases.collect()
    }

    fn new(
        number: usize,
        title: String,
        file: String,
        mut scenario: Scenario,
        definition: &Arc<Definition>,
        scale: Scale,
    ) -> Result<Self> {
        make_unique(&mut scenario, definition, number)?;
        let (mut key, mut start) = (scenario.key.clone(), None);
        if definition.start.topic.is_some() {
            let event = made::start(&definition.start, &scenario.input, &key).context(title.clone())?;
            let named = definition.start.key.as_ref().context("a start by event has a key")?;
            key = text(made::of_event(named, &event)?)?;
            scenario.input = match &definition.start.input {
                Some(input) => made::of_event(input, &event)?,
                None => event.clone(),
            };
            start = Some(event);
        }
        scenario.key.clone_from(&key);
        let account = Stage::of(definition, &scenario).map_err(anyhow::Error::msg)?.play();
        let definition = Arc::clone(definition);
        let progress = watch::channel(0).0;
        Ok(Self { number, title, file, scenario, definition, key, start, scale, account, progress })
    }

    /// How the saga is called by name.
    #[must_use]
    pub fn saga_name(&self) -> String {
        format!("{}/{}", self.definition.saga, self.key)
    }

    /// Whether participants go away, or say that they are out: that concerns all sagas, so it is rehearsed alone.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let down = self.scenario.happenings.iter().any(|happening| matches!(happening.what, What::Down { .. }));
        down || self.account.commands.iter().any(|command| matches!(command.reply.says, Says::Outage(_)))
    }

    /// What is to be done with a command for a step.
    #[must_use]
    pub fn line(&self, kind: Kind, step: &str, items: &[u32], round: u32, attempt: u32) -> Option<Line> {
        let step = u32::try_from(self.definition.step_index(step)?).ok()?;
        let spot = Spot { step, items: items.to_vec(), round };
        let numbered = self.account.commands.iter().enumerate();
        let mut of: Vec<(usize, &Commanded)> =
            numbered.filter(|(_, command)| command.kind == kind && command.spot == spot).collect();
        of.sort_by_key(|(_, command)| command.attempt);
        // An attempt more than there were in virtual time was made because an answer took too long: it is answered like the last. One whose answer
        // never came there, because its participant had gone, is answered like the next.
        let from = of.iter().position(|(_, command)| command.attempt >= attempt).unwrap_or(of.len().checked_sub(1)?);
        let answered = of[from..].iter().find_map(|(number, command)| Some((command, self.answers_before(*number)?)));
        let own = of[from].1;
        Some(match answered {
            Some((command, turn)) => {
                let after = if command.attempt == own.attempt { self.scale.real(command.reply.after) } else { 0 };
                Line { says: command.reply.says.clone(), after, gate: Some(self.gate(command.turn, turn)) }
            }
            None => Line { says: Says::Silent, after: 0, gate: None },
        })
    }

    /// What is said of a fact that is asked for just now: what was said last, as far as the virtual saga has been caught up with.
    #[must_use]
    pub fn told_of(&self, fact: &str) -> Option<Says> {
        let number = self.definition.facts.iter().position(|clause| clause.fact == fact)?;
        let progress = *self.progress.borrow();
        let asked = |command: &&Commanded| command.kind == Kind::Ask && command.spot.step as usize == number;
        let asked = self.account.commands.iter().filter(asked);
        Some(asked.take_while(|command| command.turn <= progress).last()?.reply.says.clone())
    }

    /// The command that begins a child saga of this key.
    #[must_use]
    pub fn child(&self, key: &str) -> Option<&Commanded> {
        let has_key = |input: &Value| matches!(input, Value::Map(members) if members.values().any(|value| *value == Value::from(key)));
        self.account.commands.iter().find(|command| command.kind == Kind::Do && has_key(&command.input))
    }

    /// The step of a command.
    #[must_use]
    pub fn step_of(&self, command: &Commanded) -> &str {
        self.definition.steps.get(command.spot.step as usize).map_or("?", |step| &step.step)
    }

    fn answered_at(&self, command: usize) -> Option<usize> {
        self.account.turns.iter().position(|turned| turned.cause == Caused::Reply(command))
    }

    /// The turn before which a command is answered: that of its answer, or of an earlier one to a later command, if that is behind it in a queue. A
    /// participant takes the commands of a saga one after the other, also those that would undo what it is about to do.
    fn answers_before(&self, number: usize) -> Option<usize> {
        let participant = |command: &Commanded| match &self.definition.steps.get(command.spot.step as usize)?.verb {
            Verb::Call(call) => Some(call.participant.as_str()),
            _ => None,
        };
        let own = participant(&self.account.commands[number]);
        let later = self.account.commands.iter().enumerate().skip(number + 1);
        let behind = later.filter(|(_, command)| command.kind != Kind::Ask && participant(command) == own);
        let earlier = behind.filter_map(|(number, _)| self.answered_at(number)).min();
        let answered = self.answered_at(number)?;
        Some(earlier.map_or(answered, |earlier| earlier.min(answered)))
    }

    /// Whether what undoes an effect was answered in virtual time before the effect itself, behind which it really waits in a queue.
    #[must_use]
    pub fn is_overtaken(&self, step: &str, items: &[u32], round: u32) -> bool {
        let is_it = |command: &Commanded| {
            let spot = &command.spot;
            command.kind == Kind::Do && self.step_of(command) == step && spot.items == items && spot.round == round
        };
        let numbered = self.account.commands.iter().enumerate();
        let mut of = numbered.filter(|(_, command)| is_it(command)).map(|(number, _)| number);
        of.any(|number| self.answers_before(number) != self.answered_at(number))
    }

    /// An answer overtakes neither what happened before it, nor another answer that came while its command was under way.
    fn gate(&self, sent: usize, answered: usize) -> usize {
        let is_before = |number: usize, turned: &Turned| match turned.cause {
            Caused::Happened(_) | Caused::Up(_) => true,
            Caused::Begun | Caused::Reply(_) | Caused::Time => number > sent && !turned.facts.is_empty(),
        };
        let before = self.account.turns[..answered].iter().enumerate();
        before.rev().find(|(number, turned)| is_before(*number, turned)).map_or(0, |(number, _)| number + 1)
    }
}

fn text(value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        other => bail!("a key is a text, this is {other}"),
    }
}

/// All that names something gets the scenario's number.
fn make_unique(scenario: &mut Scenario, definition: &Definition, number: usize) -> Result<()> {
    unique(&mut scenario.input, number);
    unique_text(&mut scenario.key, number);
    for reply in scenario.replies.values_mut().flatten() {
        if let Says::Ok(result) = &mut reply.says {
            unique(result, number);
        }
    }
    for happening in &mut scenario.happenings {
        if let What::Event { data, .. } = &mut happening.what {
            unique(data, number);
        }
    }
    for of in definition.facts.iter().filter_map(|clause| clause.of.as_ref()) {
        let named = text(made::of_input(of, &scenario.input)?)?;
        if !named.ends_with(&mark(number)) {
            made::put(&mut scenario.input, &made::path(of)?, Value::String(named + &mark(number)));
        }
    }
    Ok(())
}

fn mark(number: usize) -> String {
    format!("~{number}")
}

/// The number of the case that a name belongs to.
#[must_use]
pub fn number_of(name: &str) -> Option<usize> {
    name.rsplit_once('~')?.1.parse().ok()
}

fn unique(value: &mut Value, number: usize) {
    match value {
        Value::String(text) => unique_text(text, number),
        Value::List(items) => items.iter_mut().for_each(|item| unique(item, number)),
        Value::Map(members) => members.values_mut().for_each(|member| unique(member, number)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {}
    }
}

/// Names have digits, and no spaces.
fn unique_text(text: &mut String, number: usize) {
    if text.bytes().any(|byte| byte.is_ascii_digit()) && !text.contains(' ') {
        text.push_str(&mark(number));
    }
}

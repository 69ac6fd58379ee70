//! One rehearsal: the virtual saga's turns, one after the other. What the scenario says happens when its scaled time has come and all before it was
//! seen of the real saga; what the saga does by itself is waited for. Nothing is judged here but whether it comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use sagaline_definition::model::Verb;
use sagaline_language::scenario::What;
use sagaline_node::api::model::{Ask, Outcome, Wish};
use sagaline_schemas::{Millis, SagaId, Value};
use sagaline_testkit::{Caused, Turned};
use serde_json::Value as Json;

use super::case::Case;
use super::cast::Cast;
use super::live::Live;
use super::made;
use super::told::{Told, counted, told};
use crate::process::wait_until;

/// How long something may be late, beyond its scaled time.
const PATIENCE: Duration = Duration::from_secs(45);
/// Between two looks at a history.
const LOOK: Duration = Duration::from_millis(100);
/// A participant is away for so long at least: five attempts without an answer tell the coordinator.
const AWAY: Duration = Duration::from_secs(8);

/// A rehearsal under way.
pub struct Walk<'a> {
    live: &'a Live,
    cast: &'a Cast,
    case: &'a Case,
    /// What the virtual saga told, each with the number of its turn.
    script: Vec<Told>,
    id: Option<SagaId>,
    /// A turn of the virtual saga was seen of the real one: its real time and its virtual one.
    anchor: (Millis, Millis),
    /// Versions of facts.
    seqs: BTreeMap<String, i64>,
    away: BTreeMap<String, Instant>,
}

impl<'a> Walk<'a> {
    /// Nothing has happened yet.
    ///
    /// # Errors
    /// Never: facts are JSON.
    pub fn new(live: &'a Live, cast: &'a Cast, case: &'a Case) -> Result<Self> {
        let mut facts: Vec<(Millis, Json)> = Vec::new();
        for (turn, turned) in (0..).zip(&case.account.turns) {
            for fact in &turned.facts {
                facts.push((turn, serde_json::to_value(fact)?));
            }
        }
        let script = told(&case.definition, facts.iter().map(|(turn, fact)| (*turn, fact)));
        let (seqs, away) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { live, cast, case, script, id: None, anchor: (now(), 0), seqs, away })
    }

    /// From the first turn to the last. Gives the saga.
    ///
    /// # Errors
    /// What did not come.
    pub fn run(mut self) -> Result<SagaId> {
        for (number, turned) in self.case.account.turns.iter().enumerate() {
            let due = self.anchor.0 + self.case.scale.real(turned.at - self.anchor.1);
            match &turned.cause {
                Caused::Begun => self.begin()?,
                Caused::Happened(nth) => {
                    wait_for_time(due);
                    self.happens(*nth, turned).with_context(|| format!("happening {nth}"))?;
                    self.anchor = (now(), turned.at);
                }
                Caused::Up(participant) => {
                    wait_for_time(due);
                    self.is_back(participant)?;
                    self.anchor = (now(), turned.at);
                }
                Caused::Reply(_) | Caused::Time => {}
            }
            self.see(number, turned, due)?;
            self.case.progress.send_replace(number + 1);
        }
        self.id()
    }

    /// What the real saga has told so far.
    fn seen(&self) -> Result<Vec<Told>> {
        let history = self.live.history(self.id()?)?.history;
        Ok(told(&self.case.definition, history.iter().map(|happening| (happening.time, &happening.fact))))
    }

    fn id(&self) -> Result<SagaId> {
        self.id.context("the saga has not begun")
    }

    fn begin(&mut self) -> Result<()> {
        let (case, start) = (self.case, &self.case.definition.start);
        match (&case.start, &start.topic) {
            (Some(event), Some(topic)) => self.live.send(topic, event)?,
            _ => {
                let mut ask = Ask::new(Wish::Start, "somebody".to_owned());
                ask.definition = Some(case.definition.saga.clone());
                ask.key = Some(case.key.clone());
                ask.input = Some(case.scenario.input.clone());
                let asked = self.live.ask(&ask)?;
                ensure!(matches!(asked.outcome, Some(Outcome::Taken { .. })), "no start: {asked:?}");
            }
        }
        let what = format!("the saga {}", case.saga_name());
        let saga = wait_until(&what, PATIENCE, || self.live.of_key(&case.definition.saga, &case.key))?;
        self.id = Some(saga.line.id);
        self.anchor = (saga.line.started_at, 0);
        Ok(())
    }

    /// Waits until the real saga has told all that the virtual one had told up to this turn.
    fn see(&mut self, number: usize, turned: &Turned, due: Millis) -> Result<()> {
        let number = number as Millis;
        let upto = self.script.iter().take_while(|told| told.at <= number).count();
        let wanted = counted(&self.script[..upto]);
        let news: Vec<&str> =
            self.script.iter().filter(|told| told.at == number).map(|told| told.what.as_str()).collect();
        if news.is_empty() {
            return Ok(());
        }
        if !matches!(turned.cause, Caused::Reply(_)) {
            wait_for_time(due);
        }
        let late = Instant::now() + PATIENCE + Duration::from_millis(u64::try_from(due - now()).unwrap_or(0));
        let seen = self.wait_seen(&news, &wanted, late)?;
        let time_of = |what: &&str| time_of(&seen, what, &wanted);
        match news.iter().map(time_of).collect::<Option<Vec<Millis>>>() {
            // What follows is timed from when it really happened, not from when it was seen.
            Some(times) => {
                self.anchor = (times.into_iter().max().unwrap_or(due), turned.at);
                Ok(())
            }
            None => {
                let missing: Vec<&&str> = news.iter().filter(|what| time_of(what).is_none()).collect();
                let history: Vec<&str> = seen.iter().map(|told| told.what.as_str()).collect();
                bail!("turn {number} ({:?}) never came: {missing:#?}\nwhat came: {history:#?}", turned.cause)
            }
        }
    }

    /// What the real saga has told, once all the news is among it, or it is late.
    fn wait_seen(&self, news: &[&str], wanted: &BTreeMap<&str, usize>, late: Instant) -> Result<Vec<Told>> {
        loop {
            let seen = self.seen()?;
            if Instant::now() > late || news.iter().all(|what| time_of(&seen, what, wanted).is_some()) {
                return Ok(seen);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn happens(&mut self, nth: usize, turned: &Turned) -> Result<()> {
        let what = self.case.scenario.happenings[nth].what.clone();
        let refused = match &what {
            What::Fact { fact, value, seq } => return self.tell(fact, value, *seq),
            What::Event { step, data } => {
                let step = self.case.definition.steps.iter().find(|known| known.step == *step);
                let Some(Verb::Wait(wait)) = step.map(|step| &step.verb) else { bail!("{what:?} waits for no event") };
                return self.live.send(&wait.topic, data);
            }
            What::Down { participant, .. } => {
                self.cast.down(participant)?;
                self.away.insert(participant.clone(), Instant::now());
                return Ok(());
            }
            What::Decide { step, choice, by, roles } => {
                let mut ask = self.wish(Wish::Decide, by)?;
                let work = self.live.saga(self.id()?)?.work;
                let item = work.iter().find(|item| item.kind == "approval" && item.step.as_deref() == Some(step));
                ask.step = Some(step.clone());
                ask.version = Some(item.and_then(|item| item.version).unwrap_or(0));
                ask.choice = Some(choice.clone());
                ask.roles.clone_from(roles);
                self.ask(ask)?
            }
            What::Retry(step) => self.ask(Ask { step: step.clone(), ..self.wish(Wish::Retry, "somebody")? })?,
            What::Skip(step) => self.ask(Ask { step: Some(step.clone()), ..self.wish(Wish::Skip, "somebody")? })?,
            What::Release => self.ask(self.wish(Wish::Release, "somebody")?)?,
            What::Cancel(reason) => self.because(Wish::Cancel, reason)?,
            What::Close(reason) => self.because(Wish::Close, reason)?,
            What::Hold(reason) => self.because(Wish::Hold, reason)?,
        };
        ensure!(
            refused.is_some() == turned.rejected.is_some(),
            "{what:?}: in virtual time {:?}, really {refused:?}",
            turned.rejected
        );
        Ok(())
    }

    fn tell(&mut self, fact: &str, value: &Value, seq: Option<i64>) -> Result<()> {
        let clause = self.case.definition.facts.iter().find(|clause| clause.fact == fact).context("there is a fact")?;
        let topic = clause.topic.as_ref().with_context(|| format!("no event tells {fact}"))?;
        let key = match &clause.of {
            Some(of) => made::of_input(of, &self.case.scenario.input)?,
            None => Value::from(self.case.key.as_str()),
        };
        let Value::String(key) = key else { bail!("{fact} is of {key}, which is no text") };
        let highest = self.seqs.entry(fact.to_owned()).or_default();
        let seq = seq.or_else(|| clause.seq.is_some().then_some(*highest + 1));
        *highest = seq.unwrap_or(0).max(*highest);
        self.live.send(topic, &made::fact(clause, &key, value, seq)?)
    }

    fn wish(&self, kind: Wish, by: &str) -> Result<Ask> {
        Ok(Ask { saga: Some(self.id()?), ..Ask::new(kind, by.to_owned()) })
    }

    fn because(&self, kind: Wish, reason: &str) -> Result<Option<String>> {
        self.ask(Ask { reason: Some(reason.to_owned()), ..self.wish(kind, "somebody")? })
    }

    /// Why it was refused; none: it was taken.
    fn ask(&self, ask: Ask) -> Result<Option<String>> {
        match self.live.ask(&ask)?.outcome {
            Some(Outcome::Refused { reason }) => Ok(Some(reason)),
            Some(Outcome::Taken { .. } | Outcome::Exists { .. } | Outcome::Done) => Ok(None),
            None => bail!("{ask:?} is not folded"),
        }
    }

    fn is_back(&mut self, participant: &str) -> Result<()> {
        let since = self.away.remove(participant).with_context(|| format!("{participant} was not away"))?;
        wait_for_time(now() + AWAY.saturating_sub(since.elapsed()).as_millis() as Millis);
        self.cast.up(participant)
    }
}

/// The wall clock, milliseconds since 1970.
fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

/// When something was told as often as it is wanted; none: it was not.
fn time_of(seen: &[Told], what: &str, wanted: &BTreeMap<&str, usize>) -> Option<Millis> {
    let nth = wanted.get(what).copied().unwrap_or(1);
    seen.iter().filter(|told| told.what == what).nth(nth - 1).map(|told| told.at)
}

/// The scenario's own time: nothing tells of it but the clock.
fn wait_for_time(time: Millis) {
    std::thread::sleep(Duration::from_millis(u64::try_from(time - now()).unwrap_or(0)));
}

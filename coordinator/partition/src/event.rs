//! A domain event: the numbered channel of its source decides whether it is news; its targets are taken in order. A saga is told by the
//! clause of its own version: the definition that a target names may be another version of it.

use std::collections::BTreeSet;

use sagaline_definition::Definition;
use sagaline_definition::model::{Again, FactClause, Verb};
use sagaline_engine::{Direction, Input, told};
use sagaline_schemas::hash::{Preimage, alias_home};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{ClauseKind, Event, EventOrigin, Target};
use sagaline_schemas::wire::{Bytes, Wire};
use sagaline_schemas::{Digest, Millis, Offset, SagaId, Value};

use crate::door::{Given, Knock, Opened, check_key};
use crate::early::Absent;
use crate::facts::OneName;
use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::reply::Unfit;
use crate::sagas::Turned;
use crate::state::{Folding, News};
use crate::store::Family;

/// What the numbered channel says of a record (records.md section 2): accept iff at > highest and prev <= highest.
pub(crate) enum Numbered {
    News,
    Repeat,
    Gap { highest: Offset },
}

/// An event on its way to its targets.
struct Told<'a> {
    record: LogRecord<'a>,
    event: &'a Event,
    data: &'a Value,
    /// Whom it has been handed to: another version's target may name the same clause of the same saga.
    handed: BTreeSet<(String, ClauseKind, String, Option<String>, String)>,
    /// What sagas that watch other keys are to be told when all targets are done.
    news: Vec<News>,
}

impl Told<'_> {
    fn remember(&mut self, news: Option<News>) {
        if let Some(news) = news.filter(|news| !self.news.contains(news)) {
            self.news.push(news);
        }
    }
}

impl Partition {
    pub(crate) fn event(&mut self, record: LogRecord<'_>, event: Event) -> Result<(), Halt> {
        match self.is_news(&event)? {
            Numbered::News => {}
            Numbered::Repeat => {
                self.meta_mut().counters.repeated_events += 1;
                return Ok(());
            }
            Numbered::Gap { highest } => {
                let detail =
                    format!("its sender sent {} before, the highest that came is {highest}", event.origin.prev);
                return self.park(record.value, ParkedReason::Gap, detail);
            }
        }
        if self.is_too_large(record) {
            return self.park_too_large(record);
        }
        if let Some(reason) = event.skipped {
            return self.park(record.value, ParkedReason::Skipped, reason);
        }
        let data = match self.check_data(&event.data) {
            Ok(data) => data,
            Err((reason, detail)) => return self.park(record.value, reason, detail),
        };
        let mut told = Told { record, event: &event, data: &data, handed: BTreeSet::new(), news: Vec::new() };
        for (index, target) in (0..).zip(&event.targets) {
            if let Err((reason, detail)) = self.target(index, target, &mut told)? {
                self.park(record.value, reason, detail)?;
            }
        }
        if !told.news.is_empty() {
            self.meta_mut().folding = Folding::Telling { news: told.news, after: None, told: 0 };
        }
        Ok(())
    }

    /// Line 3, and the channel's new height if it is news.
    pub(crate) fn is_news(&mut self, event: &Event) -> Result<Numbered, Halt> {
        let source = source_key(&event.origin);
        let highest = self.over.read::<i64>(Family::Sources, &source)?.unwrap_or(-1);
        let EventOrigin { prev, at, .. } = event.origin;
        Ok(match (at > highest, prev <= highest) {
            (false, _) => Numbered::Repeat,
            (true, false) => Numbered::Gap { highest },
            (true, true) => {
                self.over.write(Family::Sources, source, &at);
                Numbered::News
            }
        })
    }

    /// An event's payload as expressions see it.
    pub(crate) fn check_data(&self, data: &Bytes) -> Result<Value, Unfit> {
        let (size, limit) = (data.len(), self.begun().settings.max_payload);
        if size > limit as usize {
            let detail = format!("the event has {size} bytes, the settings allow {limit}");
            return Err((ParkedReason::TooLarge, detail));
        }
        Value::parse(data).map_err(|error| (ParkedReason::Undecodable, format!("the event is no JSON: {error}")))
    }

    fn target(&mut self, index: u32, target: &Target, told: &mut Told<'_>) -> Result<Result<(), Unfit>, Halt> {
        let Some(definition) = self.definition(target.definition)? else {
            let detail = format!("the definition {} is not known here", target.definition);
            return Ok(Err((ParkedReason::NotKnown, detail)));
        };
        let refused = |detail| Ok(Err((ParkedReason::Refused, detail)));
        if let Err(detail) = check_key(&target.key) {
            return refused(detail);
        }
        match target.clause {
            ClauseKind::Start => self.start_by_event(&definition, index, target, told),
            ClauseKind::Fact => match definition.facts.iter().find(|fact| fact.fact == target.name) {
                None => refused(format!("{} has no fact {:?}", definition.saga, target.name)),
                Some(fact) if fact.of.is_some() => {
                    let learnt = self.learn(fact, target, told.data)?;
                    Ok(learnt.map(|news| told.remember(news)))
                }
                Some(_) => self.hand_on(&definition, target, told),
            },
            ClauseKind::Wait => self.hand_on(&definition, target, told),
            ClauseKind::React => refused("no definition of this version reacts to an event itself".to_owned()),
        }
    }

    fn start_by_event(
        &mut self,
        definition: &Definition,
        index: u32,
        target: &Target,
        told: &Told<'_>,
    ) -> Result<Result<(), Unfit>, Halt> {
        let traceparent = told.event.traceparent.clone();
        let knock = Knock { definition: target.definition, key: target.key.clone(), traceparent, parent: None, index };
        Ok(match self.knock(definition, knock, || input_of(definition, told.data))? {
            Opened::Begun(_) => Ok(()),
            Opened::Exists(holder) => match self.why_too_early(definition, holder)? {
                Some(why) => {
                    let detail = format!("the saga {holder} of the key {:?} {why}", target.key);
                    Err((ParkedReason::Refused, detail))
                }
                None => Ok(()),
            },
            Opened::Refused(unfit) => Err(unfit),
        })
    }

    /// A start beside a saga that goes forward is a repeat. Beside one that does not it is another one, where the definition takes another at
    /// all, and it is taken from nobody's hand later: it is set aside, where a person sees it and it can be sent again.
    pub(crate) fn why_too_early(
        &mut self,
        definition: &Definition,
        holder: SagaId,
    ) -> Result<Option<&'static str>, Halt> {
        if definition.start.again == Again::Never {
            return Ok(None);
        }
        Ok(self.over.saga(holder)?.and_then(|saga| match saga.direction() {
            Some(Direction::Forward | Direction::Aside { .. }) => None,
            Some(Direction::Back { .. } | Direction::Ensure { cause: Some(_), .. }) => {
                Some("is still going back: a start is taken again when it has ended")
            }
            Some(Direction::Ensure { cause: None, .. }) => {
                Some("has not ended yet: a start is taken again when it has ended")
            }
            Some(Direction::Over { .. }) => {
                Some("has ended and waits for a person: a start is taken again when it is settled")
            }
            None => Some("has ended and is kept for its parent: a start is taken again when the parent has ended"),
        }))
    }

    /// For one saga, which may live, or not yet.
    fn hand_on(
        &mut self,
        definition: &Definition,
        target: &Target,
        told: &mut Told<'_>,
    ) -> Result<Result<(), Unfit>, Halt> {
        let (name, key) = (definition.saga.as_str(), target.key.as_str());
        let home = match &target.via {
            None => self.is_home(key),
            Some(alias) if alias_home(name, alias, key, self.begun().partitions) == self.number => Ok(()),
            Some(alias) => Err(format!("the {alias} {key:?} belongs to another partition")),
        };
        if let Err(detail) = home {
            return Ok(Err((ParkedReason::Refused, detail)));
        }
        let whom = (name.to_owned(), target.clause, target.name.clone(), target.via.clone(), target.key.clone());
        if !told.handed.insert(whom) {
            return Ok(Ok(()));
        }
        match &target.via {
            None => match self.holder(definition, key)? {
                Some(saga) => self.tell_saga(saga, target, (&told.event.topic, told.data), self.now()),
                None => {
                    let absent = Absent::Key { definition: name, key };
                    Ok(self.keep_early(told.record, absent, told.event, target)?)
                }
            },
            Some(alias) => match self.bound(name, alias, key)? {
                Some(bound) => self.deliver(&bound, target, told.event).map(Ok),
                None => {
                    let absent = Absent::Alias { definition: name, alias, value: key };
                    Ok(self.keep_early(told.record, absent, told.event, target)?)
                }
            },
        }
    }

    /// The saga is told what its own version's clause makes of an event that came at a time: nothing, where that names somebody else.
    pub(crate) fn tell_saga(
        &mut self,
        id: SagaId,
        target: &Target,
        event: (&str, &Value),
        at: Millis,
    ) -> Result<Result<(), Unfit>, Halt> {
        let Some(digest) = self.over.saga(id)?.map(|saga| saga.definition) else {
            return Ok(Err((ParkedReason::Unknown, format!("the saga {id} is no longer remembered"))));
        };
        let Some(definition) = self.definition(digest)? else { return Ok(Ok(())) };
        let input = match input_by_clause(&definition, digest, target, event, at) {
            Ok(Some(input)) => input,
            Ok(None) => return Ok(Ok(())),
            Err(detail) => return Ok(Err((ParkedReason::Refused, detail))),
        };
        Ok(match self.turn(id, input)? {
            Turned::Unknown | Turned::Taken => Ok(()),
            Turned::Rejected(detail) => Err((ParkedReason::Refused, detail)),
        })
    }

    /// A saga has begun: it is told what came before it.
    pub(crate) fn tell_early(&mut self, definition: &Definition, key: &str, id: SagaId) -> Result<(), Halt> {
        for (event, at) in self.take_early(Absent::Key { definition: &definition.saga, key })? {
            let data = Value::parse(&event.data).unwrap_or_default();
            for target in &event.targets {
                if let Err((reason, detail)) = self.tell_saga(id, target, (&event.topic, &data), at)? {
                    self.park(&event.data, reason, detail)?;
                }
            }
        }
        Ok(())
    }
}

/// What the clause of a saga's own version says; none: the event is not about this saga.
fn input_by_clause(
    definition: &Definition,
    digest: Digest,
    target: &Target,
    (topic, event): (&str, &Value),
    at: Millis,
) -> Result<Option<Input>, String> {
    let own = |key: Option<&sagaline_definition::Expr>| {
        let same = |key: Value| key == Value::String(target.key.clone());
        digest == target.definition || key.is_some_and(|key| key.eval(&OneName("event", event)).is_ok_and(same))
    };
    if target.clause == ClauseKind::Wait {
        let step = definition.steps.iter().position(|step| step.step == target.name);
        let Some((number, Verb::Wait(wait))) = step.map(|step| (step, &definition.steps[step].verb)) else {
            return Ok(None);
        };
        let meant = wait.topic == topic && wait.via == target.via && own(Some(&wait.key));
        return Ok(meant.then(|| Input::Letter { step: number as u32, event: Bytes(event.to_json()) }));
    }
    let listens =
        |fact: &FactClause| fact.of.is_none() && fact.topic.as_deref() == Some(topic) && own(fact.key.as_ref());
    let clause = definition.facts.iter().position(|fact| fact.fact == target.name);
    let Some(number) = clause.filter(|number| listens(&definition.facts[*number])) else { return Ok(None) };
    let told = told(&definition.facts[number], event, at);
    let told = told.map_err(|error| format!("facts.{}: {error}", target.name))?;
    Ok(told.map(|told| Input::Told { fact: number as u32, told }))
}

/// A domain topic's partition, in one generation, is one numbered channel.
fn source_key(origin: &EventOrigin) -> Vec<u8> {
    let mut key = Preimage::new("event").fixed(origin.topic_id.as_bytes()).u32(origin.partition).as_bytes().to_vec();
    origin.generation.encode(&mut key);
    key
}

/// `start.input`: what the saga begins with.
fn input_of<'a>(definition: &Definition, event: &'a Value) -> Result<Given<'a>, String> {
    match &definition.start.input {
        // What is put into the log is what its text says: only where that is sure to be the event itself is it not read again.
        None => Ok(Given { input: Bytes(event.to_json()), value: Some(event).filter(|event| event.is_exact()) }),
        Some(input) => {
            let json = input.eval_json(&OneName("event", event)).map_err(|error| format!("start.input: {error}"))?;
            Ok(Bytes(json).into())
        }
    }
}

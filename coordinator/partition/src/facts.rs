//! Facts that belong to another key than the saga's own, a product's rate say: the newest is kept here for sagas to come, and every saga
//! that watches it is told, in the order of ids. A million may watch: a batch may end between two of them (design M7).

use sagaline_definition::expr::Names;
use sagaline_definition::model::{Definition, FactClause};
use sagaline_engine::{Input, Saga, Told, told};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::Target;
use sagaline_schemas::{Position, SagaId, Value};

use crate::fold::Partition;
use crate::halt::Halt;
use crate::keys;
use crate::progress::corrupt;
use crate::reply::Unfit;
use crate::state::{Folding, News};
use crate::store::{Family, StoreError};

/// The keys of others that a saga's facts belong to, by number of the fact. An input that names none watches nothing.
///
/// # Errors
/// When `for` has no value, or one that is no key.
pub(crate) fn keys_of_others(definition: &Definition, input: &Value) -> Result<Vec<(u32, String)>, String> {
    let mut found = Vec::new();
    for (number, clause) in (0..).zip(&definition.facts) {
        let Some(of) = &clause.of else { continue };
        let place = |detail: &str| format!("facts.{}.for: {detail}", clause.fact);
        match of.eval(&OneName("input", input)).map_err(|error| place(&error.to_string()))? {
            Value::String(key) => found.push((number, key)),
            Value::Null => {}
            other => return Err(place(&format!("a key is a text, this is {}", other.kind()))),
        }
    }
    Ok(found)
}

impl Partition {
    /// What a saga to be is told at once.
    pub(crate) fn known_facts(&self, definition: &Definition, saga: &Saga) -> Result<Vec<(u32, Told)>, StoreError> {
        let mut known = Vec::new();
        for (fact, key) in watched(definition, saga) {
            let clause = &definition.facts[fact as usize];
            let told = self.over.read::<Told>(Family::Told, &keys::told(saga.definition, &clause.fact, &key))?;
            known.extend(told.map(|told| (fact, told)));
        }
        Ok(known)
    }

    /// From now on the saga is told, or no longer.
    pub(crate) fn watch(&mut self, definition: &Definition, saga: &Saga, on: bool) {
        for (fact, key) in watched(definition, saga) {
            let key = keys::watcher(saga.definition, &definition.facts[fact as usize].fact, &key, saga.id);
            match on {
                true => self.over.put(Family::Watchers, key, Vec::new()),
                false => self.over.delete(Family::Watchers, key),
            }
        }
    }

    /// An event says something of a fact that belongs to any saga that watches it. None: it is no news.
    pub(crate) fn learn(
        &mut self,
        fact: &FactClause,
        target: &Target,
        event: &Value,
    ) -> Result<Result<Option<News>, Unfit>, Halt> {
        let told = match told(fact, event, self.now()) {
            Ok(Some(told)) => told,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err((ParkedReason::Refused, format!("facts.{}: {error}", fact.fact)))),
        };
        let place = keys::told(target.definition, &fact.fact, &target.key);
        let known = self.over.read::<Told>(Family::Told, &place)?.and_then(|known| known.seq);
        if told.seq.zip(known).is_some_and(|(news, known)| news <= known) {
            return Ok(Ok(None));
        }
        self.over.write(Family::Told, place, &told);
        Ok(Ok(Some(News { definition: target.definition, fact: fact.fact.clone(), key: target.key.clone() })))
    }

    /// Tells the next watcher. False: all are told.
    pub(crate) fn tell_next(&mut self, mut news: Vec<News>, after: Option<SagaId>, told: u32) -> Result<bool, Halt> {
        let Some(first) = news.first() else { return Ok(false) };
        let prefix = keys::watchers(first.definition, &first.fact, &first.key);
        let from = after.map_or_else(|| prefix.clone(), |after| [&prefix[..], after.as_bytes(), &[0]].concat());
        let to = keys::after_prefix(&prefix);
        let Some((key, _)) = self.over.scan(Family::Watchers, &from, to.as_deref(), 1)?.pop() else {
            news.remove(0);
            let more = !news.is_empty();
            self.meta_mut().folding = Folding::Telling { news, after: None, told };
            return Ok(more);
        };
        let id = key.last_chunk::<16>().map(|id| SagaId::from_bytes(*id)).ok_or_else(|| corrupt("watchers"))?;
        self.at = Position { offset: self.at.offset, timer: told + 1, index: 0 };
        self.tell_watcher(id, first)?;
        self.meta_mut().folding = Folding::Telling { news, after: Some(id), told: told + 1 };
        Ok(true)
    }

    fn tell_watcher(&mut self, id: SagaId, news: &News) -> Result<(), Halt> {
        if let Some(note) = self.faults.get(&(self.at.offset, self.at.timer)).cloned() {
            self.turn(id, Input::Fault { offset: self.at.offset, reason: note.reason })?;
            return Ok(());
        }
        let place = keys::told(news.definition, &news.fact, &news.key);
        let told = self.over.read::<Told>(Family::Told, &place)?.ok_or_else(|| corrupt("told"))?;
        let Some(definition) = self.definition(news.definition)? else { return Ok(()) };
        if let Some(fact) = definition.facts.iter().position(|clause| clause.fact == news.fact) {
            self.turn(id, Input::Told { fact: fact as u32, told })?;
        }
        Ok(())
    }
}

/// The door has seen that the keys are there.
fn watched(definition: &Definition, saga: &Saga) -> Vec<(u32, String)> {
    if definition.facts.iter().all(|clause| clause.of.is_none()) {
        return Vec::new();
    }
    let input = Value::parse(&saga.input).unwrap_or_default();
    keys_of_others(definition, &input).unwrap_or_default()
}

/// The only name that an expression sees.
pub(crate) struct OneName<'a>(pub &'static str, pub &'a Value);

impl Names for OneName<'_> {
    fn get(&self, name: &str) -> Option<std::borrow::Cow<'_, Value>> {
        (name == self.0).then_some(std::borrow::Cow::Borrowed(self.1))
    }
}

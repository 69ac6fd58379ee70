//! Which effects a page asks after: those of ended sagas, partition by partition, in the order of the sagas' ids. Reads the stores, asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use sagaline_definition::Definition;
use sagaline_definition::model::Verb;
use sagaline_engine::validate::stands;
use sagaline_engine::{Phase, Saga};
use sagaline_partition::beside::{self, Asking, Question};
use sagaline_partition::state::Meta;
use sagaline_partition::store::{Read, Reader, StoreError};
use sagaline_partition::view;
use sagaline_schemas::proof::Key;
use sagaline_schemas::{Digest, Millis, Partition, SagaId};

use super::super::error::ApiError;
use super::super::model::{Reported, Tally};
use super::super::sagas::definition_of;

/// Sagas read at once.
const AT_ONCE: usize = 200;
/// Sagas looked at for one page: where few are to be asked after, pages are short, not slow.
const MOST_LOOKED_AT: u64 = 20_000;

/// Which effects are wanted, and how they are asked after.
pub struct Filter<'a> {
    pub participant: Option<&'a str>,
    /// Sagas that ended then or later, milliseconds since 1970.
    pub ended_from: Option<Millis>,
    pub without: BTreeSet<&'a str>,
    pub key: &'a Key,
    /// Where answers go.
    pub topic: &'a str,
    pub attempt: u32,
    pub now: Millis,
    pub deadline: Millis,
    /// Questions of one page.
    pub most: usize,
}

/// An effect that is to be asked after.
pub struct Picked {
    pub question: Question,
    pub definition: String,
    pub key: String,
    pub report: Reported,
    /// When the saga ended.
    pub since: Millis,
}

/// Where a page begins: at this effect of this saga; without a saga, at the partition's first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    partition: Partition,
    saga: Option<SagaId>,
    effect: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let saga = self.saga.map_or_else(String::new, |saga| saga.to_string());
        write!(f, "{}.{saga}.{}", self.partition, self.effect)
    }
}

impl FromStr for Cursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let [partition, saga, effect] = text.split('.').collect::<Vec<_>>()[..] else { return Err(()) };
        let saga = if saga.is_empty() { None } else { Some(saga.parse().map_err(|_| ())?) };
        Ok(Self { partition: partition.parse().map_err(|_| ())?, saga, effect: effect.parse().map_err(|_| ())? })
    }
}

/// What a page asks after.
pub struct Portion {
    pub picked: Vec<Picked>,
    pub left_out: BTreeMap<String, Tally>,
    pub sagas: u64,
    pub no_probe: u64,
    /// Where the next page begins; none: there is none.
    pub next: Option<Cursor>,
    from: Cursor,
    looked_at: u64,
    /// Questions of this page, by participant.
    asked: BTreeMap<String, usize>,
}

/// What one partition is read with.
struct Source<'a> {
    read: &'a dyn Read,
    meta: Meta,
    definitions: BTreeMap<Digest, Definition>,
    /// By contract: how many commands its participant takes at once.
    limits: BTreeMap<Digest, usize>,
}

impl Portion {
    pub fn begin(from: Cursor) -> Self {
        Self {
            picked: Vec::new(),
            left_out: BTreeMap::new(),
            sagas: 0,
            no_probe: 0,
            next: None,
            from,
            looked_at: 0,
            asked: BTreeMap::new(),
        }
    }

    /// Whether there is room, and this partition is not one of those that earlier pages have done.
    pub fn is_before(&self, partition: Partition) -> bool {
        self.next.is_none() && partition >= self.from.partition
    }

    /// Picks from a partition until it is done or the page is full.
    pub fn add(&mut self, partition: Partition, reader: &dyn Reader, filter: &Filter<'_>) -> Result<(), ApiError> {
        let snapshot = reader.snapshot();
        let read = snapshot.as_ref();
        let Some(meta) = view::meta(read)? else { return Ok(()) };
        let mut source = Source { read, meta, definitions: BTreeMap::new(), limits: BTreeMap::new() };
        let from = Some(self.from).filter(|from| from.partition == partition).unwrap_or_default();
        let mut after = from.saga;
        if let Some(saga) = after.map(|id| view::saga(read, id)).transpose()?.flatten()
            && let Some(effect) = self.saga(&mut source, filter, &saga, from.effect)?
        {
            self.next = Some(Cursor { partition, saga: Some(saga.id), effect });
            return Ok(());
        }
        loop {
            let sagas = view::sagas(read, after, AT_ONCE)?;
            for saga in &sagas {
                if self.looked_at >= MOST_LOOKED_AT {
                    self.next = Some(Cursor { partition, saga: Some(saga.id), effect: 0 });
                    return Ok(());
                }
                if let Some(effect) = self.saga(&mut source, filter, saga, 0)? {
                    self.next = Some(Cursor { partition, saga: Some(saga.id), effect });
                    return Ok(());
                }
            }
            match sagas.last() {
                Some(last) if sagas.len() == AT_ONCE => after = Some(last.id),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Picks from a saga, beginning at an effect. The effect for which there is no room, if there is one.
    fn saga(
        &mut self,
        source: &mut Source<'_>,
        filter: &Filter<'_>,
        saga: &Saga,
        from: u32,
    ) -> Result<Option<u32>, ApiError> {
        self.looked_at += 1;
        let Phase::Ended { at: since, .. } = saga.phase else { return Ok(None) };
        if filter.ended_from.is_some_and(|from| since < from) {
            return Ok(None);
        }
        // A page that goes on in the middle of a saga: the one before has counted it.
        self.sagas += u64::from(from == 0);
        for effect in from..saga.effects.len() as u32 {
            if !self.effect(source, filter, (saga, since), effect)? {
                return Ok(Some(effect));
            }
        }
        Ok(None)
    }

    /// False: there is no room for it on this page.
    fn effect(
        &mut self,
        source: &mut Source<'_>,
        filter: &Filter<'_>,
        (saga, since): (&Saga, Millis),
        effect: u32,
    ) -> Result<bool, ApiError> {
        let (definition, meta) = source.definition(saga)?;
        let of = &saga.effects[effect as usize];
        let Some(step) = definition.steps.get(of.step as usize) else { return Ok(true) };
        let Verb::Call(call) = &step.verb else { return Ok(true) };
        let participant = call.participant.as_str();
        if of.tries.count == 0 || filter.participant.is_some_and(|wanted| wanted != participant) {
            return Ok(true);
        }
        if filter.without.contains(participant) && call.probe.is_some() {
            self.left_out.entry(participant.to_owned()).or_default().left_out += 1;
            return Ok(true);
        }
        let Filter { key, topic, attempt, now, deadline, .. } = *filter;
        // The topic has one partition.
        let asking = Asking { key, meta, reply: (topic, 0), attempt, now, deadline };
        let Some(question) = beside::probe(asking, definition, saga, effect) else {
            self.no_probe += 1;
            return Ok(true);
        };
        let (name, contract) = (definition.saga.clone(), definition.contracts.get(participant).copied());
        let limit = contract.map(|contract| source.limit(contract)).transpose()?.unwrap_or(usize::MAX);
        let asked = self.asked.entry(question.participant.clone()).or_default();
        if self.picked.len() >= filter.most || *asked >= limit {
            return Ok(false);
        }
        *asked += 1;
        let report = match stands(&of.outcome, &of.undo) {
            Some(true) => Reported::Applied,
            Some(false) => Reported::Void,
            None => Reported::Unknown,
        };
        self.picked.push(Picked { question, definition: name, key: saga.key.clone(), report, since });
        Ok(true)
    }
}

impl Source<'_> {
    fn definition(&mut self, saga: &Saga) -> Result<(&Definition, &Meta), ApiError> {
        if !self.definitions.contains_key(&saga.definition) {
            self.definitions.insert(saga.definition, definition_of(self.read, saga)?);
        }
        Ok((&self.definitions[&saga.definition], &self.meta))
    }

    /// A participant is not asked for more at once than its contract says.
    fn limit(&mut self, contract: Digest) -> Result<usize, StoreError> {
        if let Some(limit) = self.limits.get(&contract) {
            return Ok(*limit);
        }
        let known = view::contract(self.read, contract)?;
        let limit = known.and_then(|(contract, _)| contract.limits.in_flight);
        let limit = limit.map_or(usize::MAX, |limit| limit.max(1) as usize);
        self.limits.insert(contract, limit);
        Ok(limit)
    }
}

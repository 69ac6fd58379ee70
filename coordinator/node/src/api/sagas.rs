//! Reading sagas: pages over all partitions, one by id or by key, its history. Each answer says how fresh it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use sagaline_definition::Definition;
use sagaline_engine::Saga;
use sagaline_partition::store::Read;
use sagaline_partition::view;
use sagaline_schemas::{Digest, Millis, SagaId, Value};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Params, blocking};
use super::model::{Counts, ErrorCode, Fresh, Happening, History, SagaDetail, SagaLine, SagaPage, Status, WorkPage};
use super::{Api, describe, reader};
use crate::PartitionHandle;

/// Sagas read at once.
const AT_ONCE: usize = 500;
/// Sagas looked at per partition for one page: a rare filter gives short pages, not long waits.
const MOST_LOOKED_AT: usize = 20_000;
/// Sagas on a page unless said, and at most.
const PAGE: (usize, usize) = (100, 1000);

/// Which sagas are wanted, and from where on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    definition: Option<String>,
    status: Option<Status>,
    /// `true`: those that have not ended only.
    live: Option<bool>,
    owner: Option<String>,
    waiting_on: Option<String>,
    /// Started at least so many milliseconds ago, by the log's wall clock.
    older_than: Option<Millis>,
    limit: Option<usize>,
    cursor: Option<SagaId>,
}

impl Filter {
    fn takes(&self, line: &SagaLine, now: Millis) -> bool {
        let named = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        named(&self.definition, &line.definition)
            && named(&self.owner, &line.owner)
            && self.status.is_none_or(|status| status == line.status)
            && (self.live != Some(true) || !line.status.is_ended())
            && self.waiting_on.as_ref().is_none_or(|wanted| line.waiting_on.contains(wanted))
            && self.older_than.is_none_or(|age| now.saturating_sub(line.started_at) >= age)
    }
}

/// Definitions of one partition as they are met.
#[derive(Default)]
struct Definitions(BTreeMap<Digest, Arc<Definition>>);

impl Definitions {
    fn of(&mut self, read: &dyn Read, saga: &Saga) -> Result<Arc<Definition>, ApiError> {
        if let Some(known) = self.0.get(&saga.definition) {
            return Ok(Arc::clone(known));
        }
        let found = Arc::new(definition_of(read, saga)?);
        self.0.insert(saga.definition, Arc::clone(&found));
        Ok(found)
    }
}

pub(super) fn definition_of(read: &dyn Read, saga: &Saga) -> Result<Definition, ApiError> {
    view::definition(read, saga.definition)?.ok_or_else(|| {
        let message = format!("the store lacks the definition {} of saga {}", saga.definition, saga.id);
        ApiError::new(ErrorCode::Broken, message, "`sagaline rebuild` makes the store anew from the log")
    })
}

/// How far what is read here is folded, and how far the log goes as last heard.
fn fresh(handle: &PartitionHandle, read: &dyn Read) -> Result<Fresh, ApiError> {
    let position = view::meta(read)?.map_or(0, |meta| meta.next);
    Ok(Fresh { partition: handle.number, position, log_end: handle.status().log_end.max(position) })
}

/// What one partition adds to a page.
struct Part {
    lines: Vec<SagaLine>,
    /// How far it was looked at; none: to its end.
    through: Option<SagaId>,
    fresh: Fresh,
}

pub(super) async fn list(State(api): State<Api>, Params(filter): Params<Filter>) -> Result<Json<SagaPage>, ApiError> {
    blocking(move || page(&api, &filter)).await.map(Json)
}

fn page(api: &Api, filter: &Filter) -> Result<SagaPage, ApiError> {
    let limit = filter.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    let now = api.node.log().wall_clock();
    let mut lines = Vec::new();
    let mut frontier: Option<SagaId> = None;
    let mut fresh = Vec::new();
    for handle in api.node.partitions() {
        let part = part(&handle, filter, limit, now)?;
        frontier = [frontier, part.through].into_iter().flatten().min();
        lines.extend(part.lines);
        fresh.push(part.fresh);
    }
    lines.sort_by_key(|line| line.id);
    // Behind the frontier some partition has not been looked at: its sagas must not be passed over.
    lines.retain(|line| frontier.is_none_or(|frontier| line.id <= frontier));
    let more = lines.len() > limit;
    lines.truncate(limit);
    let next = if more { lines.last().map(|line| line.id) } else { frontier };
    Ok(SagaPage { sagas: lines, next, fresh })
}

fn part(handle: &PartitionHandle, filter: &Filter, limit: usize, now: Millis) -> Result<Part, ApiError> {
    let reader = reader(handle)?;
    let snapshot = reader.snapshot();
    let mut definitions = Definitions::default();
    let fresh = fresh(handle, snapshot.as_ref())?;
    let mut part = Part { lines: Vec::new(), through: filter.cursor, fresh };
    let mut looked_at = 0;
    while part.lines.len() <= limit && looked_at < MOST_LOOKED_AT {
        let sagas = view::sagas(snapshot.as_ref(), part.through, AT_ONCE)?;
        looked_at += sagas.len();
        for saga in &sagas {
            let line = describe::line(handle.number, &*definitions.of(snapshot.as_ref(), saga)?, saga);
            part.lines.extend(Some(line).filter(|line| filter.takes(line, now)));
        }
        match sagas.last() {
            Some(last) if sagas.len() == AT_ONCE => part.through = Some(last.id),
            _ => return Ok(Part { through: None, ..part }),
        }
    }
    Ok(part)
}

/// Which work is wanted, and from where on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkFilter {
    /// `stuck`, `held` or `approval`.
    kind: Option<String>,
    definition: Option<String>,
    /// A team, or a role or user that may decide.
    owner: Option<String>,
    cursor: Option<SagaId>,
}

pub(super) async fn work(
    State(api): State<Api>,
    Params(filter): Params<WorkFilter>,
) -> Result<Json<WorkPage>, ApiError> {
    blocking(move || work_page(&api, &filter)).await.map(Json)
}

/// The work of one page of live sagas.
fn work_page(api: &Api, filter: &WorkFilter) -> Result<WorkPage, ApiError> {
    let live = Filter {
        definition: filter.definition.clone(),
        live: Some(true),
        limit: Some(PAGE.1),
        cursor: filter.cursor,
        ..Filter::default()
    };
    let SagaPage { sagas, next, fresh } = page(api, &live)?;
    let mut found = Vec::new();
    for saga in sagas {
        let Some(handle) = api.node.partitions().into_iter().find(|handle| handle.number == saga.partition) else {
            continue;
        };
        let items = detail(&handle, saga.id)?.work;
        found.extend(items.into_iter().filter(|item| {
            let owned = |owner: &String| item.owner.split(", ").any(|one| one == owner);
            filter.kind.as_ref().is_none_or(|kind| *kind == item.kind) && filter.owner.as_ref().is_none_or(owned)
        }));
    }
    Ok(WorkPage { work: found, next, fresh })
}

pub(super) async fn counts(State(api): State<Api>) -> Result<Json<Counts>, ApiError> {
    blocking(move || count(&api)).await.map(Json)
}

pub(super) fn count(api: &Api) -> Result<Counts, ApiError> {
    let mut by_status: BTreeMap<Status, u64> = Status::ALL.into_iter().map(|status| (status, 0)).collect();
    let mut fresh_all = Vec::new();
    for handle in api.node.partitions() {
        let reader = reader(&handle)?;
        let snapshot = reader.snapshot();
        fresh_all.push(fresh(&handle, snapshot.as_ref())?);
        let mut after = None;
        loop {
            let sagas = view::sagas(snapshot.as_ref(), after, AT_ONCE)?;
            for saga in &sagas {
                *by_status.entry(describe::status(saga)).or_default() += 1;
            }
            match sagas.last() {
                Some(last) if sagas.len() == AT_ONCE => after = Some(last.id),
                _ => break,
            }
        }
    }
    Ok(Counts { by_status, fresh: fresh_all })
}

/// The partition that holds a saga. An id does not tell its partition: each is asked, and one that can't be read keeps nobody from the others.
pub(super) fn find(api: &Api, id: SagaId) -> Result<PartitionHandle, ApiError> {
    let mut unread = None;
    for handle in api.node.partitions() {
        match reader(&handle) {
            Ok(reader) if view::saga(&*reader, id)?.is_some() => return Ok(handle),
            Ok(_) => {}
            Err(error) => unread = unread.or(Some(error)),
        }
    }
    Err(unread.unwrap_or_else(|| {
        ApiError::not_found(
            format!("no saga {id} is remembered"),
            "`sagaline ps --all` lists all; ended ones are forgotten after a while",
        )
    }))
}

pub(super) fn find_key(api: &Api, definition: &str, key: &str) -> Result<(PartitionHandle, SagaId), ApiError> {
    let handle = api.partition_of(key)?;
    let saga = view::saga_of_key(&*reader(&handle)?, definition, key)?.ok_or_else(|| {
        let message = format!("no saga of {definition} has the key {key:?}, or it is forgotten");
        ApiError::not_found(message, "`sagaline ps --all` lists all; `sagaline start DEFINITION KEY` begins one")
    })?;
    Ok((handle, saga.id))
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<SagaDetail>, ApiError> {
    let id = saga_id(&id)?;
    blocking(move || find(&api, id).and_then(|handle| detail(&handle, id))).await.map(Json)
}

/// A saga's name among people.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByKey {
    definition: String,
    key: String,
}

pub(super) async fn show_key(
    State(api): State<Api>,
    Params(named): Params<ByKey>,
) -> Result<Json<SagaDetail>, ApiError> {
    let work = move || find_key(&api, &named.definition, &named.key).and_then(|(handle, id)| detail(&handle, id));
    blocking(work).await.map(Json)
}

fn detail(handle: &PartitionHandle, id: SagaId) -> Result<SagaDetail, ApiError> {
    let reader = reader(handle)?;
    let snapshot = reader.snapshot();
    let gone =
        || ApiError::not_found(format!("saga {id} was forgotten just now"), "ended sagas are kept for a while only");
    let saga = view::saga(snapshot.as_ref(), id)?.ok_or_else(gone)?;
    detail_of(snapshot.as_ref(), &saga, fresh(handle, snapshot.as_ref())?)
}

/// A saga as a store has it.
pub(super) fn detail_of(read: &dyn Read, saga: &Saga, fresh: Fresh) -> Result<SagaDetail, ApiError> {
    let definition = definition_of(read, saga)?;
    let report = sagaline_engine::report::report(&definition, saga);
    Ok(SagaDetail {
        line: describe::line(fresh.partition, &definition, saga),
        input: Value::parse(&saga.input).unwrap_or_default(),
        steps_in_order: describe::steps(&definition, saga),
        work: describe::work(fresh.partition, &definition, saga),
        timers: describe::timers(&definition, saga),
        report: serde_json::to_value(report).expect("a report has text keys and finite numbers only"),
        fresh,
    })
}

pub(super) async fn history(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<History>, ApiError> {
    let id = saga_id(&id)?;
    blocking(move || story(&api, id)).await.map(Json)
}

fn story(api: &Api, id: SagaId) -> Result<History, ApiError> {
    let handle = find(api, id)?;
    let reader = reader(&handle)?;
    let snapshot = reader.snapshot();
    let gone =
        || ApiError::not_found(format!("saga {id} was forgotten just now"), "ended sagas are kept for a while only");
    let saga = view::saga(snapshot.as_ref(), id)?.ok_or_else(gone)?;
    let history = story_of(snapshot.as_ref(), &saga)?;
    Ok(History { id, history, fresh: fresh(&handle, snapshot.as_ref())? })
}

/// What happened to a saga, as a store has it.
pub(super) fn story_of(read: &dyn Read, saga: &Saga) -> Result<Vec<Happening>, ApiError> {
    let definition = definition_of(read, saga)?;
    let entries = view::history(read, saga)?;
    Ok(entries.iter().flat_map(|entry| describe::happenings(&definition, saga, entry)).collect())
}

pub(super) fn saga_id(text: &str) -> Result<SagaId, ApiError> {
    let help = "a saga's id is a UUID; by definition and key: /v1/sagas/by-key?definition=NAME&key=KEY";
    text.parse().map_err(|_| ApiError::bad(format!("{text:?} is no saga's id"), help))
}

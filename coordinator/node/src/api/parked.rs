//! Records that were set aside, read from their topic; and the word that an input is to be passed over.

use axum::Json;
use axum::extract::State;
use sagaline_log::{Fetched, LogError};
use sagaline_schemas::output::Parked;
use sagaline_schemas::proof::open_single_object;
use sagaline_schemas::record::Fault;
use sagaline_schemas::schema;
use sagaline_schemas::wire::Wire;
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Body, Params, blocking};
use super::model::{ParkedLine, ParkedPage, Skip, Skipped};
use super::requests::check_text;
use super::{Api, failed, unreachable};
use crate::sealed;

/// Records shown unless said, and at most.
const PAGE: (i64, i64) = (50, 1000);

/// How many.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    limit: Option<i64>,
}

pub(super) async fn list(State(api): State<Api>, Params(newest): Params<Newest>) -> Result<Json<ParkedPage>, ApiError> {
    let limit = newest.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
    blocking(move || page(&api, limit).map_err(|error| unreachable(&error))).await.map(Json)
}

fn page(api: &Api, limit: i64) -> Result<ParkedPage, LogError> {
    let (log, topic) = (&**api.node.log(), api.node.names().of_channel("parked"));
    let partitions = log.topic(&topic)?.ok_or_else(|| LogError::NoTopic { topic: topic.clone() })?.partitions;
    let mut page = ParkedPage { parked: Vec::new(), total: 0 };
    for partition in 0..partitions {
        let (start, end) = sealed::bounds(log, &topic, partition)?;
        page.total += end - start;
        let records = sealed::read(log, &topic, partition, start.max(end - limit), end)?;
        page.parked.extend(records.iter().filter_map(line));
    }
    page.parked.sort_by_key(|line| (line.time, line.partition, line.offset));
    let surplus = page.parked.len().saturating_sub(limit as usize);
    page.parked.drain(..surplus);
    Ok(page)
}

/// What a record of the topic says; none: somebody else wrote it.
fn line(record: &Fetched) -> Option<ParkedLine> {
    let input = open_single_object(schema::PARKED.fingerprint, &record.record.value).ok()?;
    let parked = Parked::from_bytes(input.rest()).ok()?;
    Some(ParkedLine {
        partition: parked.partition,
        offset: parked.offset,
        time: parked.time,
        reason: format!("{:?}", parked.reason),
        detail: parked.detail,
        length: parked.length,
        digest: parked.digest,
    })
}

pub(super) async fn skip(State(api): State<Api>, Body(skip): Body<Skip>) -> Result<Json<Skipped>, ApiError> {
    check_text("by", &skip.by)?;
    check_text("reason", &skip.reason)?;
    if skip.reason.is_empty() || skip.by.is_empty() {
        return Err(ApiError::bad("a skip needs `by` and `reason`", "sagaline skip PARTITION OFFSET --reason WHY"));
    }
    let Skip { partition, offset, timer, by, reason } = skip;
    blocking(move || {
        let fault = Fault { offset, timer, by, reason };
        let fault = api.node.skip(partition, fault).map_err(|error| failed(&error))?;
        Ok(Skipped { partition, fault })
    })
    .await
    .map(Json)
}

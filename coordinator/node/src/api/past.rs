//! A saga as it was: its partition is folded up to a moment, beside the fold that runs, and the saga is read there.

use axum::Json;
use axum::extract::State;
use sagaline_partition::view;
use sagaline_schemas::{Millis, Offset};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Params, blocking};
use super::model::{ErrorCode, Fresh, PastPage};
use super::sagas::{detail_of, find, saga_id, story_of};
use super::{Api, failed};
use crate::node::{Moment, Past, PastError};

/// Which saga, and when: an offset of its inbox partition, or a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    saga: Option<String>,
    definition: Option<String>,
    key: Option<String>,
    offset: Option<Offset>,
    time: Option<Millis>,
}

pub(super) async fn show(State(api): State<Api>, Params(asked): Params<Asked>) -> Result<Json<PastPage>, ApiError> {
    blocking(move || page(&api, &asked)).await.map(Json)
}

fn page(api: &Api, asked: &Asked) -> Result<PastPage, ApiError> {
    let moment = match (asked.offset, asked.time) {
        (Some(offset), None) if offset >= 0 => Moment::Offset(offset),
        (None, Some(time)) => Moment::Time(time),
        _ => {
            return Err(ApiError::bad(
                "which moment?",
                "say either `offset`, from 0 on, or `time`, milliseconds since 1970",
            ));
        }
    };
    let (handle, named) = match (&asked.saga, &asked.definition, &asked.key) {
        (Some(id), None, None) => {
            let id = saga_id(id)?;
            (find(api, id)?, Named::Id(id))
        }
        (None, Some(definition), Some(key)) => {
            (api.partition_of(key)?, Named::Key { definition: definition.clone(), key: key.clone() })
        }
        _ => return Err(ApiError::bad("which saga?", "say either `saga`, or `definition` and `key`")),
    };
    let past = api.node.past(handle.number, moment).map_err(|error| refused(&error))?;
    let log_end = handle.status().log_end.max(past.next);
    let fresh = Fresh { partition: handle.number, position: past.next, log_end };
    read(&past, &named, fresh)
}

enum Named {
    Id(sagaline_schemas::SagaId),
    Key { definition: String, key: String },
}

fn read(past: &Past<'_>, named: &Named, fresh: Fresh) -> Result<PastPage, ApiError> {
    let snapshot = past.reader().snapshot();
    let (found, name) = match named {
        Named::Id(id) => (view::saga(snapshot.as_ref(), *id)?, id.to_string()),
        Named::Key { definition, key } => {
            (view::saga_of_key(snapshot.as_ref(), definition, key)?, format!("{definition}/{key}"))
        }
    };
    let saga = found.ok_or_else(|| {
        let message =
            format!("there was no saga {name} before offset {} of inbox partition {}", past.next, fresh.partition);
        ApiError::not_found(message, "ask for a later moment; ended sagas are kept for a while only")
    })?;
    Ok(PastPage {
        history: story_of(snapshot.as_ref(), &saga)?,
        saga: detail_of(snapshot.as_ref(), &saga, fresh)?,
        time: past.time,
        folded_from: past.from,
    })
}

fn refused(error: &PastError) -> ApiError {
    let (code, help) = match error {
        PastError::Node(error) => return failed(error),
        PastError::TooEarly { .. } | PastError::TooLate { .. } => {
            (ErrorCode::NotFound, "`sagaline show` tells the offsets and times of what happened to a saga")
        }
        PastError::Gone { .. } => {
            (ErrorCode::NotFound, "`sagaline checkpoint list` shows from where on it can be made")
        }
        PastError::TooFar { .. } | PastError::TooSlow => (
            ErrorCode::Refused,
            "take checkpoints more often (`checkpoints.every`): the nearest before the moment is folded from",
        ),
        PastError::Busy => (ErrorCode::Busy, "ask again in a moment"),
        PastError::Panicked => (ErrorCode::Broken, "report it, with what this node's log says"),
    };
    ApiError::new(code, error.to_string(), help)
}

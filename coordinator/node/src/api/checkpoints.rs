//! Checkpoints: what there is, and taking one now. Verifying is for another process, or the node's own threads.

use axum::Json;
use axum::extract::State;

use super::error::ApiError;
use super::extract::{Body, blocking};
use super::model::{CheckpointLine, CheckpointPage, ErrorCode, TakeCheckpoint};
use super::{Api, failed as node_failed};
use crate::checkpoint::CheckpointError;

pub(super) async fn list(State(api): State<Api>) -> Result<Json<CheckpointPage>, ApiError> {
    blocking(move || page(&api)).await.map(Json)
}

fn page(api: &Api) -> Result<CheckpointPage, ApiError> {
    let (url, found) = api.node.checkpoints().map_err(|error| node_failed(&error))?;
    let partitions = api.node.inbox().partitions;
    let lines = (0..)
        .zip(&found)
        .flat_map(|(partition, found)| found.iter().map(move |found| CheckpointLine::of(partition, found)));
    Ok(CheckpointPage { url, partitions, checkpoints: lines.collect() })
}

pub(super) async fn take(
    State(api): State<Api>,
    Body(wanted): Body<TakeCheckpoint>,
) -> Result<Json<CheckpointLine>, ApiError> {
    let take = move || {
        let taken = api.node.take_checkpoint(wanted.partition).map_err(|error| node_failed(&error))?;
        Ok(CheckpointLine::of_kept(&taken))
    };
    blocking(take).await.map(Json)
}

pub(super) fn failed(error: &CheckpointError) -> ApiError {
    let (code, help) = match error {
        CheckpointError::NotKept => (ErrorCode::Refused, "`sagaline dev` keeps them below its data directory"),
        CheckpointError::NotMade { .. } => (ErrorCode::Busy, "`sagaline watch` shows where the partitions stand"),
        CheckpointError::None { .. } => (ErrorCode::NotFound, "`sagaline checkpoint list` shows what there is"),
        CheckpointError::Address { .. } | CheckpointError::Vault { .. } | CheckpointError::Log(_) => {
            (ErrorCode::Unreachable, "see to the object store, then ask again: what was begun is not there")
        }
        CheckpointError::GivenUp => (ErrorCode::Unreachable, "ask again once it runs"),
        CheckpointError::Disk { .. }
        | CheckpointError::Unproven { .. }
        | CheckpointError::Unreadable { .. }
        | CheckpointError::Damaged { .. }
        | CheckpointError::Store(_)
        | CheckpointError::Verify(_) => (ErrorCode::Broken, "`sagaline checkpoint list` shows what can be used"),
    };
    ApiError::new(code, error.to_string(), help)
}

//! The settings in force, and changing them: a record to every partition, each acknowledged, and awaited where a partition folds.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::error::ApiError;
use super::extract::{Body, blocking};
use super::model::{ErrorCode, PartitionSettings, SetSettings, SettingsPage};
use super::requests::check_text;
use super::{Api, failed};
use crate::node::SetError;
use crate::settings::plan::newest;
use crate::settings::shown;

pub(super) async fn show(State(api): State<Api>) -> Result<Json<SettingsPage>, ApiError> {
    blocking(move || page(&api)).await.map(Json)
}

pub(super) async fn set(
    State(api): State<Api>,
    Body(wanted): Body<SetSettings>,
) -> Result<Json<SettingsPage>, ApiError> {
    check_text("by", &wanted.by)?;
    if wanted.by.is_empty() {
        return Err(ApiError::bad("nobody asks: `by` is empty", "say who asks"));
    }
    let set = move || {
        api.node.set_settings(&wanted.set, &wanted.by).map_err(|error| refused(&error))?;
        page(&api)
    };
    blocking(set).await.map(Json)
}

fn refused(error: &SetError) -> ApiError {
    match error {
        SetError::Settings(error) => ApiError::bad(error.to_string(), "`sagaline settings` shows them all"),
        SetError::Unsafe(stop) => ApiError::new(ErrorCode::Refused, stop.to_string(), "nothing was changed"),
        SetError::NotLive { .. } => ApiError::new(ErrorCode::Busy, error.to_string(), "nothing was changed"),
        SetError::Unknown => ApiError::new(ErrorCode::Halted, error.to_string(), "`sagaline watch` shows why"),
        SetError::AtOnce => ApiError::new(ErrorCode::Refused, error.to_string(), "look at them, and set them again"),
        SetError::Node(error) => failed(error),
    }
}

fn page(api: &Api) -> Result<SettingsPage, ApiError> {
    let known = api.node.settings().map_err(|error| failed(&error))?;
    let (version, settings): (i64, BTreeMap<String, Value>) = newest(&known)
        .map(|(version, settings)| (*version, shown(settings)))
        .ok_or_else(|| refused(&SetError::Unknown))?;
    let line = |(partition, known): (u32, &Option<(i64, _)>)| PartitionSettings {
        partition,
        version: known.as_ref().map(|(version, _)| *version),
    };
    Ok(SettingsPage { version, settings, partitions: (0..).zip(&known).map(line).collect() })
}

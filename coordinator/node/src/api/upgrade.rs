//! The rules' version: what is in force, what this node knows, and raising it: a record to every partition.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use sagaline_partition::Rules;

use super::error::ApiError;
use super::extract::{Body, blocking};
use super::model::{ErrorCode, PartitionRules, Raise, UpgradePage};
use super::requests::check_text;
use super::{Api, failed};
use crate::PartitionHandle;
use crate::node::RaiseError;

pub(super) async fn show(State(api): State<Api>) -> Result<Json<UpgradePage>, ApiError> {
    blocking(move || page(&api)).await.map(Json)
}

pub(super) async fn raise(State(api): State<Api>, Body(wanted): Body<Raise>) -> Result<Json<UpgradePage>, ApiError> {
    check_text("by", &wanted.by)?;
    if wanted.by.is_empty() {
        return Err(ApiError::bad("nobody asks: `by` is empty", "say who asks"));
    }
    let raise = move || {
        api.node.raise_rules(wanted.to, &wanted.by).map_err(|error| refused(&error))?;
        page(&api)
    };
    blocking(raise).await.map(Json)
}

fn refused(error: &RaiseError) -> ApiError {
    let (code, help) = match error {
        RaiseError::Unknown { .. } | RaiseError::Lower { .. } => {
            (ErrorCode::Refused, "nothing was changed; `sagaline upgrade status` shows what is in force")
        }
        RaiseError::NotLive { .. } => (ErrorCode::Busy, "nothing was changed"),
        RaiseError::Node(error) => return failed(error),
    };
    ApiError::new(code, error.to_string(), help)
}

fn page(api: &Api) -> Result<UpgradePage, ApiError> {
    let in_force = api.node.rules().map_err(|error| failed(&error))?;
    let partitions: Vec<PartitionRules> = api.node.partitions().iter().zip(in_force).map(line).collect();
    let known = api.node.known_rules();
    let lacks = |one: &PartitionRules| one.version.is_none_or(|version| version < known.newest);
    let others: BTreeSet<String> = partitions
        .iter()
        .map(|one| one.published_by.clone())
        .filter(|node| !node.is_empty() && *node != api.name)
        .collect();
    Ok(UpgradePage {
        node: api.name.clone(),
        oldest: known.oldest,
        newest: known.newest,
        in_force: partitions.iter().filter_map(|one| one.version).min(),
        raise_to: partitions.iter().any(lacks).then_some(known.newest),
        partitions,
        others: others.into_iter().collect(),
    })
}

fn line((handle, rules): (&PartitionHandle, Option<Rules>)) -> PartitionRules {
    let status = handle.status();
    PartitionRules {
        partition: handle.number,
        version: rules.map(Rules::version),
        published_by: status.claimed_by,
        halted: status.standing.halted().map(str::to_owned),
    }
}

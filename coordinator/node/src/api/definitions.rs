//! Definitions and contracts: what is known, and applying more of it. What applying means stands in `registry/apply.rs`.

use axum::Json;
use axum::extract::State;
use sagaline_definition::Contract;
use sagaline_definition::model::Definition;
use sagaline_schemas::Digest;

use super::error::ApiError;
use super::extract::{Body, LARGE, blocking};
use super::model::{Applied, Apply, ContractLine, DefinitionLine};
use super::{Api, failed};
use crate::registry::ApplyOptions;

pub(super) async fn list(State(api): State<Api>) -> Json<Vec<DefinitionLine>> {
    let catalogue = api.node.registry().catalogue();
    let known = catalogue.definitions.iter();
    let mut lines: Vec<DefinitionLine> = known
        .map(|(digest, known)| {
            line(*digest, &known.definition, catalogue.active.get(&known.definition.saga) == Some(digest))
        })
        .collect();
    lines.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Json(lines)
}

fn line(digest: Digest, definition: &Definition, active: bool) -> DefinitionLine {
    let step = |step: &sagaline_definition::model::Step| {
        format!("{}: {}", step.step, super::describe::verb_in_words(&step.verb))
    };
    DefinitionLine {
        name: definition.saga.clone(),
        version: definition.version.clone(),
        digest,
        active,
        owner: definition.owner.clone(),
        topic: definition.start.topic.clone(),
        steps: definition.steps.iter().map(step).collect(),
    }
}

pub(super) async fn contracts(State(api): State<Api>) -> Json<Vec<ContractLine>> {
    let catalogue = api.node.registry().catalogue();
    let line = |digest: Digest, contract: &Contract, command_partitions: u32| ContractLine {
        participant: contract.participant.clone(),
        version: contract.version.clone(),
        digest,
        owner: contract.owner.clone(),
        command_partitions,
        operations: contract.operations.keys().cloned().collect(),
    };
    let known = catalogue.contracts.iter();
    let mut lines: Vec<ContractLine> =
        known.map(|(digest, known)| line(*digest, &known.contract, known.command_partitions)).collect();
    lines.sort_by(|a, b| (&a.participant, &a.version).cmp(&(&b.participant, &b.version)));
    Json(lines)
}

pub(super) async fn apply(State(api): State<Api>, Body(wanted): Body<Apply, LARGE>) -> Result<Json<Applied>, ApiError> {
    if wanted.contracts.is_empty() && wanted.definitions.is_empty() {
        return Err(ApiError::bad("there is nothing to apply", "send `contracts` and `definitions`"));
    }
    tracing::info!(by = wanted.by, definitions = wanted.definitions.len(), "definitions are applied");
    let options = ApplyOptions {
        contracts: wanted.contracts,
        definitions: wanted.definitions,
        topics: api.topics.clone(),
        by: wanted.by,
    };
    let applied = blocking(move || api.node.apply(&options).map_err(|error| failed(&error))).await?;
    Ok(Json(Applied { contracts: applied.contracts, definitions: applied.definitions }))
}

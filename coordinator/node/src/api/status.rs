//! How the node does: health for machines, partitions with their channels for people.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use sagaline_schemas::{Offset, Partition};
use serde::Serialize;

use super::Api;
use crate::ingress::IngressStatus;
use crate::{PartitionStatus, Standing};

/// Health in a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Health {
    /// Every partition is live here, or stands by for the node that publishes for it.
    healthy: bool,
    /// This program.
    version: &'static str,
    /// Why not, a line each.
    why: Vec<String>,
}

pub(super) async fn health(State(api): State<Api>) -> (StatusCode, Json<Health>) {
    let mut why: Vec<String> = api.node.partitions().iter().filter_map(|handle| unhealthy(&handle.status())).collect();
    why.extend(
        api.node
            .partitions()
            .iter()
            .filter_map(|handle| handle.refuted().map(|refuted| format!("partition {}: {refuted}", handle.number))),
    );
    why.extend(api.node.ingress().trouble.map(|trouble| format!("ingress: {trouble}")));
    why.extend(api.node.membership_trouble().map(|trouble| format!("membership: {trouble}")));
    let status = if why.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Health { healthy: why.is_empty(), version: env!("CARGO_PKG_VERSION"), why }))
}

fn unhealthy(status: &PartitionStatus) -> Option<String> {
    let number = status.partition;
    match &status.standing {
        Standing::Live | Standing::Standby => {
            status.trouble.as_ref().map(|trouble| format!("partition {number}: {trouble}"))
        }
        Standing::Halted { reason } => Some(format!("partition {number} is halted: {reason}")),
        Standing::Opening | Standing::Following | Standing::Claiming => {
            let why = status.trouble.as_ref().map_or_else(String::new, |trouble| format!(": {trouble}"));
            Some(format!("partition {number} is not live yet{why}"))
        }
        Standing::Stopped => Some(format!("partition {number} is stopped")),
    }
}

/// The node and its partitions.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NodeStatus {
    /// This program.
    version: &'static str,
    /// The node's name.
    node: String,
    /// Its log.
    log: String,
    /// Wall clock of the log, milliseconds since 1970.
    wall: i64,
    /// Its partitions.
    partitions: Vec<PartitionStatus>,
    /// Whether it keeps checkpoints.
    keeps_checkpoints: bool,
    /// What hinders keeping checkpoints, by partition.
    checkpoints_trouble: BTreeMap<Partition, String>,
    /// What ingress does.
    ingress: IngressStatus,
    /// Records of the topic `definitions` that changed nothing, the newest: offset and why.
    refused_definitions: BTreeMap<Offset, String>,
}

pub(super) async fn status(State(api): State<Api>) -> Json<NodeStatus> {
    Json(NodeStatus {
        version: env!("CARGO_PKG_VERSION"),
        node: api.name.clone(),
        log: api.node.log().name(),
        wall: api.node.log().wall_clock(),
        partitions: api.node.partitions().iter().map(|handle| handle.status()).collect(),
        keeps_checkpoints: api.node.keeps_checkpoints(),
        checkpoints_trouble: api
            .node
            .partitions()
            .iter()
            .filter_map(|handle| Some((handle.number, handle.refuted().or_else(|| handle.keeping_trouble())?)))
            .collect(),
        ingress: api.node.ingress(),
        refused_definitions: api.node.registry().catalogue().refused.clone(),
    })
}

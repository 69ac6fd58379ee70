//! The HTTP API: REST and JSON under /v1, for programs of this machine only. It asks the node and reads the stores beside the folds;
//! it decides nothing about a saga. All writes become records of the inbox, with who asked.

mod callbacks;
mod checkpoints;
mod definitions;
mod describe;
mod error;
pub mod events;
mod extract;
mod gates;
pub mod model;
mod parked;
mod past;
mod reconcile;
mod requests;
mod sagas;
mod settings;
mod status;
mod upgrade;
mod wishes;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use sagaline_log::LogError;
use sagaline_partition::store::Reader;
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::record::Body;
use sagaline_schemas::{Offset, Partition};
use tokio::net::TcpListener;

use self::error::ApiError;
use self::model::ErrorCode;
use crate::registry::ApplyError;
use crate::topics::Wanted;
use crate::{Node, NodeError, PartitionHandle};

/// What the API works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The node.
    pub node: Arc<Node>,
    /// The node's name, for people.
    pub name: String,
    /// How new command topics are made.
    pub topics: Wanted,
    /// Whether events are taken: the embedded log's privilege.
    pub dev: bool,
}

/// The API could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port can't be listened at.
    #[error("the API can't listen at 127.0.0.1:{port}: {error}. Choose another port, or stop what listens there")]
    Bind {
        /// The port.
        port: u16,
        /// Why.
        error: std::io::Error,
    },
    /// It stopped by itself.
    #[error("the API stopped: {0}")]
    Stopped(std::io::Error),
}

/// Listens on the loopback interface, and nowhere else. Port 0: any free one.
///
/// # Errors
/// When the port can't be had.
pub async fn bind(port: u16) -> Result<TcpListener, ServeError> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    TcpListener::bind(address).await.map_err(|error| ServeError::Bind { port, error })
}

/// Serves until `stop` is ready; answers under way are given first.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    axum::serve(listener, router(api)).with_graceful_shutdown(stop).await.map_err(ServeError::Stopped)
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/health", get(status::health))
        .route("/v1/status", get(status::status))
        .route("/v1/sagas", get(sagas::list))
        .route("/v1/sagas/counts", get(sagas::counts))
        .route("/v1/sagas/by-key", get(sagas::show_key))
        .route("/v1/sagas/{id}", get(sagas::show))
        .route("/v1/sagas/{id}/history", get(sagas::history))
        .route("/v1/past", get(past::show))
        .route("/v1/requests", post(requests::ask))
        .route("/v1/requests/{id}", get(requests::show))
        .route("/v1/callbacks/{token}", post(callbacks::redeem))
        .route("/v1/work", get(sagas::work))
        .route("/v1/definitions", get(definitions::list).post(definitions::apply))
        .route("/v1/contracts", get(definitions::contracts))
        .route("/v1/gates", get(gates::list))
        .route("/v1/settings", get(settings::show).post(settings::set))
        .route("/v1/checkpoints", get(checkpoints::list).post(checkpoints::take))
        .route("/v1/upgrade", get(upgrade::show).post(upgrade::raise))
        .route("/v1/parked", get(parked::list))
        .route("/v1/reconcile", post(reconcile::look))
        .route("/v1/faults", post(parked::skip))
        .route("/v1/events", post(events::send))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
        .layer(from_fn(extract::guard))
        .with_state(api)
}

async fn nowhere(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    ApiError::not_found(format!("there is no {method} {}", uri.path()), "docs/operations.md lists what there is")
}

impl Api {
    fn partition(&self, number: Partition) -> Result<PartitionHandle, ApiError> {
        self.node
            .partition(number)
            .map_err(|error| ApiError::not_found(error.to_string(), "`sagaline watch` lists them"))
    }

    fn partition_of(&self, key: &str) -> Result<PartitionHandle, ApiError> {
        self.partition(partition_of(key, self.node.inbox().partitions))
    }

    fn append(&self, partition: Partition, body: &Body) -> Result<Offset, ApiError> {
        self.node.append(partition, body).map_err(|error| failed(&error))
    }
}

/// What a partition has committed. To be dropped soon.
fn reader(handle: &PartitionHandle) -> Result<Arc<dyn Reader>, ApiError> {
    handle.reader().ok_or_else(|| match handle.status().standing.halted() {
        Some(reason) => halted(handle, reason),
        None => {
            let message = format!("the store of partition {} is not open", handle.number);
            ApiError::new(ErrorCode::Busy, message, "ask again in a moment")
        }
    })
}

fn refuse_if_halted(handle: &PartitionHandle) -> Result<(), ApiError> {
    handle.status().standing.halted().map_or(Ok(()), |reason| Err(halted(handle, reason)))
}

fn halted(handle: &PartitionHandle, reason: &str) -> ApiError {
    let message = format!("partition {} is halted: {reason}", handle.number);
    ApiError::new(ErrorCode::Halted, message, "its sagas rest until a person has seen to it")
}

fn failed(error: &NodeError) -> ApiError {
    let (code, help) = match error {
        NodeError::Apply(ApplyError::OtherDigest { .. } | ApplyError::NoContract { .. }) => {
            (ErrorCode::Refused, "nothing was changed")
        }
        NodeError::Apply(ApplyError::OtherDigestAt { .. }) => {
            (ErrorCode::Refused, "`sagaline parked` shows what was refused")
        }
        NodeError::Apply(ApplyError::NotFolded { .. } | ApplyError::Store(_)) => (ErrorCode::Timeout, "ask again"),
        NodeError::NoPartition { .. } => (ErrorCode::NotFound, "`sagaline watch` lists them"),
        NodeError::NotFolded { .. } => (ErrorCode::Timeout, "ask again with the same Idempotency-Key"),
        NodeError::Checkpoint(error) => return checkpoints::failed(error),
        NodeError::Outdated(_) => (
            ErrorCode::Halted,
            "ask another node: `sagaline watch` shows which ones publish, and theirs know the rules",
        ),
        NodeError::Topics(_) | NodeError::Stopped(_) | NodeError::Store(_) => {
            (ErrorCode::Halted, "`sagaline watch` shows where the partitions stand")
        }
        NodeError::Log(_) | NodeError::Apply(ApplyError::Log(_)) | NodeError::Stopping | NodeError::Thread(_) => {
            (ErrorCode::Unreachable, "ask again: asking twice with the same Idempotency-Key is asking once")
        }
    };
    ApiError::new(code, error.to_string(), help)
}

fn unreachable(error: &LogError) -> ApiError {
    ApiError::new(ErrorCode::Unreachable, error.to_string(), "ask again when the log can be reached")
}

#[cfg(test)]
mod tests;

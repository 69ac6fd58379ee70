//! The node: threads around the folds, ingress, the registry, publishing. What a saga decides is none of its business. Everything but
//! `node.rs` is poll-driven: it has no threads, no sleeps, and no clock but the log's wall clock and the time that is handed in.

pub mod api;
pub mod calendar;
pub mod checkpoint;
pub mod config;
mod crowd;
pub mod doctor;
pub mod fail_point;
pub mod ingress;
mod names;
pub mod node;
pub mod owner;
pub mod registry;
pub mod sealed;
pub mod settings;
#[cfg(test)]
mod stage;
pub mod topics;
pub mod verify;
mod window;

use std::time::Duration;

pub use names::Names;
pub use node::{Node, NodeError, NodeOptions, PartitionHandle};
pub use owner::status::{ChannelStatus, Down, PartitionStatus, Standing};

/// Time since the machine was started, its sleep included. What a wall clock does has no influence on it.
pub type BootTime = Duration;

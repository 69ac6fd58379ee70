//! Tests of the fold at its boundary: records in, outputs and state out. Named after what must hold.

#![allow(clippy::unwrap_used)]

mod fault;
mod hostile;
mod progress;
mod replay;
mod sagas;
mod stage;

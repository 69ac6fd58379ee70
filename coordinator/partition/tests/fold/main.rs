//! Tests of the fold at its boundary: records in, outputs and state out. Named after what must hold.

#![allow(clippy::unwrap_used)]

mod contracts;
mod events;
mod fault;
mod gates;
mod hostile;
mod mail;
mod progress;
mod replay;
mod requests;
mod sagas;
mod stage;
mod world;

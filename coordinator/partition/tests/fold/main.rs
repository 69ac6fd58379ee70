//! Tests of the fold at its boundary: records in, outputs and state out. Named after what must hold.

#![allow(clippy::unwrap_used)]

mod contracts;
mod events;
mod fault;
mod gates;
mod golden;
mod hostile;
mod mail;
mod progress;
mod questions;
mod replay;
mod requests;
mod rules;
mod sagas;
mod stage;
mod world;

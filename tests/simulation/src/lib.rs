//! Deterministic simulation of the whole: the real owner, ingress, fold and effect store over the simulated log, one thread, virtual time.
//! A seed is a run: what befalls it, and everything that comes of it. Nothing here may ask a clock, a thread or the system for anything.

mod business;
mod chance;
mod courier;
pub mod coverage;
mod definitions;
mod forger;
mod gullible;
mod judge;
mod node;
mod orders;
mod participant;
mod people;
mod plan;
mod run;
mod scene;
mod setup;
mod store;
mod timing;

pub use run::{simulate, simulate_outage};
pub use scene::{Mutation, Totals, Violation};

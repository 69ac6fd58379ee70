//! Deterministic simulation of the whole: the real owner, ingress, fold and effect store over the simulated log, one thread, virtual time.
//! A seed is a run: what befalls it, and everything that comes of it. Nothing here may ask a clock, a thread or the system for anything.

mod business;
mod chance;
mod courier;
mod forger;
mod gullible;
mod judge;
mod node;
mod orders;
mod participant;
mod plan;
mod run;
mod scene;
mod store;
mod timing;

pub use run::{simulate, simulate_outage};
pub use scene::{Mutation, Totals, Violation};

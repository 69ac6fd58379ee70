//! The records of all topics as bytes: their codec, their proofs, their schemas and what became of those over time.

#![allow(clippy::unwrap_used, reason = "all of this is tests: what can't be unwrapped has failed")]

mod arbitrary;
mod codec;
mod evolution;
mod seal;

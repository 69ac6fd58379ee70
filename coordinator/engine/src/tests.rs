//! Tests of the engine at its boundary: a script of what comes, a readable account of what the saga does.

mod compensation;
mod forward;
mod random;
mod stage;
mod tables;

//! Tests of the engine at its boundary: a script of what comes, a readable account of what the saga does.

mod approvals;
mod by_hand;
mod children;
mod compensation;
mod facts;
mod forward;
mod gates;
mod meanwhile;
mod probes;
mod random;
mod repeated;
mod stage;
mod tables;
mod waiting;
mod words;

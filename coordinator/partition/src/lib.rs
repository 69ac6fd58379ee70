//! One inbox partition: a pure fold over its records, on a store. Knows no Kafka, no sockets, no wall clock, no threads.

pub mod digest;
pub mod store;

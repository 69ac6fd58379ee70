//! What the tests against real processes share: a Kafka broker of their own, coordinators and services, orders and what must come of them.
//! Nothing here knows what is tested.

pub mod coordinator;
pub mod damage;
pub mod dev;
pub mod form;
pub mod kafka;
pub mod orders;
pub mod process;
pub mod proxy;
pub mod rehearsal;
pub mod stack;
pub mod tables;
mod told;
pub mod topic;

//! What the tests against real processes share: a Kafka broker of their own, the coordinator and the services, orders and what must come of them.
//! Nothing here knows what is tested.

pub mod damage;
pub mod dev;
pub mod kafka;
pub mod orders;
pub mod process;
pub mod stack;

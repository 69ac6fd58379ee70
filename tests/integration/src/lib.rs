//! What the tests against real processes share: a Kafka broker of their own. Nothing here knows what is tested.

pub mod kafka;

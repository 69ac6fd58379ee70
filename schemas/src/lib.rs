//! What crosses a process boundary: ids, hashes, proofs, the records of every topic and their Avro encoding.
//! Normative text: docs/protocol.md. Nothing here may read a clock, a file or the environment.

pub mod callback;
pub mod command;
pub mod declare;
pub mod hash;
pub mod ids;
pub mod message;
pub mod output;
pub mod proof;
pub mod record;
pub mod released;
pub mod request;
pub mod schema;
pub mod settings;
pub mod state;
pub mod value;
pub mod wire;

pub use ids::*;
pub use value::Value;

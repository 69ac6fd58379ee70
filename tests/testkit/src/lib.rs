//! Scenarios for sagas in virtual time: three weeks in milliseconds, through the real engine. An author says what participants answer, in a
//! file `*.test.yaml` or with closures in `cargo test`, and what should come of it.

mod account;
mod difference;
mod file;
mod play;
mod reply;
mod stage;

pub use account::{Account, Caused, Commanded, Turned, Waited};
pub use difference::difference;
pub use file::{FileError, Outcome, run_file};
pub use sagaline_language::scenario::{Expected, Happening, Reply, Says, Scenario, What};
pub use stage::{Command, Stage};

/// A time as a scenario's `clock` says it, RFC 3339: milliseconds since 1970.
///
/// # Errors
/// When it is none.
pub fn instant(text: &str) -> Result<sagaline_schemas::Millis, String> {
    sagaline_engine::calendar::instant(&sagaline_schemas::Value::from(text))
}

/// An answer at once.
pub fn ok(result: sagaline_schemas::Value) -> Reply {
    Reply { says: Says::Ok(result), after: 0, times: 1 }
}

/// A refusal at once.
pub fn refused(code: &str) -> Reply {
    Reply { says: Says::Refused(code.to_owned()), after: 0, times: 1 }
}

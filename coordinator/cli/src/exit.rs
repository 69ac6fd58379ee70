//! How the program ends: a code for programs, one line for people. Every way to end with another code than 0 goes through `Failure`.

use std::fmt;

use sagaline_log::LogError;
use sagaline_node::api::ServeError;
use sagaline_node::api::model::{ErrorCode, ErrorDetail};
use sagaline_node::config::ConfigError;

/// Why the program ends with another code than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The answer is no.
    Refused = 1,
    /// The question is wrong.
    Usage = 2,
    /// Nobody answers.
    Unreachable = 3,
    /// Something must be looked at before it goes on.
    Halted = 4,
    /// Not in time, or too busy.
    Timeout = 5,
    /// Somebody else has it.
    InUse = 6,
}

/// Codes and what they mean, as `--help` and docs/operations.md print them.
pub const TABLE: [(u8, &str); 7] = [
    (0, "done; the answer is yes"),
    (1, "refused, or the saga did not complete: the answer is no"),
    (2, "wrong usage, or bad input: arguments, definitions, configuration, events"),
    (3, "nobody answers: no coordinator, no broker"),
    (4, "halted, diverged or damaged: a person must look"),
    (5, "not in time, or too busy: ask again later"),
    (6, "in use: the port, the data directory"),
];

/// An end with another code than 0.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What happened, and what a person can do. Empty: whoever failed has said it all.
    pub message: String,
}

impl Failure {
    /// An end with this code.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// Wrong usage or bad input.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file or folder that does not do what it should.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::usage(format_args!("{}: {error}", path.display()))
    }

    /// Says why, on one line of stderr.
    pub fn tell(&self) {
        let line =
            self.message.split('\n').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        anstream::eprintln!("sagaline: {line}");
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let exit = match &error {
            LogError::Address { .. } | LogError::TooLarge { .. } => Exit::Usage,
            LogError::InUse { .. } => Exit::InUse,
            LogError::Corrupt { .. } | LogError::OutOfRange { .. } | LogError::Rewritten { .. } => Exit::Halted,
            LogError::NoTopic { .. } | LogError::TopicExists { .. } | LogError::Forbidden { .. } => Exit::Refused,
            LogError::Unreachable { .. }
            | LogError::QueueFull { .. }
            | LogError::OutcomeUnknown { .. }
            | LogError::Io { .. } => Exit::Unreachable,
        };
        Self::new(exit, error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match &error {
            ServeError::Bind { .. } => Exit::InUse,
            ServeError::Stopped(_) => Exit::Unreachable,
        };
        Self::new(exit, error)
    }
}

impl From<ErrorDetail> for Failure {
    fn from(error: ErrorDetail) -> Self {
        let exit = match error.code {
            ErrorCode::BadRequest | ErrorCode::TooLarge => Exit::Usage,
            ErrorCode::NotFound | ErrorCode::Refused | ErrorCode::Forbidden => Exit::Refused,
            ErrorCode::Unreachable => Exit::Unreachable,
            ErrorCode::Halted | ErrorCode::Broken => Exit::Halted,
            ErrorCode::Busy | ErrorCode::Timeout => Exit::Timeout,
        };
        Self::new(exit, format_args!("{}: {}", error.message, error.help))
    }
}

/// The table as `--help` shows it.
pub fn help() -> String {
    TABLE.iter().map(|(code, meaning)| format!("  {code}  {meaning}\n")).collect()
}

/// The table as docs/operations.md prints it.
#[cfg(test)]
fn markdown() -> String {
    let rows: String = TABLE.iter().map(|(code, meaning)| format!("| {code} | {meaning} |\n")).collect();
    format!("| code | means |\n|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_operators_prints_this_table() {
        let page = std::fs::read_to_string(sagaline_test_sources::root().join("docs/operations.md")).unwrap();
        assert!(page.contains(&markdown()), "docs/operations.md should print:\n{}", markdown());
    }

    #[test]
    fn every_code_stands_in_the_table() {
        let exits = [Exit::Refused, Exit::Usage, Exit::Unreachable, Exit::Halted, Exit::Timeout, Exit::InUse];
        let codes: Vec<u8> = TABLE.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes[1..], exits.map(|exit| exit as u8));
    }
}

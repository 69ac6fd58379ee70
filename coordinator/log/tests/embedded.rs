//! The embedded log does what every log must.
#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

use std::sync::Arc;

use sagaline_log::conformance::{SecondMember, Subject};
use sagaline_log::embedded::EmbeddedLog;

fn subject() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(EmbeddedLog::open(dir.path()).unwrap());
    Subject {
        log,
        prefix: "t".to_owned(),
        second_member: SecondMember::Refused,
        tick: Box::new(move || assert!(dir.path().is_dir())),
    }
}

sagaline_log::conformance_tests!(subject);

//! A coordinator without its stores folds its log from the first record on: how fast, beside reading the same topic and doing nothing with it.

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::cpu;
use crate::raw::consume::{self, Consumed};
use crate::slice::installation::{Installation, Stores};

/// An inbox that was folded anew.
#[derive(Serialize)]
pub struct Refold {
    pub records: i64,
    /// From asking for the stores on, until all that the inbox held was folded.
    pub seconds: f64,
    /// CPU of the whole process, its start included.
    pub cpu_seconds: f64,
    /// The same topic, consumed and nothing else.
    pub raw: Consumed,
}

impl Refold {
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub fn raw_rate(&self) -> f64 {
        self.raw.records as f64 / self.raw.seconds
    }
}

/// Of an installation that has done its work. Nobody answers commands there afterwards.
///
/// # Errors
/// When the coordinator does not start again, or the log can't be read.
pub fn measure(installation: &mut Installation) -> Result<Refold> {
    installation.stop()?;
    let raw = consume::all(installation.place(), installation.log_address(), &installation.names().inbox())?;
    installation.restart(Stores::Forgotten)?;
    let cpu_seconds = cpu::seconds(installation.coordinator()?.pid())?;
    let status = installation.status()?;
    ensure!(status.found >= i64::try_from(raw.records)?, "the inbox has lost records: {status:?}");
    Ok(Refold { records: status.found, seconds: status.caught_up.as_secs_f64(), cpu_seconds, raw })
}

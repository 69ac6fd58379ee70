//! What people ask of running sagas, as the command line takes it. What is done about it stands in `command/steer.rs`.

use clap::Args;

use super::{About, Ps};

/// A saga's step, and why.
#[derive(Debug, Args)]
pub struct OfStep {
    /// The saga, and why.
    #[command(flatten)]
    pub about: About,
    /// The step, or one item of it: charge, parcels[2]
    pub step: String,
}

/// `retry`
#[derive(Debug, Args)]
pub struct Retry {
    /// The saga, and why.
    #[command(flatten)]
    pub about: About,
    /// The held step [default: what the saga is stuck at]
    #[arg(long)]
    pub step: Option<String>,
    /// With this input instead: JSON, or @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    pub input: Option<String>,
}

/// `release`
#[derive(Debug, Args)]
pub struct Release {
    /// The saga, and why.
    #[command(flatten)]
    pub about: About,
    /// The held step [default: the saga]
    #[arg(long)]
    pub step: Option<String>,
}

/// `work`
#[derive(Debug, Args)]
pub struct Work {
    /// stuck, held or approval
    #[arg(long, value_parser = ["stuck", "held", "approval"])]
    pub kind: Option<String>,
    /// Of this definition
    #[arg(long, value_name = "NAME")]
    pub definition: Option<String>,
    /// Of this team, or this role or user: role/manager
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// What comes behind: as the page before said
    #[arg(long, value_name = "ID")]
    pub cursor: Option<String>,
}

/// `decide`
#[derive(Debug, Args)]
pub struct Decide {
    /// The approval, and why.
    #[command(flatten)]
    pub of: OfStep,
    /// One of its choices
    pub choice: String,
    /// The version that you looked at [default: what is shown now]
    #[arg(long, value_name = "N")]
    pub version: Option<i64>,
    /// A role of yours; may be given several times
    #[arg(long, value_name = "role/NAME")]
    pub role: Vec<String>,
    /// For whom you stand in: it is said in the history
    #[arg(long, value_name = "NAME")]
    pub on_behalf_of: Option<String>,
}

/// `confirm`
#[derive(Debug, Args)]
pub struct Confirm {
    /// The step, and why.
    #[command(flatten)]
    pub of: OfStep,
    /// What you have found out: done, not-done or undone
    #[arg(value_parser = ["done", "not-done", "undone"])]
    pub finding: String,
    /// The result, where it was done: JSON, or @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    pub result: Option<String>,
    /// Where the proof lies
    #[arg(long)]
    pub evidence: String,
}

/// `set-fact`
#[derive(Debug, Args)]
pub struct SetFact {
    /// The saga, and why.
    #[command(flatten)]
    pub about: About,
    /// The fact
    pub fact: String,
    /// What it is: JSON, or @FILE, or - for standard input
    pub value: String,
    /// Its version [default: it holds until a higher one comes]
    #[arg(long, value_name = "N")]
    pub seq: Option<i64>,
}

/// `signal`
#[derive(Debug, Args)]
pub struct Signal {
    /// The waiting step, and why.
    #[command(flatten)]
    pub of: OfStep,
    /// The event: JSON, or @FILE, or - for standard input
    pub event: String,
}

/// `assign`
#[derive(Debug, Args)]
pub struct Assign {
    /// The saga, and why.
    #[command(flatten)]
    pub about: About,
    /// Whose it is from now on
    pub owner: String,
}

/// `pause` and `resume`
#[derive(Debug, Args)]
pub struct Scope {
    /// participant/NAME, definition/NAME, or all
    pub subject: String,
    /// Why
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// `bulk`
#[derive(Debug, Args)]
pub struct Bulk {
    /// What is asked of each
    #[arg(value_parser = ["retry", "cancel", "close", "hold", "release"])]
    pub what: String,
    /// Which: the filters of `ps`
    #[command(flatten)]
    pub which: Ps,
    /// Why
    #[arg(long)]
    pub reason: String,
    /// Where the proof lies, for close
    #[arg(long, default_value = "")]
    pub evidence: String,
    /// Do it; else the sagas are only listed
    #[arg(long)]
    pub yes: bool,
}

//! Arguments of what proves a definition before it runs.

use std::path::PathBuf;

use clap::Args;

use super::Files;

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// What to read.
    #[command(flatten)]
    pub files: Files,
    /// Explore three troubles on one path instead of two: takes much longer
    #[arg(long)]
    pub deep: bool,
    /// Only read the files: explore nothing
    #[arg(long, conflicts_with = "deep")]
    pub only_read: bool,
    /// Most states that are explored of one definition
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    pub states: usize,
}

/// `plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// The definition; then those of its child sagas, if it has any
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The step that fails
    #[arg(long, value_name = "STEP")]
    pub if_failed_at: Option<String>,
    /// What the saga begins with: JSON, or @FILE, or - for standard input. Default: several are tried
    #[arg(long, value_name = "JSON", requires = "if_failed_at")]
    pub input: Option<String>,
    /// Write the definition's graph, and the way back, as a drawing
    #[arg(long, value_name = "FILE.svg")]
    pub svg: Option<PathBuf>,
}

/// `test`
#[derive(Debug, Args)]
pub struct Test {
    /// Files of tests
    #[arg(required = true, value_name = "FILE.test.yaml")]
    pub files: Vec<PathBuf>,
    /// Tell what happened when, also where it came out as expected
    #[arg(long)]
    pub timeline: bool,
}

//! Arguments of what is done about the stores of a stopped node.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A stopped node.
#[derive(Debug, Args)]
pub struct Offline {
    /// The data directory of `sagaline dev`
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data: Option<PathBuf>,
    /// The configuration of `sagaline serve`
    #[arg(long, env = "SAGALINE_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only this inbox partition; may be given several times
    #[arg(long, value_name = "N")]
    pub partition: Vec<u32>,
    /// What stands before every topic's name, with --data
    #[arg(long, env = "SAGALINE_PREFIX", hide_env_values = true, default_value = "")]
    pub prefix: String,
    /// The file with the log's key, with --data [default: as `sagaline dev`]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// `rebuild`
#[derive(Debug, Args)]
pub struct Rebuild {
    /// Which stores.
    #[command(flatten)]
    pub offline: Offline,
    /// What they are made anew from [default: the next start takes a verified checkpoint where there is one, else the log]
    #[arg(long, value_enum)]
    pub from: Option<Anew>,
}

/// What stores are made anew from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Anew {
    /// The log's first record; refused where that is gone
    Log,
    /// The newest verified checkpoint, now; refused where there is none
    Checkpoint,
}

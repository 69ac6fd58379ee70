//! Arguments of `checkpoint`: the help says what a checkpoint is, and when one may be believed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What stands below the help of `checkpoint`.
const LONG: &str = "\
A checkpoint is the store of one inbox partition as it was at one offset, kept where all nodes can reach it (`checkpoints.url`).
A node without a store goes on from the newest one that was verified, instead of folding the log from its first record. Verified
is one whose log, folded anew by somebody else, gives the same state, byte for byte; others are never used. Nodes take and verify
them by themselves; here it is done by hand.

  sagaline checkpoint list                         what there is, and who verified it
  sagaline checkpoint take                         of every partition, now
  sagaline checkpoint verify --config sagaline.toml
                                                   by a process of its own, while nodes run: it needs log, key and checkpoints";

/// `checkpoint`
#[derive(Debug, Args)]
#[command(after_help = LONG)]
pub struct Checkpoint {
    /// What to do [default: list]
    #[command(subcommand)]
    pub what: Option<CheckpointCommand>,
}

/// What `checkpoint` can do.
#[derive(Debug, Subcommand)]
pub enum CheckpointCommand {
    /// List checkpoints: a node's, or straight from where they lie with --config or --data
    List(Shelved),
    /// Have the node take one of every inbox partition as it is now
    Take {
        /// Of this inbox partition only; may be given several times
        #[arg(value_name = "PARTITION")]
        partition: Vec<u32>,
    },
    /// Fold the log anew up to each newest checkpoint that nobody has verified, and say there what came of it
    Verify {
        /// Where they lie.
        #[command(flatten)]
        shelved: Shelved,
        /// Also the older ones, and those that were verified before
        #[arg(long)]
        all: bool,
    },
}

/// Where log, key and checkpoints are.
#[derive(Debug, Args)]
pub struct Shelved {
    /// Of this inbox partition only; may be given several times
    #[arg(value_name = "PARTITION")]
    pub partition: Vec<u32>,
    /// The configuration of `sagaline serve`
    #[arg(long, env = "SAGALINE_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data directory of `sagaline dev`
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub data: Option<PathBuf>,
    /// Where a running `sagaline dev` serves its log, with --data: loopback://127.0.0.1:7420
    #[arg(long, value_name = "URL", requires = "data")]
    pub log: Option<String>,
    /// What stands before every topic's name, with --data
    #[arg(long, env = "SAGALINE_PREFIX", hide_env_values = true, default_value = "")]
    pub prefix: String,
    /// The file with the log's key, with --data [default: as `sagaline dev`]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

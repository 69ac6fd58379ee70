//! Arguments of `upgrade`: the help is the page that people read before they raise.

use clap::{Args, Subcommand};

/// What stands below the help of `upgrade`.
const LONG: &str = "\
A new build is deployed in two acts. First it takes the old one's place on every node, one after the other: it folds by the
rules that are in force, as the old one did, and the way back is open. Then a person raises the rules: from that record on
every partition is folded by the new ones, and a node whose build does not know them refuses its partitions, with the reason.
From there no way leads back.

  sagaline upgrade status                          at each node: does its build know the version?
  sagaline upgrade raise                           tells what would be done
  sagaline upgrade raise --yes                     does it, in every partition; asked again it goes on where it stopped";

/// `upgrade`
#[derive(Debug, Args)]
#[command(after_help = LONG)]
pub struct Upgrade {
    /// What to do [default: status]
    #[command(subcommand)]
    pub what: Option<UpgradeCommand>,
}

/// What `upgrade` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum UpgradeCommand {
    /// Show which version of the rules is in force in every inbox partition, and which ones this node's build knows
    Status,
    /// Raise the rules in every inbox partition. There is no way back
    Raise(Raise),
}

/// `upgrade raise`
#[derive(Clone, Debug, Args)]
pub struct Raise {
    /// To this version [default: the newest that the node which is asked knows]
    #[arg(long, value_name = "N")]
    pub to: Option<u32>,
    /// Do it: every node runs a build that knows the version. One that does not refuses its partitions from then on.
    /// Without it, what would be done is only told
    #[arg(long)]
    pub yes: bool,
}

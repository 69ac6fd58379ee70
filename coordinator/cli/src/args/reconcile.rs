//! Arguments of `reconcile`, and what its help teaches.

use std::time::Duration;

use clap::Args;

use super::duration;

/// What `sagaline reconcile --help` adds.
pub const TEACHES: &str = "\
Of every effect of an ended saga the report says whether it stands: applied, or void. Its participant is asked
once more, by the probe that its contract names, and both words are compared. Nothing is decided by it, and
nothing changes: not the saga, not the world.

  DIFFERS   the participant says the opposite: one of the two is wrong, and a person must find out which
  UNKNOWN   it has forgotten the effect, or never knew what became of it; or the saga itself never found out
  SILENT    it has not answered: it is down, or its probe fails

What is to be done about a difference is yours: put the world right, and say so with `sagaline note`. Effects
whose contract has no probe can't be asked after; they are counted.

Examples:
  sagaline reconcile --since 7d                    what ended this week
  sagaline reconcile --participant payment --json  payments only, for a program
  sagaline reconcile --since 1d --note             each difference into its saga's history, too

Exit codes:
  0  nothing differs, everybody has answered
  1  something differs
  5  nothing differs, but somebody has not answered: ask again later
";

/// `reconcile`
#[derive(Debug, Args)]
#[command(after_help = TEACHES)]
pub struct Reconcile {
    /// Sagas that ended at most so long ago [default: all that are remembered]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,
    /// Ask this participant only
    #[arg(long, value_name = "NAME")]
    pub participant: Option<String>,
    /// Write each difference into its saga's history, as a remark
    #[arg(long)]
    pub note: bool,
    /// How long an answer is awaited after the one before, at most a minute
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = patience)]
    pub patience: Duration,
}

fn patience(text: &str) -> Result<Duration, String> {
    let patience = duration(text)?;
    let fits = !patience.is_zero() && patience <= Duration::from_secs(60);
    if fits { Ok(patience) } else { Err(format!("{text:?}: an answer is awaited for at least 1ms and at most 60s")) }
}

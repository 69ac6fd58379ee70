//! What the three demonstration services share: the book of their effects, the switches for faults, the command line. The SDK knows none of it,
//! and nothing of it belongs into a real participant.

mod book;
mod faults;
mod forgetful;
mod log;
mod simulate;
mod tables;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sagaline_participant::cli::{Options, StartError};
use sagaline_participant::effects::Store;
use sagaline_participant::{Config, Participant};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use book::{Act, Book, BookError, Line, Standing, Undo, Words};
pub use faults::{Acted, Faults};
use simulate::{Span, duration, span};
pub use tables::{Tables, Taken};

/// The command line of a demonstration service.
#[derive(Clone, Debug, clap::Parser)]
pub struct Command {
    /// Where it runs.
    #[command(flatten)]
    pub options: Options,
    /// The file that gets a line for every real effect
    #[arg(long, value_name = "FILE", default_value = "ledger.jsonl")]
    pub ledger: PathBuf,
    /// What goes wrong on purpose.
    #[command(flatten)]
    pub switches: Switches,
}

/// What goes wrong on purpose. `every N` picks one effect in N by its id, so that the same effect is picked again after a restart.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Faults")]
pub struct Switches {
    /// Each handler takes this long: 100ms or 100ms..2s
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub slow: Option<Span>,
    /// Commands after which the service is down for a while, once
    #[arg(long, value_name = "N", requires = "down_for")]
    pub down_after: Option<u64>,
    /// How long it is down: it reads nothing
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "down_after")]
    pub down_for: Option<Duration>,
    /// Refuses one effect in N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub refuse_every: Option<u32>,
    /// Answers the first attempt late for one effect in N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "late_by")]
    pub late_every: Option<u32>,
    /// How late
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub late_by: Option<Duration>,
    /// Loses the first answer for one effect in N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub lose_reply_every: Option<u32>,
    /// Dies (SIGKILL) between effect and answer, once for one effect in N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub crash_every: Option<u32>,
    /// Fails the first attempt for one effect in N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub fail_every: Option<u32>,
    /// Looks neither into the effect store nor at its own keys: for tests that must turn red
    #[arg(long, hide = true, conflicts_with = "postgres")]
    pub without_deduplication: bool,
}

impl Command {
    /// Whether the business looks at its own keys, as `by_key` promises.
    pub fn by_key(&self) -> bool {
        !self.switches.without_deduplication
    }

    /// Runs the participant with these faults until SIGTERM.
    ///
    /// # Errors
    /// When it can't start, or stopped without being asked to.
    pub async fn run(&self, participant: Participant, faults: &Arc<Faults>) -> Result<(), StartError> {
        participant.main(&self.options, |config| self.spoil(config, faults)).await
    }

    /// Makes a service's tables, unless only its contract is asked for.
    ///
    /// # Errors
    /// When the database can't be reached, or does not let us.
    pub async fn prepare<D: Serialize + DeserializeOwned>(&self, tables: &Tables<D>) -> anyhow::Result<()> {
        if self.options.print_contract { Ok(()) } else { tables.prepare().await }
    }

    fn spoil(&self, config: Config, faults: &Arc<Faults>) -> Config {
        let log = Arc::new(log::FaultyLog::new(config.log, Arc::clone(faults)));
        let store = match config.store {
            Store::Local(rows) if !self.by_key() => Store::Local(Box::new(forgetful::Forgetful::new(rows))),
            store @ (Store::Local(_) | Store::Postgres(_)) => store,
        };
        Config { log, store, ..config }
    }
}

//! The command line that participants share, and how they start from it. A participant with a command line of its own flattens `Options` into it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::contract::ContractErrors;
use crate::effects::{EffectRows, EffectStoreError, Limits, PostgresStore, RocksRows, Store};
use crate::participant::{Config, Participant};
use crate::runner::RunError;

/// Where a participant runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The log: kafka://HOST:PORT[,HOST:PORT], or loopback://127.0.0.1:PORT of `sagaline dev`
    #[arg(long, env = "SAGALINE_LOG", default_value = "loopback://127.0.0.1:7420")]
    pub log: String,
    /// A Kafka client property; may be given several times
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// What stands before every topic's name
    #[arg(long, env = "SAGALINE_PREFIX", default_value = "")]
    pub prefix: String,
    /// Where effects are remembered, by one instance alone: not with --postgres
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// A PostgreSQL database where effects are remembered, by any number of instances: postgres://USER@HOST:PORT/DATABASE. Give a password
    /// by the environment (this setting's, or PGPASSWORD) or by ~/.pgpass, for everybody can read a command line
    #[arg(long, value_name = "URL", env = "SAGALINE_POSTGRES", hide_env_values = true)]
    pub postgres: Option<PostgresUrl>,
    /// The schema there [default: sagaline_PARTICIPANT]
    #[arg(long, value_name = "NAME", env = "SAGALINE_POSTGRES_SCHEMA")]
    pub postgres_schema: Option<String>,
    /// Connections to it at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub postgres_connections: u32,
    /// Seconds for which the database may keep silent before a connection to it is given up and what was asked is asked again
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub postgres_timeout: u32,
    /// Seconds that a handler may keep its transaction before it is broken off and begun anew: more than any handler takes
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub postgres_transaction_timeout: u32,
    /// This instance's name: keep it over restarts
    #[arg(long, default_value = "1")]
    pub instance: String,
    /// Handlers that may run side by side
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub in_flight: usize,
    /// Days for which an effect is remembered: longer than any saga's deadline
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub retention: u32,
    /// Begin with an empty effect store though commands were handled before: what was done then is not known, and is done again where it is asked for
    #[arg(long)]
    pub accept_empty_store: bool,
    /// Print the contract and end
    #[arg(long)]
    pub print_contract: bool,
    /// Log as JSON lines
    #[arg(long)]
    pub json: bool,
}

/// An address that may hold a password: it is shown to nobody.
#[derive(Clone)]
pub struct PostgresUrl(String);

impl FromStr for PostgresUrl {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(..)")
    }
}

fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Why a participant could not start, or stopped without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The declaration has mistakes.
    #[error("the participant's declaration has mistakes:\n{0}")]
    Contract(#[from] ContractErrors),
    /// The data directory can't be made.
    #[error("the data directory {place} can't be made: {detail}")]
    Directory {
        /// Which.
        place: String,
        /// What the system says.
        detail: String,
    },
    /// The log can't be reached.
    #[error(transparent)]
    Log(#[from] sagaline_log::LogError),
    /// The effect store can't be opened.
    #[error(transparent)]
    EffectStore(#[from] EffectStoreError),
    /// It ran, and stopped.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Options {
    /// Connects to the log and opens the effect store of this participant. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the log can't be reached, or the effect store can't be opened.
    pub fn open(&self, participant: &str) -> Result<Config, StartError> {
        let properties: BTreeMap<String, String> = self.properties.iter().cloned().collect();
        let store = match self.postgres(participant)? {
            Some(store) => Store::Postgres(store),
            None => Store::Local(Box::new(self.local(participant)?)),
        };
        Ok(Config {
            log: sagaline_log::connect(&self.log, &properties)?,
            store,
            prefix: self.prefix.clone(),
            instance: self.instance.clone(),
            in_flight: self.in_flight,
            retention: Duration::from_secs(u64::from(self.retention) * 24 * 60 * 60),
        })
    }

    fn local(&self, participant: &str) -> Result<RocksRows, StartError> {
        let directory = self.data.join(participant).join("effects");
        std::fs::create_dir_all(&directory).map_err(|error| StartError::Directory {
            place: directory.display().to_string(),
            detail: error.to_string(),
        })?;
        let mut rows = RocksRows::open(&directory)?;
        if self.accept_empty_store {
            rows.begin_use()?;
        }
        Ok(rows)
    }

    /// The schema for this participant in PostgreSQL.
    pub fn schema(&self, participant: &str) -> String {
        self.postgres_schema.clone().unwrap_or_else(|| format!("sagaline_{}", participant.replace('-', "_")))
    }

    /// The PostgreSQL store of this participant, where one is configured. Nothing is connected yet. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address or the schema's name is none.
    pub fn postgres(&self, participant: &str) -> Result<Option<PostgresStore>, StartError> {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        let (answer, transaction) = (seconds(self.postgres_timeout), seconds(self.postgres_transaction_timeout));
        let open = |url: &PostgresUrl| {
            let store = PostgresStore::new(&url.0, &self.schema(participant), self.postgres_connections)?;
            let store = store.limits(Limits { answer, transaction });
            Ok::<_, EffectStoreError>(if self.accept_empty_store { store.accept_empty() } else { store })
        };
        Ok(self.postgres.as_ref().map(open).transpose()?)
    }

    /// Writes what happens to standard error; how much says RUST_LOG.
    pub fn start_logging(&self) {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // Whoever has set up logging already keeps it.
        drop(if self.json { lines.json().try_init() } else { lines.try_init() });
    }
}

impl Participant {
    /// Does what the command line says: prints the contract, or runs until SIGTERM. `adapt` may change what the options open.
    ///
    /// # Errors
    /// When it can't start, or stopped without being asked to.
    pub async fn main(self, options: &Options, adapt: impl FnOnce(Config) -> Config) -> Result<(), StartError> {
        if options.print_contract {
            print!("{}", self.contract()?);
            return Ok(());
        }
        options.start_logging();
        let config = options.open(&self.name)?;
        Ok(self.run(adapt(config)).await?)
    }
}

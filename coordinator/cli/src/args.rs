//! The command line: what can be asked, and a help text that teaches. What is done about it stands in `command/`.

mod checkpoint;
mod offline;
mod prove;
mod reconcile;
mod steer;
mod upgrade;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sagaline_node::api::model::Status;
use sagaline_node::config::duration;

pub use self::checkpoint::*;
pub use self::offline::*;
pub use self::prove::{Check, Plan, Test};
pub use self::reconcile::Reconcile;
pub use self::steer::*;
pub use self::upgrade::*;
use crate::client::DEFAULT_API;

const EXAMPLES: &str = "\
Examples:
  sagaline init trips && cd trips                  a definition, contracts and events that run
  sagaline dev --mock flights --mock hotels        try the definition before any service exists
  sagaline send trips events.jsonl                 events come in
  sagaline start book-trip T-9 @trip.json --wait   begin one by hand and wait for its end
  sagaline ps --status stuck                       what needs a person?
  sagaline show book-trip/T-9                      steps, attempts, timeline, the state of the world

Exit codes:
";

/// Sagaline coordinates sagas: what state is the world in now that it has finished?
#[derive(Debug, Parser)]
#[command(name = "sagaline", version, after_help = format!("{EXAMPLES}{}", crate::exit::help()))]
pub struct Cli {
    /// What all commands share.
    #[command(flatten)]
    pub common: Common,
    /// What is asked.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands share.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The coordinator's API
    #[arg(long, global = true, env = "SAGALINE_API", hide_env_values = true, default_value = DEFAULT_API, value_name = "URL")]
    pub api: String,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
    /// Who asks, as the history tells it [default: the user's name]
    #[arg(long, global = true, env = "SAGALINE_BY", hide_env_values = true, value_name = "NAME")]
    pub by: Option<String>,
}

impl Common {
    /// Who asks.
    pub fn by(&self) -> String {
        let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
        self.by.clone().or_else(user).unwrap_or_else(|| "somebody".to_owned())
    }
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a directory with a definition, contracts, a participant, events: `sagaline dev` runs there
    Init(Init),
    /// Run everything on this machine, on a log of its own: no broker needed
    Dev(Dev),
    /// Run a coordinator on Kafka
    Serve(Configured),
    /// Run 320 orders through three services that fail as services do, and see what state the world is in
    Demo(Demo),
    /// Make or check the topics on Kafka
    Topics(Topics),
    /// Read definitions and contracts, tell all that is wrong with them, and explore everything that can happen to their sagas
    Check(Check),
    /// Tell what would be undone, and in which order, if a step failed
    Plan(Plan),
    /// Play the scenarios of files `*.test.yaml` in virtual time
    Test(Test),
    /// Make definitions and contracts known, and let new sagas use them
    Apply(Apply),
    /// Send events, one JSON document per line, to a domain topic
    Send(Send),
    /// Begin a saga by hand
    Start(Start),
    /// Have a saga undo what it did
    Cancel(About),
    /// Have a stuck saga, or a held step, go on
    Retry(Retry),
    /// End a stuck saga by hand
    Close(Close),
    /// List what waits for a person: stuck sagas, held steps, approvals
    Work(Work),
    /// Decide an approval
    Decide(Decide),
    /// Settle by hand what became of a step
    Confirm(Confirm),
    /// Leave out a step at which a saga is stuck or held, where its definition allows it
    SkipStep(OfStep),
    /// Set a fact of a saga by hand
    SetFact(SetFact),
    /// Tell a saga that something has happened which no topic tells
    Signal(Signal),
    /// Have a saga begin nothing new
    Hold(About),
    /// Let a held saga, or a held step of it, go on
    Release(Release),
    /// Make a saga somebody's
    Assign(Assign),
    /// Add a remark to a saga's history
    Note(About),
    /// Have new work for a participant, of a definition, or all of it wait
    Pause(Scope),
    /// Let paused work go on
    Resume(Scope),
    /// Ask the same of all sagas that a filter finds
    Bulk(Bulk),
    /// List sagas
    Ps(Ps),
    /// Show a saga: steps, attempts, timeline, the state of the world
    Show(Show),
    /// Watch counts, throughput, channels, lag and checkpoints
    Watch(Watch),
    /// List what holds sagas back: participants that are down, pauses, limits
    Gates,
    /// Show records that were set aside
    Parked(Parked),
    /// Look at everything that a node needs, and say what to do: broker, topics, key, clocks, disk, stores, versions
    Doctor(Configured),
    /// Ask participants whether what ended sagas report still stands, and tell where they differ
    Reconcile(Reconcile),
    /// Drop the stores of a stopped node and have them made anew, from a verified checkpoint or the log
    Rebuild(Rebuild),
    /// Fold the log into a fresh store and compare it with that of a stopped node
    Verify(Offline),
    /// List, take and verify checkpoints: stores as they were, for nodes that have lost theirs
    Checkpoint(Checkpoint),
    /// Show or change what the log says about limits and how long things are kept
    Settings {
        /// What to do [default: show]
        #[command(subcommand)]
        what: Option<SettingsCommand>,
    },
    /// Show or raise the version of the rules that the log is folded by
    Upgrade(Upgrade),
    /// Have an input that kills the fold passed over
    Skip(Skip),
    /// List contracts
    Contracts,
    /// List definitions
    Definitions,
    /// Print the version
    Version,
}

/// `init`
#[derive(Debug, Args)]
pub struct Init {
    /// The directory to be made
    pub dir: PathBuf,
}

/// `dev`
#[derive(Debug, Args)]
pub struct Dev {
    /// Where log, stores and key lie; delete it to begin anew
    #[arg(long, value_name = "DIR", default_value = "sagaline-data")]
    pub data: PathBuf,
    /// Definitions to be applied: a folder, or a file [default: ./definitions, if it is there]
    #[arg(long, value_name = "DIR")]
    pub definitions: Option<PathBuf>,
    /// Answer this participant's commands from its contract; may be given several times
    #[arg(long, value_name = "PARTICIPANT")]
    pub mock: Vec<String>,
    /// The API's port on 127.0.0.1; 0: any free one
    #[arg(long, default_value_t = 7410)]
    pub port: u16,
    /// The port on 127.0.0.1 at which participants reach the log; 0: any free one
    #[arg(long, default_value_t = 7420)]
    pub log_port: u16,
    /// Partitions of the inbox, when it is made
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: u32,
    /// What stands before every topic's name
    #[arg(long, env = "SAGALINE_PREFIX", hide_env_values = true, default_value = "")]
    pub prefix: String,
    /// The file with the log's key [default: ./sagaline.key if it is there, else one in --data is made]
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep logs, ledgers, stores and reports in this directory, which is to be empty or not there [default: nothing is kept]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// On this Kafka instead of a log of its own; the topics, sagaline-demo-*, stay there
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
}

/// A configuration file.
#[derive(Debug, Args)]
pub struct Configured {
    /// The configuration; see docs/operations.md for its keys
    #[arg(long, env = "SAGALINE_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `topics`
#[derive(Debug, Args)]
pub struct Topics {
    /// What is to be done.
    #[command(subcommand)]
    pub what: TopicsCommand,
}

/// What `topics` can do.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Make the topics that are missing; what is there is left alone
    Create {
        /// The configuration.
        #[command(flatten)]
        configured: Configured,
        /// A participant whose command topic is to be there; may be given several times
        #[arg(long, value_name = "NAME")]
        participant: Vec<String>,
        /// A domain topic to be made too, with one partition; may be given several times
        #[arg(long, value_name = "TOPIC")]
        domain: Vec<String>,
    },
    /// Check that sagas may live in them
    Check {
        /// The configuration.
        #[command(flatten)]
        configured: Configured,
    },
}

/// Files to be read.
#[derive(Debug, Args)]
pub struct Files {
    /// Definitions or contracts; of a folder: all of them. Contracts lie in contracts/ beside a definition
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `apply`
#[derive(Debug, Args)]
pub struct Apply {
    /// What is to be applied.
    #[command(flatten)]
    pub files: Files,
    /// Apply rehearsals of the definitions, whose durations are shortened: 1d=2s makes a day last two seconds.
    /// Their versions say so. Not for a cluster on which real sagas run: new sagas would be rehearsals
    #[arg(long, value_name = "DURATION=DURATION", value_parser = scale)]
    pub scale: Option<(i64, i64)>,
    /// The time that a rehearsed saga takes for that of its beginning; now, unless said
    #[arg(long, value_name = "RFC3339", requires = "scale", value_parser = sagaline_testkit::instant)]
    pub as_of: Option<i64>,
}

/// `send`
#[derive(Debug, Args)]
pub struct Send {
    /// The domain topic
    pub topic: String,
    /// JSON lines; `-`: standard input
    pub file: PathBuf,
    /// The member of each event that is its record's key
    #[arg(long, value_name = "MEMBER")]
    pub key: Option<String>,
    /// Straight to this Kafka instead of through the API of `sagaline dev`
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,
    /// A property of the Kafka client; may be given several times
    #[arg(long = "property", value_name = "KEY=VALUE", value_parser = property, requires = "bootstrap")]
    pub properties: Vec<(String, String)>,
}

/// `start`
#[derive(Debug, Args)]
pub struct Start {
    /// The definition's name
    pub definition: String,
    /// The saga's key: its correlation id
    pub key: String,
    /// What it begins with: JSON, or @FILE, or - for standard input [default: {}]
    pub input: Option<String>,
    /// Wait for its end: 0 if it completed, 1 if not
    #[arg(long)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    /// The request's own id: asking twice with it is asking once
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// A saga, and why.
#[derive(Debug, Args)]
pub struct About {
    /// The saga's id, or DEFINITION/KEY
    #[arg(value_name = "ID|DEFINITION/KEY")]
    pub saga: String,
    /// Why
    #[arg(long, default_value = "")]
    pub reason: String,
    /// The request's own id: asking twice with it is asking once
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// `close`
#[derive(Debug, Args)]
pub struct Close {
    /// The saga, and why.
    #[command(flatten)]
    pub about: About,
    /// Where the proof lies that the world is as it should be
    #[arg(long, default_value = "")]
    pub evidence: String,
}

/// `ps`
#[derive(Debug, Args)]
pub struct Ps {
    /// Of this definition
    #[arg(long, value_name = "NAME")]
    pub definition: Option<String>,
    /// With this status
    #[arg(long, value_parser = status)]
    pub status: Option<Status>,
    /// Ended ones too
    #[arg(long)]
    pub all: bool,
    /// Of this owner
    #[arg(long, value_name = "TEAM")]
    pub owner: Option<String>,
    /// That wait for this participant's answer
    #[arg(long, value_name = "PARTICIPANT")]
    pub waiting_on: Option<String>,
    /// Begun at least so long ago
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub older_than: Option<Duration>,
    /// At most so many [default: 100 where they are listed, all where they are asked]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// What comes behind: as the page before said
    #[arg(long, value_name = "ID")]
    pub cursor: Option<String>,
}

/// `show`
#[derive(Debug, Args)]
pub struct Show {
    /// The saga's id, or DEFINITION/KEY
    #[arg(value_name = "ID|DEFINITION/KEY")]
    pub saga: String,
    /// As it was: once the record at this offset of its inbox partition was folded, or all that the broker had by this time.
    /// The node folds the log anew for it, from the newest checkpoint before
    #[arg(long, value_name = "OFFSET|RFC3339", value_parser = moment)]
    pub at: Option<Moment>,
}

/// Which moment of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// An offset of its inbox partition.
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// `watch`
#[derive(Debug, Args)]
pub struct Watch {
    /// Look so often, then end [default: until interrupted]
    #[arg(long, value_name = "N")]
    pub times: Option<u64>,
    /// Between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub every: Duration,
}

/// `parked`
#[derive(Debug, Args)]
pub struct Parked {
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub limit: u64,
}

/// `settings`
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show the settings in force
    Show,
    /// Change some of them in every inbox partition; the others stay as they are
    Set {
        /// `max_payload=512KiB`, `keep_ended=90d`, `events=steps`
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = property)]
        changes: Vec<(String, String)>,
    },
}

/// `skip`
#[derive(Debug, Args)]
pub struct Skip {
    /// The inbox partition
    pub partition: u32,
    /// The input: OFFSET, or OFFSET.TIMER
    #[arg(value_parser = input)]
    pub offset: (i64, u32),
    /// Why
    #[arg(long)]
    pub reason: String,
}

fn input(text: &str) -> Result<(i64, u32), String> {
    let (offset, timer) = text.split_once('.').unwrap_or((text, "0"));
    let wrong = |_| format!("{text:?} is no OFFSET or OFFSET.TIMER");
    Ok((offset.parse().map_err(wrong)?, timer.parse().map_err(wrong)?))
}

fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn moment(text: &str) -> Result<Moment, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(offset) = text.parse()
    {
        return Ok(Moment::Offset(offset));
    }
    let wrong = |_| format!("{text:?} is neither an offset nor a time: 1204, 2026-11-21T04:29:07Z");
    sagaline_testkit::instant(text).map(Moment::Time).map_err(wrong)
}

fn status(text: &str) -> Result<Status, String> {
    let words = || Status::ALL.map(Status::word).join(", ");
    Status::ALL
        .into_iter()
        .find(|status| status.word() == text)
        .ok_or_else(|| format!("a status is one of {}", words()))
}

/// `1d=2s`: what a day takes.
fn scale(text: &str) -> Result<(i64, i64), String> {
    let (of, takes) = text.split_once('=').ok_or_else(|| format!("{text:?} is no scale: 1d=2s"))?;
    match (millis(of)?, millis(takes)?) {
        (of, takes) if of >= takes && takes > 0 => Ok((of, takes)),
        _ => Err(format!("{text:?}: a rehearsal shortens, it takes at least 1ms: 1d=2s")),
    }
}

fn millis(text: &str) -> Result<i64, String> {
    i64::try_from(duration(text)?.as_millis()).map_err(|_| format!("{text:?} is too long"))
}

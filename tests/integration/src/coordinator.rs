//! One coordinator as a process, and what it says of itself. Several may share one log: each has a name, a folder and a port of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

use crate::process::Process;

/// Bytes of an answer of the API that are read.
const MOST_OF_AN_ANSWER: u64 = 64 << 20;

/// What every coordinator on a log is told alike.
#[derive(Clone, Debug)]
pub struct Common {
    /// `HOST:PORT` of the broker.
    pub bootstrap: String,
    /// Of all topics and groups.
    pub prefix: String,
    /// Of the inbox.
    pub partitions: u32,
    /// More tables of the configuration, as they stand there.
    pub more: String,
}

impl Common {
    /// Writes the configuration of a coordinator with its stores in `data`.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write_configuration(&self, file: &Path, node: &str, data: &str) -> Result<()> {
        let Self { bootstrap, prefix, partitions, more } = self;
        let configuration = format!(
            "node = \"{node}\"\ndata = \"{data}\"\nkey_file = \"sagaline.key\"\nprefix = \"{prefix}\"\n[api]\nport = 0\n\
             [kafka]\nbootstrap = \"{bootstrap}\"\nsingle_broker = true\n\
             [topics]\npartitions = {partitions}\nreplicas = 1\nactivation_delay = 0\n{more}"
        );
        Ok(fs::write(file, configuration)?)
    }
}

/// A coordinator, which may live several times.
#[derive(Debug)]
pub struct Coordinator {
    /// The node's name, and that of its folder.
    pub name: String,
    config: String,
    process: Process,
}

/// A partition, as one node sees it.
#[derive(Debug, Deserialize)]
pub struct Seen {
    /// Which.
    pub partition: u32,
    standing: Standing,
    /// The node that asked for the word last.
    pub claimed_by: String,
    /// Every record before it is folded.
    pub position: i64,
    /// What hinders it without stopping it.
    pub trouble: Option<String>,
    channels: Vec<Channel>,
}

#[derive(Debug, Deserialize)]
struct Channel {
    outbox: i64,
}

#[derive(Debug, Deserialize)]
struct Standing {
    is: String,
    #[serde(default)]
    reason: Option<String>,
}

impl Seen {
    /// Whether the log has confirmed all that was decided there: until then its sagas are told what was sent.
    #[must_use]
    pub fn has_said_all(&self) -> bool {
        self.channels.iter().all(|channel| channel.outbox == 0)
    }

    /// Whether the node that was asked publishes for it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.standing.is == "live"
    }

    /// Why it folds no more; none: it does.
    #[must_use]
    pub fn halted(&self) -> Option<&str> {
        self.standing.reason.as_deref()
    }

    /// Whether it folds along.
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.standing.is == "standby"
    }
}

impl Coordinator {
    /// It does not run yet. Everything of it lies in `dir`.
    ///
    /// # Errors
    /// When the program was not built, or the folder can't be written.
    pub fn new(name: &str, common: &Common, dir: &Path) -> Result<Self> {
        let config = format!("{name}.toml");
        common.write_configuration(&dir.join(&config), name, name)?;
        Ok(Self { name: name.to_owned(), config, process: Process::new(name, "sagaline", dir)? })
    }

    /// One more line of its configuration, for its next life: a key outside of the tables.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn configure(&mut self, line: &str) -> Result<()> {
        let file = self.process.dir().join(&self.config);
        let text = fs::read_to_string(&file)?;
        Ok(fs::write(&file, format!("{line}\n{text}"))?)
    }

    /// Its next life; `fail_point` as `SAGALINE_FAIL_POINT` takes it.
    ///
    /// # Errors
    /// When it lives, or can't be run.
    pub fn start(&mut self, fail_point: Option<&str>) -> Result<()> {
        self.process.start(&["serve", "--config", &self.config], fail_point)
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it wrote in this life, or in its last.
    ///
    /// # Errors
    /// When it never lived.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// What it wrote in each of its lives.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn logs(&self) -> Result<Vec<String>> {
        self.process.logs()
    }

    /// The API's address, once it is ready in this life.
    ///
    /// # Errors
    /// When it has ended instead.
    pub fn ready(&mut self) -> Result<Option<String>> {
        if self.process.killed()? {
            bail!("{} was killed before it was ready", self.name);
        }
        self.api()
    }

    fn api(&self) -> Result<Option<String>> {
        let log = self.process.log()?;
        let ready = log.lines().find_map(|line| line.strip_prefix("ready: api "));
        Ok(ready.and_then(|rest| rest.split(' ').next()).map(str::to_owned))
    }

    /// How it sees the partitions.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn partitions(&self) -> Result<Vec<Seen>> {
        let api = self.api()?.with_context(|| format!("{} is not ready", self.name))?;
        Ok(serde_json::from_value(get(&format!("{api}/v1/status"))?["partitions"].take())?)
    }

    /// Partitions for which it publishes.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn owned(&self) -> Result<Vec<u32>> {
        Ok(self.partitions()?.iter().filter(|seen| seen.is_live()).map(|seen| seen.partition).collect())
    }
}

/// What the API answers.
///
/// # Errors
/// When it does not.
pub fn get(url: &str) -> Result<Value> {
    let mut response = ureq::get(url).call().with_context(|| format!("GET {url}"))?;
    Ok(response.body_mut().with_config().limit(MOST_OF_AN_ANSWER).read_json()?)
}

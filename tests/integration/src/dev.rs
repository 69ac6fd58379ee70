//! `sagaline dev` in a folder of its own: a coordinator on an embedded log, with mocks for participants. Says how it stands, never how it should.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sagaline_log::Log;
use serde_json::Value;
use tempfile::TempDir;

use crate::coordinator::get;
use crate::process::{Process, forget_our_settings, program, wait_until};

/// Linux counts in hundredths of a second towards programs, whatever the kernel's own tick.
const TICK: Duration = Duration::from_millis(10);

/// A coordinator that lives and dies as its test says; its data outlive it.
#[derive(Debug)]
pub struct Dev {
    dir: TempDir,
    words: Vec<String>,
    process: Process,
    api: String,
    log: String,
}

impl Dev {
    /// A folder for it, with nothing in it yet. `mocks`: the participants that it answers for.
    ///
    /// # Errors
    /// When the program was not built.
    pub fn new(mocks: &[&str]) -> Result<Self> {
        let dir = TempDir::with_prefix("sagaline-")?;
        let process = Process::new("dev", "sagaline", dir.path())?;
        let mut words: Vec<String> =
            ["dev", "--data", "data", "--port", "0", "--log-port", "0"].map(str::to_owned).into();
        words.extend(mocks.iter().flat_map(|mock| ["--mock".to_owned(), (*mock).to_owned()]));
        Ok(Self { dir, words, process, api: String::new(), log: String::new() })
    }

    /// Its folder: what lies in `definitions` there is applied at every start.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the store of an inbox partition lies.
    #[must_use]
    pub fn stores(&self) -> PathBuf {
        self.dir.path().join("data/store")
    }

    /// Starts it, and tells how long it took until every partition had folded its log to the end and was live.
    ///
    /// # Errors
    /// When it ends, or is not ready within `patience`.
    pub fn start(&mut self, patience: Duration) -> Result<Duration> {
        let began = Instant::now();
        self.process.start(&self.words, None)?;
        let ready = wait_until("the ready line", patience, || {
            if let Some(status) = self.process.ended()? {
                bail!("it ended with {status}: {}", self.process.log()?);
            }
            Ok(self.process.log()?.lines().find_map(|line| line.strip_prefix("ready: api ").map(str::to_owned)))
        })?;
        let took = began.elapsed();
        let (api, log) = ready.split_once(" log ").context("the ready line names the API and the log")?;
        (self.api, self.log) = (api.to_owned(), log.to_owned());
        Ok(took)
    }

    /// Has it end cleanly.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// Runs the command line in its folder, to its end.
    ///
    /// # Errors
    /// What it says where it fails.
    pub fn sagaline(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(program("sagaline")?);
        forget_our_settings(&mut command);
        let ran = command.args(words).env("SAGALINE_API", &self.api).current_dir(self.dir.path()).output()?;
        if !ran.status.success() {
            bail!("sagaline {}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr));
        }
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// Asks its API.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn get(&self, path: &str) -> Result<Value> {
        get(&format!("{}/v1/{path}", self.api))
    }

    /// Its log, as a participant reaches it.
    ///
    /// # Errors
    /// When it can't be reached.
    pub fn log(&self) -> Result<Arc<dyn Log>> {
        Ok(sagaline_log::connect(&self.log, &Default::default())?)
    }

    /// What the system says of its process, by the name of the line in `/proc/PID/status`: `VmRSS` and the like, in bytes.
    ///
    /// # Errors
    /// When it does not live, or the system does not say that.
    pub fn memory(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let line = line.with_context(|| format!("the system does not tell {name}"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().with_context(|| format!("{name}: {line}"))?;
        Ok(kib * 1024)
    }

    /// Processor time that it has used in this life, all its threads together.
    ///
    /// # Errors
    /// When it does not live.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()?))?;
        // The second field is the program's name in brackets, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("no program name")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |nth: usize| -> Result<u64> { Ok(fields.get(nth).context("too short")?.parse()?) };
        Ok(TICK * u32::try_from(ticks(11)? + ticks(12)?)?)
    }

    /// Files and sockets that it has open.
    ///
    /// # Errors
    /// When it does not live.
    pub fn open_files(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.process.id()?))?.count())
    }
}

//! A coordinator and a participant, each a process of its own, with fresh topics and stores. It may be stopped and started again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sagaline_log::Log;
use sagaline_node::Names;
use tempfile::TempDir;

use super::role::{Setting, Status};
use crate::cpu;
use crate::place::Place;
use crate::process::Process;
use crate::raw::unique;
use crate::work::Work;

/// How long sagas that were begun may take until nothing moves.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// How often the coordinator is asked whether it has come to rest,
const LOOK: Duration = Duration::from_millis(20);
/// and how many looks in a row must find the same.
const LOOKS_AT_REST: u32 = 25;

/// What an installation is made for.
pub struct Plan {
    pub place: Place,
    pub partitions: u32,
    pub work: Vec<Work>,
    pub every_step: bool,
}

/// What becomes of the stores when a coordinator is started again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    Kept,
    /// All that they held comes from the log again.
    Forgotten,
}

/// One that runs.
pub struct Installation {
    // Dropped in this order: who uses a log ends before the coordinator, which may hold it.
    participant: Option<Process>,
    log: Option<Arc<dyn Log>>,
    coordinator: Option<Process>,
    place: Place,
    setting: Setting,
    dir: TempDir,
}

impl Installation {
    /// # Errors
    /// When the log does not answer or a process does not start.
    pub fn start(plan: Plan) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let setting = Setting {
            log: plan.place.address(&dir.path().join("log")),
            prefix: format!("slice-{}-{}.", std::process::id(), unique()),
            partitions: plan.partitions,
            work: plan.work,
            every_step: plan.every_step,
        };
        let mut installation =
            Self { place: plan.place, dir, setting, coordinator: None, participant: None, log: None };
        installation.start_coordinator()?;
        let setting = Setting { log: installation.address().to_owned(), ..installation.setting.clone() };
        installation.participant = Some(Process::start("slice-role", setting.participant())?);
        Ok(installation)
    }

    fn start_coordinator(&mut self) -> Result<()> {
        let coordinator = Process::start("slice-role", self.setting.coordinator(&self.store()))?;
        self.log = Some(sagaline_log::connect(coordinator.ready(), &Default::default())?);
        self.coordinator = Some(coordinator);
        Ok(())
    }

    /// Starts the coordinator again, and tells how long that took, until all partitions were live. Nobody answers commands from now on.
    ///
    /// # Errors
    /// When it does not end cleanly, or does not start.
    pub fn restart(&mut self, stores: Stores) -> Result<Duration> {
        self.stop()?;
        if stores == Stores::Forgotten {
            std::fs::remove_dir_all(self.store())?;
        }
        let begin = Instant::now();
        self.start_coordinator()?;
        Ok(begin.elapsed())
    }

    /// Has the coordinator end cleanly: its stores are whole on disk.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop(&mut self) -> Result<()> {
        (self.participant, self.log) = (None, None);
        self.coordinator.take().map_or(Ok(()), Process::stop)
    }

    pub fn names(&self) -> Names {
        self.setting.names()
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the log lies for who holds it alone.
    pub fn log_address(&self) -> &str {
        &self.setting.log
    }

    fn address(&self) -> &str {
        self.coordinator.as_ref().map_or("", Process::ready)
    }

    pub fn log(&self) -> Result<&dyn Log> {
        self.log.as_deref().ok_or_else(|| anyhow::anyhow!("the coordinator is stopped"))
    }

    pub fn coordinator(&mut self) -> Result<&mut Process> {
        self.coordinator.as_mut().ok_or_else(|| anyhow::anyhow!("the coordinator is stopped"))
    }

    pub fn participant(&mut self) -> Result<&mut Process> {
        self.participant.as_mut().ok_or_else(|| anyhow::anyhow!("the participant is stopped"))
    }

    pub fn status(&mut self) -> Result<Status> {
        self.coordinator()?.ask("status")
    }

    /// Bytes of the coordinator that are in memory.
    pub fn resident(&mut self) -> Result<u64> {
        cpu::resident(self.coordinator()?.pid())
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Bytes of RocksDB's tables, as a coordinator that was stopped has left them.
    pub fn table_bytes(&self) -> Result<u64> {
        let bytes = tables(&self.store())?;
        ensure!(bytes > 0, "no table of RocksDB lies in {}", self.store().display());
        Ok(bytes)
    }

    /// Waits until so many sagas have begun, every output is confirmed, and nothing moves.
    ///
    /// # Errors
    /// When that does not come.
    pub fn wait_at_rest(&mut self, started: u32) -> Result<Status> {
        let (begin, mut before, mut looks) = (Instant::now(), Status::default(), 0);
        while looks < LOOKS_AT_REST {
            let now = self.status()?;
            let rests = now.started == i64::from(started) && now.outbox == 0;
            looks = if rests && now.folded == before.folded { looks + 1 } else { 0 };
            ensure!(begin.elapsed() < PATIENCE, "no rest with {started} sagas begun: {now:?}");
            before = now;
            std::thread::sleep(LOOK);
        }
        Ok(before)
    }
}

fn tables(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += match entry.path().extension() {
            _ if about.is_dir() => tables(&entry.path())?,
            Some(extension) if extension == "sst" => about.len(),
            _ => 0,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_counted_in_all_folders_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("partition-0/db");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("000001.sst"), [0; 300]).unwrap();
        std::fs::write(dir.path().join("000002.sst"), [0; 20]).unwrap();
        std::fs::write(inner.join("MANIFEST-000003"), [0; 4_000]).unwrap();
        assert_eq!(tables(dir.path()).unwrap(), 320);
    }
}

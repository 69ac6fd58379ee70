//! What was measured, as people read it.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use sagaline_integration::dev::Dev;

use crate::stores::Stores;

const MIB: f64 = (1 << 20) as f64;

/// A process's memory, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident, its program's own pages included.
    resident: u64,
    /// Of it what no file stands for.
    own: u64,
    /// The most that was ever resident.
    highest: u64,
}

impl Memory {
    pub fn of(dev: &Dev) -> Result<Self> {
        Ok(Self { resident: dev.memory("VmRSS")?, own: dev.memory("RssAnon")?, highest: dev.memory("VmHWM")? })
    }

    /// Bytes more than before, by what no file stands for, of each of so many.
    fn each(self, before: Self, sagas: usize) -> f64 {
        (self.own as f64 - before.own as f64) / sagas as f64
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / MIB;
        let (resident, own, highest) = (mib(self.resident), mib(self.own), mib(self.highest));
        write!(f, "{resident:.0} MiB resident, {own:.0} of it the process's own, {highest:.0} at most")
    }
}

/// How long checkpoints of all partitions take.
#[derive(Debug)]
pub struct Checkpoints {
    /// To take, of the running node.
    pub taken: Duration,
    /// To verify: the log is folded anew from the ones before.
    pub verified: Duration,
    /// A restart from them.
    pub restart: Duration,
}

/// So many sagas that wait.
#[derive(Debug)]
pub struct Figures {
    pub sagas: usize,
    /// Of them begun in this level.
    pub new: usize,
    pub made_in: Duration,
    /// Of the inbox.
    pub records: i64,
    pub store: Stores,
    /// For the embedded log alone to open.
    pub journal: Duration,
    /// A restart with the store kept.
    pub kept: Duration,
    /// A restart from the log alone.
    pub refold: Duration,
    /// Processor time of that.
    pub cpu: Duration,
    pub files: usize,
    pub empty: Memory,
    pub made: Memory,
    pub restarted: Memory,
    /// After the restart, once the API had told of each saga.
    pub read: Memory,
    pub refolded: Memory,
    pub checkpoints: Checkpoints,
    /// What else the machine had to do at the end, as it says: `/proc/loadavg`.
    pub load: String,
}

impl Figures {
    /// Whether there are figures at all; which ones they are is nobody's to assert.
    pub fn check(&self) -> Result<()> {
        let Stores { partitions, flushed, compacted, families } = &self.store;
        ensure!(*partitions > 0 && *compacted > 0 && *flushed > 0, "no bytes of a store: {:?}", self.store);
        ensure!(families.iter().any(|(name, _)| name == "sagas"), "no bytes of sagas: {families:?}");
        let records = usize::try_from(self.records)?;
        ensure!(records >= 2 * self.sagas, "an event and a reply each: {records} records");
        ensure!(self.files > 0 && !self.kept.is_zero() && !self.refold.is_zero(), "{self:?}");
        ensure!(!self.checkpoints.restart.is_zero(), "{self:?}");
        Ok(())
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sagas, each) = (self.sagas, |bytes: u64| bytes as f64 / self.sagas as f64);
        let per_second = |time: Duration| self.records as f64 / time.as_secs_f64();
        let seconds = Duration::as_secs_f64;
        let families: Vec<String> = self
            .store
            .families
            .iter()
            .filter(|(_, bytes)| each(*bytes) >= 1.0)
            .map(|(name, bytes)| format!("{name} {:.0}", each(*bytes)))
            .collect();
        writeln!(f, "{sagas} sagas that wait")?;
        writeln!(
            f,
            "  begun: {} in {:.1} s, {:.0} a second; the inbox has {} records, {:.2} a saga",
            self.new,
            seconds(&self.made_in),
            self.new as f64 / seconds(&self.made_in),
            self.records,
            self.records as f64 / sagas as f64
        )?;
        writeln!(
            f,
            "  in RocksDB, bytes a saga: {:.0} as flushed, {:.0} compacted: {}",
            each(self.store.flushed),
            each(self.store.compacted),
            families.join(", ")
        )?;
        for (when, memory) in [
            ("as they have come", self.made),
            ("restarted", self.restarted),
            ("every saga read", self.read),
            ("folded anew", self.refolded),
        ] {
            let more = memory.each(self.empty, sagas);
            writeln!(f, "  memory, {when}: {memory}; {more:.0} bytes a saga more than with none")?;
        }
        writeln!(f, "  open files: {}", self.files)?;
        let (journal, kept, refold) = (seconds(&self.journal), seconds(&self.kept), seconds(&self.refold));
        writeln!(
            f,
            "  restart with the store kept: {kept:.2} s, {:.0} records/s; the embedded log alone, which reads its journal to open: {journal:.2} s",
            per_second(self.kept)
        )?;
        let (cpu, each) = (seconds(&self.cpu), self.cpu.as_micros() as f64 / self.records as f64);
        writeln!(
            f,
            "  restart from the log: {refold:.2} s, {:.0} records/s; {cpu:.2} s of processor time, {each:.0} us a record",
            per_second(self.refold)
        )?;
        let Checkpoints { taken, verified, restart } = &self.checkpoints;
        writeln!(
            f,
            "  restart from a checkpoint: {:.2} s, {:.0} records/s; taken in {:.2} s, verified in {:.2} s",
            seconds(restart),
            per_second(*restart),
            seconds(taken),
            seconds(verified)
        )?;
        write!(f, "  load of the machine at the end: {}", self.load.trim())
    }
}

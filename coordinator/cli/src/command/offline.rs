//! `rebuild` and `verify`: for a stopped node. A store is a cache: it can be dropped, and it can be held against its log. Where the log was trimmed,
//! a verified checkpoint stands for what is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sagaline_log::Log;
use sagaline_node::checkpoint::{CheckpointError, Kept, Restorer, Shelf, Vault};
use sagaline_node::topics::{TopicsError, check};
use sagaline_node::verify::{self, Refold, VerifyError};
use sagaline_node::{Names, sealed};
use sagaline_partition::KnownRules;
use sagaline_partition::store::{Store, StoreError};
use sagaline_schemas::Offset;
use sagaline_schemas::proof::Key;
use sagaline_store::{Memory, RocksStore, Shared};
use serde_json::json;

use super::init::read_key;
use super::node::{dev_keeping, dev_key, log_of, stores_of};
use super::topics;
use crate::args::{Anew, Common, Configured, Offline, Rebuild};
use crate::exit::{Exit, Failure};
use crate::print;

const PARTITION: &str = "partition-";

/// `sagaline rebuild`
pub fn rebuild(wanted: &Rebuild, common: &Common) -> Result<(), Failure> {
    let offline = &wanted.offline;
    let stores = match &offline.data {
        Some(data) => stores_of(data),
        None => topics::load(offline.config.as_deref())?.data,
    };
    let places = places(&stores, &offline.partition)?;
    let next = match wanted.from {
        None => {
            places.iter().try_for_each(|(_, place)| verify::rebuild(place))?;
            "the next start makes them anew, from a verified checkpoint where there is one, else from their log"
        }
        Some(Anew::Log) => {
            let stopped = stopped(offline)?;
            places.iter().try_for_each(|(partition, place)| stopped.empty(*partition, place))?;
            "the next start folds their log from its first record"
        }
        Some(Anew::Checkpoint) => {
            let stopped = stopped(offline)?;
            places.iter().try_for_each(|(partition, place)| stopped.restore(*partition, place))?;
            "they were made anew from verified checkpoints; the next start folds what came behind them"
        }
    };
    let numbers: Vec<u32> = places.iter().map(|(number, _)| *number).collect();
    if common.json {
        return print::json(&json!({ "dropped": numbers }));
    }
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    print::line(format_args!("dropped: the stores of inbox partitions {}; {next}", numbers.join(", ")))
}

/// `sagaline verify`
pub fn verify(offline: &Offline, common: &Common) -> Result<(), Failure> {
    let stopped = stopped(offline)?;
    let Stopped { stores, log, names, key, .. } = &stopped;
    let shared = Shared::new(Memory::default());
    let mut all = Vec::new();
    for (partition, place) in places(stores, &offline.partition)? {
        let live = RocksStore::open(&place, &shared)?;
        let mut scratch = Scratch { stores: stores.clone(), shared: shared.clone(), made: Vec::new() };
        let refold = Refold { log: &**log, names, key, partition };
        let verified = refold.verify(&live, &mut |below| stopped.base(partition, below, &mut scratch))?;
        if !common.json {
            let word = if verified.same() { "same" } else { "DIFFERENT" };
            print::line(format_args!(
                "{word}: inbox partition {partition} at offset {}, {}",
                verified.position, verified.stored
            ))?;
        }
        all.push(verified);
    }
    if common.json {
        let line = |verified: &verify::Verified| {
            let (stored, refolded) = (verified.stored, verified.refolded);
            json!({ "partition": verified.partition, "position": verified.position, "stored": stored, "refolded": refolded, "same": verified.same() })
        };
        print::json(&all.iter().map(line).collect::<Vec<_>>())?;
    }
    match all.iter().find(|verified| !verified.same()) {
        None => Ok(()),
        Some(differs) => Err(Failure::new(
            Exit::Halted,
            format_args!(
                "the store of inbox partition {} is not what its log says: keep it for whoever looks into it, then `sagaline rebuild`",
                differs.partition
            ),
        )),
    }
}

/// What a stopped node leaves.
struct Stopped {
    stores: PathBuf,
    log: Arc<dyn Log>,
    names: Names,
    key: Key,
    single_broker: bool,
    vault: Option<Arc<Vault>>,
}

impl Stopped {
    /// An empty store is one that is to be folded from the log's first record.
    fn empty(&self, partition: u32, place: &Path) -> Result<(), Failure> {
        let (start, _) = sealed::bounds(&*self.log, &self.names.inbox(), partition)?;
        if start > 0 {
            let message = format!(
                "the log of inbox partition {partition} begins at offset {start}: only a checkpoint can make its store anew. Leave out --from log"
            );
            return Err(Failure::new(Exit::Refused, message));
        }
        verify::rebuild(place)?;
        drop(RocksStore::open(place, &Shared::new(Memory::default()))?);
        Ok(())
    }

    /// What the log is folded upon: nothing, or where it was trimmed, the newest verified checkpoint of no record at or behind `below`.
    fn base(&self, partition: u32, below: Offset, scratch: &mut Scratch) -> Result<Box<dyn Store>, VerifyError> {
        let (start, _) = sealed::bounds(&*self.log, &self.names.inbox(), partition)?;
        if start == 0 {
            return Ok(scratch.store()?);
        }
        let place = scratch.place()?;
        let restored = self.restored(partition, &place, below).map_err(|error| VerifyError::Base(error.to_string()))?;
        restored.map_err(|why| {
            VerifyError::Base(format!("the log begins at offset {start}, and no checkpoint can be used: {why}"))
        })?;
        Ok(Box::new(RocksStore::open(&place, &scratch.shared)?))
    }

    fn restored(&self, partition: u32, place: &Path, below: Offset) -> Result<Result<Kept, String>, CheckpointError> {
        let vault = self.vault.as_ref().ok_or(CheckpointError::NotKept)?;
        let unfit = |error: TopicsError| CheckpointError::None { partition, why: error.to_string() };
        let inbox = check(&*self.log, &self.names, &self.key, self.single_broker).map_err(unfit)?;
        let shelf = Shelf { vault, key: &self.key, log_id: inbox.log_id, partition };
        Restorer { shelf, log: &*self.log, names: &self.names, rules: KnownRules::OWN }.restore(place, below)
    }

    /// The store that is there is dropped once the other is whole.
    fn restore(&self, partition: u32, place: &Path) -> Result<(), Failure> {
        match RocksStore::open(place, &Shared::new(Memory::default())) {
            // Whatever is wrong with it: it goes.
            Ok(_) | Err(StoreError::Corrupt { .. } | StoreError::Format { .. }) => {}
            Err(error @ (StoreError::InUse { .. } | StoreError::Io { .. })) => return Err(error.into()),
        }
        let restored = self.restored(partition, place, Offset::MAX)?;
        restored.map_err(|why| CheckpointError::None { partition, why })?;
        Ok(())
    }
}

fn stopped(offline: &Offline) -> Result<Stopped, Failure> {
    match &offline.data {
        Some(data) => {
            let stores = stores_of(data);
            if !stores.is_dir() {
                let message = format!("{} is no data directory of `sagaline dev`", data.display());
                return Err(Failure::usage(message));
            }
            let key = dev_key(data, offline.key_file.as_deref(), false)?;
            let log = sagaline_log::connect(&log_of(data), &Default::default())?;
            let (names, vault) = (Names::new(&offline.prefix), Some(dev_keeping(data)?.vault));
            Ok(Stopped { stores, log, names, key, single_broker: true, vault })
        }
        None => {
            let (config, log) = topics::connect(&Configured { config: offline.config.clone() })?;
            let key = read_key(&config.key_file)?;
            let vault = config.keeping()?.map(|keeping| keeping.vault);
            let (names, single_broker) = (Names::new(&config.prefix), config.single_broker);
            Ok(Stopped { stores: config.data, log, names, key, single_broker, vault })
        }
    }
}

/// The stores there are, by partition; those wanted only.
fn places(stores: &Path, wanted: &[u32]) -> Result<Vec<(u32, PathBuf)>, Failure> {
    let listed = std::fs::read_dir(stores).map_err(|error| Failure::file(stores, &error))?;
    let mut places = Vec::new();
    for entry in listed {
        let path = entry.map_err(|error| Failure::file(stores, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = name.strip_prefix(PARTITION).and_then(|number| number.parse().ok());
        places
            .extend(number.filter(|number| wanted.is_empty() || wanted.contains(number)).map(|number| (number, path)));
    }
    places.sort();
    if let Some(missing) = wanted.iter().find(|wanted| places.iter().all(|(number, _)| number != *wanted)) {
        return Err(Failure::usage(format_args!("{} holds no store of inbox partition {missing}", stores.display())));
    }
    if places.is_empty() {
        let message = format!(
            "{} holds no store: name the data directory of `sagaline dev` with --data, or the configuration of `sagaline serve` with --config",
            stores.display()
        );
        return Err(Failure::usage(message));
    }
    Ok(places)
}

/// Empty stores beside the real ones, gone when dropped.
struct Scratch {
    stores: PathBuf,
    shared: Shared,
    made: Vec<PathBuf>,
}

impl Scratch {
    /// Where the next one may lie.
    fn place(&mut self) -> Result<PathBuf, StoreError> {
        let place = self.stores.join(format!("verify-{}", self.made.len()));
        RocksStore::destroy(&place)?;
        self.made.push(place.clone());
        Ok(place)
    }

    fn store(&mut self) -> Result<Box<dyn Store>, StoreError> {
        let place = self.place()?;
        Ok(Box::new(RocksStore::open(&place, &self.shared)?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for place in &self.made {
            if let Err(error) = RocksStore::destroy(place) {
                anstream::eprintln!("sagaline: {} is left behind: {error}", place.display());
            }
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Log(error) => error.into(),
            VerifyError::Store(error) => error.into(),
            VerifyError::Halt(_) | VerifyError::Short { .. } | VerifyError::Base(_) | VerifyError::Panicked { .. } => {
                Self::new(Exit::Halted, error)
            }
            VerifyError::GivenUp => Self::new(Exit::Unreachable, error),
        }
    }
}

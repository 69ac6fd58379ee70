//! `rebuild` and `verify`: for a stopped node. A store is a cache: it can be dropped, and it can be held against its log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sagaline_log::Log;
use sagaline_node::Names;
use sagaline_node::verify::{self, Refold, VerifyError};
use sagaline_partition::store::{Store, StoreError};
use sagaline_schemas::proof::Key;
use sagaline_store::{Memory, RocksStore, Shared};
use serde_json::json;

use super::init::read_key;
use super::node::{dev_key, log_of, stores_of};
use super::topics;
use crate::args::{Common, Configured, Offline};
use crate::exit::{Exit, Failure};
use crate::print;

const PARTITION: &str = "partition-";

/// `sagaline rebuild`
pub fn rebuild(offline: &Offline, common: &Common) -> Result<(), Failure> {
    let stores = match &offline.data {
        Some(data) => stores_of(data),
        None => topics::load(offline.config.as_deref())?.data,
    };
    let places = places(&stores, &offline.partition)?;
    for (_, place) in &places {
        verify::rebuild(place)?;
    }
    let numbers: Vec<u32> = places.iter().map(|(number, _)| *number).collect();
    if common.json {
        return print::json(&json!({ "dropped": numbers }));
    }
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    print::line(format_args!(
        "dropped: the stores of inbox partitions {}; the next start folds their log anew",
        numbers.join(", ")
    ))
}

/// `sagaline verify`
pub fn verify(offline: &Offline, common: &Common) -> Result<(), Failure> {
    let Stopped { stores, log, names, key } = stopped(offline)?;
    let shared = Shared::new(Memory::default());
    let mut all = Vec::new();
    for (partition, place) in places(&stores, &offline.partition)? {
        let live = RocksStore::open(&place, &shared)?;
        let mut scratch = Scratch { stores: stores.clone(), shared: shared.clone(), made: Vec::new() };
        let refold = Refold { log: &*log, names: &names, key: &key, partition };
        let verified = refold.verify(&live, &mut || scratch.store())?;
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
            Ok(Stopped { stores, log, names: Names::new(&offline.prefix), key })
        }
        None => {
            let (config, log) = topics::connect(&Configured { config: offline.config.clone() })?;
            let key = read_key(&config.key_file)?;
            Ok(Stopped { stores: config.data, log, names: Names::new(&config.prefix), key })
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
    fn store(&mut self) -> Result<Box<dyn Store>, StoreError> {
        let place = self.stores.join(format!("verify-{}", self.made.len()));
        RocksStore::destroy(&place)?;
        self.made.push(place.clone());
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
            VerifyError::Halt(_) | VerifyError::Short { .. } => Self::new(Exit::Halted, error),
        }
    }
}

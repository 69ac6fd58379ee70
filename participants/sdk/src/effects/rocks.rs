//! Rows in RocksDB, for a participant with one instance. The write-ahead log is on: unlike the coordinator's store this is no cache, nothing rebuilds it.

use std::collections::BTreeMap;
use std::path::Path;

use rocksdb::{ColumnFamilyDescriptor, DB, Direction, ErrorKind, IteratorMode, Options, WriteBatch};
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{EffectId, Millis};

use super::{EffectRows, EffectStoreError, Reach, ReplyPartition, Row, unlike_any_other};

/// What the database holds, and how: another layout has another number.
const FORMAT: &[u8] = b"sagaline-effects 1";
const FORMAT_KEY: &[u8] = b"format";
/// There where commands were ever handled with these rows.
const USED_KEY: &[u8] = b"used";
/// What tells this database from all others.
const NAME_KEY: &[u8] = b"name";
/// effect -> row
const ROWS: &str = "rows";
/// reply partition, kept, effect -> nothing: the order in which rows are dropped
const BY_AGE: &str = "by_age";
/// reply partition -> the largest `kept` dropped
const HORIZONS: &str = "horizons";

/// Rows in a RocksDB database of their own.
pub struct RocksRows {
    db: DB,
    place: String,
    name: String,
    /// Where a look for old rows begins: below it the reply partition has none. From its first key each look would pass over all that were ever dropped
    /// and are not yet compacted away.
    none_below: BTreeMap<ReplyPartition, Millis>,
}

impl RocksRows {
    /// Opens the database in this directory, or makes it.
    ///
    /// # Errors
    /// When another process has it open, another version wrote it, or the disk fails.
    pub fn open(directory: &Path) -> Result<Self, EffectStoreError> {
        let place = directory.display().to_string();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        options.set_keep_log_file_num(2);
        let families = [ROWS, BY_AGE, HORIZONS].map(|name| ColumnFamilyDescriptor::new(name, Options::default()));
        let db = DB::open_cf_descriptors(&options, directory, families).map_err(|error| open_error(&place, &error))?;
        let mut rows = Self { db, place, name: String::new(), none_below: BTreeMap::new() };
        rows.check_format()?;
        rows.name = rows.read_name()?;
        Ok(rows)
    }

    /// Given once, and kept.
    fn read_name(&self) -> Result<String, EffectStoreError> {
        let error = |error| self.error(&error);
        if let Some(name) = self.db.get(NAME_KEY).map_err(error)? {
            return String::from_utf8(name).map_err(|_| self.corrupt(NAME_KEY, "not a name".to_owned()));
        }
        let name = unlike_any_other();
        self.db.put(NAME_KEY, &name).and_then(|()| self.db.flush_wal(true)).map_err(error)?;
        Ok(name)
    }

    fn check_format(&self) -> Result<(), EffectStoreError> {
        let error = |error| self.error(&error);
        match self.db.get(FORMAT_KEY).map_err(error)? {
            Some(found) if found == FORMAT => Ok(()),
            Some(found) => Err(EffectStoreError::Format {
                place: self.place.clone(),
                found: String::from_utf8_lossy(&found).into_owned(),
                expected: String::from_utf8_lossy(FORMAT).into_owned(),
            }),
            None => self.db.put(FORMAT_KEY, FORMAT).and_then(|()| self.db.flush_wal(true)).map_err(error),
        }
    }

    fn family(&self, name: &str) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(name).expect("every family is opened with the database")
    }

    fn error(&self, error: &rocksdb::Error) -> EffectStoreError {
        EffectStoreError::Database { place: self.place.clone(), detail: error.to_string() }
    }

    fn decode<T: Wire>(&self, key: &[u8], value: &[u8]) -> Result<T, EffectStoreError> {
        T::from_bytes(value).map_err(|error| self.corrupt(key, error.to_string()))
    }

    fn corrupt(&self, key: &[u8], detail: String) -> EffectStoreError {
        let key = key.iter().map(|byte| format!("{byte:02x}")).collect();
        EffectStoreError::Corrupt { place: self.place.clone(), key, detail }
    }

    fn write(&self, batch: WriteBatch) -> Result<(), EffectStoreError> {
        self.db.write(batch).map_err(|error| self.error(&error))
    }

    /// Takes the effect's row out, in the batch.
    fn take_out(&self, batch: &mut WriteBatch, effect: EffectId) -> Result<(), EffectStoreError> {
        if let Some(row) = self.row(effect)? {
            batch.delete_cf(self.family(ROWS), effect.as_bytes());
            batch.delete_cf(self.family(BY_AGE), age_key(&row.inbox, row.kept, effect));
        }
        Ok(())
    }

    /// The oldest rows of a reply partition up to a time.
    fn oldest(&self, inbox: &ReplyPartition, through: Millis, at_most: usize) -> Result<Oldest, EffectStoreError> {
        let from = self.none_below.get(inbox).copied().unwrap_or(Millis::MIN);
        let mut oldest = Oldest { effects: Vec::new(), newest: None, next: from };
        if from > through {
            return Ok(oldest);
        }
        let (prefix, begin) = (inbox.to_bytes(), age_key(inbox, from, EffectId::from_bytes([0; 16])));
        let mode = IteratorMode::From(&begin, Direction::Forward);
        for entry in self.db.iterator_cf(self.family(BY_AGE), mode) {
            let (key, _) = entry.map_err(|error| self.error(&error))?;
            let Some(rest) = key.strip_prefix(prefix.as_slice()) else { break };
            let (kept, effect) =
                parse_age(rest).ok_or_else(|| self.corrupt(&key, "not a time and an effect".to_owned()))?;
            if kept > through || oldest.effects.len() == at_most {
                oldest.next = kept;
                return Ok(oldest);
            }
            oldest.effects.push(effect);
            oldest.newest = Some(kept);
        }
        oldest.next = Millis::MAX;
        Ok(oldest)
    }
}

/// What there is to be dropped.
struct Oldest {
    effects: Vec<EffectId>,
    /// The newest `kept` among them.
    newest: Option<Millis>,
    /// The `kept` of the row behind them.
    next: Millis,
}

fn open_error(place: &str, error: &rocksdb::Error) -> EffectStoreError {
    let locked = error.kind() == ErrorKind::IOError && error.to_string().contains("lock");
    let place = place.to_owned();
    if locked {
        EffectStoreError::InUse { place }
    } else {
        EffectStoreError::Database { place, detail: error.to_string() }
    }
}

/// Sorts by time: the sign bit is turned over, so that times before 1970 come first.
fn age_key(inbox: &ReplyPartition, kept: Millis, effect: EffectId) -> Vec<u8> {
    let mut key = inbox.to_bytes();
    key.extend_from_slice(&((kept as u64) ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(effect.as_bytes());
    key
}

fn parse_age(rest: &[u8]) -> Option<(Millis, EffectId)> {
    let (kept, effect) = rest.split_first_chunk::<8>()?;
    let kept = (u64::from_be_bytes(*kept) ^ (1 << 63)) as Millis;
    Some((kept, EffectId::from_bytes(effect.try_into().ok()?)))
}

impl EffectRows for RocksRows {
    fn row(&self, effect: EffectId) -> Result<Option<Row>, EffectStoreError> {
        let value = self.db.get_pinned_cf(self.family(ROWS), effect.as_bytes()).map_err(|error| self.error(&error))?;
        value.map(|value| self.decode(effect.as_bytes(), &value)).transpose()
    }

    fn put(&mut self, effect: EffectId, row: &Row) -> Result<(), EffectStoreError> {
        if let Some(none_below) = self.none_below.get_mut(&row.inbox) {
            *none_below = row.kept.min(*none_below);
        }
        let mut batch = WriteBatch::default();
        self.take_out(&mut batch, effect)?;
        batch.put_cf(self.family(ROWS), effect.as_bytes(), row.to_bytes());
        batch.put_cf(self.family(BY_AGE), age_key(&row.inbox, row.kept, effect), []);
        self.write(batch)
    }

    fn remove(&mut self, effect: EffectId) -> Result<(), EffectStoreError> {
        let mut batch = WriteBatch::default();
        self.take_out(&mut batch, effect)?;
        self.write(batch)
    }

    fn horizon(&self, inbox: &ReplyPartition) -> Result<Option<Millis>, EffectStoreError> {
        let key = inbox.to_bytes();
        let value = self.db.get_pinned_cf(self.family(HORIZONS), &key).map_err(|error| self.error(&error))?;
        value.map(|value| self.decode(&key, &value)).transpose()
    }

    fn latest_horizon(&self, except: &str) -> Result<Option<Millis>, EffectStoreError> {
        let mut latest = None;
        for entry in self.db.iterator_cf(self.family(HORIZONS), IteratorMode::Start) {
            let (key, value) = entry.map_err(|error| self.error(&error))?;
            let inbox: ReplyPartition = self.decode(&key, &key)?;
            if inbox.topic != except {
                latest = latest.max(Some(self.decode(&key, &value)?));
            }
        }
        Ok(latest)
    }

    fn drop_through(
        &mut self,
        inbox: &ReplyPartition,
        through: Millis,
        at_most: usize,
    ) -> Result<usize, EffectStoreError> {
        let Oldest { effects, newest, next } = self.oldest(inbox, through, at_most)?;
        let Some(newest) = newest else {
            self.none_below.insert(inbox.clone(), next);
            return Ok(0);
        };
        let mut batch = WriteBatch::default();
        for effect in &effects {
            self.take_out(&mut batch, *effect)?;
        }
        let horizon = self.horizon(inbox)?.map_or(newest, |horizon| horizon.max(newest));
        batch.put_cf(self.family(HORIZONS), inbox.to_bytes(), horizon.to_bytes());
        self.write(batch)?;
        self.none_below.insert(inbox.clone(), next);
        Ok(effects.len())
    }

    fn sync(&mut self) -> Result<(), EffectStoreError> {
        self.db.flush_wal(true).map_err(|error| self.error(&error))
    }

    fn reach(&self) -> Reach {
        Reach::ThisInstance
    }

    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn in_use(&self) -> Result<bool, EffectStoreError> {
        if self.db.get_pinned(USED_KEY).map_err(|error| self.error(&error))?.is_some() {
            return Ok(true);
        }
        // A version that did not say so may have left something.
        for family in [ROWS, HORIZONS] {
            if let Some(entry) = self.db.iterator_cf(self.family(family), IteratorMode::Start).next() {
                return entry.map(|_| true).map_err(|error| self.error(&error));
            }
        }
        Ok(false)
    }

    fn begin_use(&mut self) -> Result<(), EffectStoreError> {
        self.db.put(USED_KEY, []).and_then(|()| self.db.flush_wal(true)).map_err(|error| self.error(&error))
    }
}

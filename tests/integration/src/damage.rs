//! Stores as a dead coordinator left them, and what becomes of them when a byte changes. Files are damaged in copies only. Whatever opens and
//! can be read must be a place in the fold of its log: that is proven by folding on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use anyhow::{Context, Result, bail, ensure};
use sagaline_log::Log;
use sagaline_node::Names;
use sagaline_node::verify::{Refold, VerifyError};
use sagaline_partition::store::{Batch, Entry, Family, Read, Store, StoreError};
use sagaline_partition::{Halt, digest, view};
use sagaline_schemas::proof::Key;
use sagaline_schemas::{Digest, Offset};
use sagaline_store::{Memory, RocksStore, Shared};
use tempfile::TempDir;

/// Kinds of files in a database, in which bytes are changed in turn.
const KINDS: [&str; 5] = [".sst", CATALOGUE, "CURRENT", "OPTIONS-", "IDENTITY"];
/// Of the tables that there are.
const CATALOGUE: &str = "MANIFEST-";
/// Entries compared at once.
const PAGE: usize = 1_000;

/// The stores, and what their log needs to be folded.
pub struct Left {
    /// One folder for each inbox partition. Opening a database writes into it: what is looked at is a copy of the copy.
    stores: PathBuf,
    log: Arc<dyn Log>,
    names: Names,
    key: Key,
}

/// What is done to a file.
#[derive(Debug)]
struct Damage {
    partition: u32,
    file: PathBuf,
    at: usize,
    /// What is flipped in that byte; none: the file ends before it.
    mask: Option<u8>,
}

/// What a store with a changed byte was.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub enum Found {
    /// It said that it is damaged.
    NamedError,
    /// All that was in it.
    Identical,
    /// What it was at an earlier flush: folded on, all that was in it.
    Earlier,
}

/// How often what was found, by kind of file.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<(&'static str, Found), usize>);

impl Tally {
    /// How often this was found.
    #[must_use]
    pub fn of(&self, wanted: Found) -> usize {
        self.0.iter().filter(|((_, found), _)| *found == wanted).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.0.iter().map(|((kind, found), count)| format!("{count} in {kind}: {found:?}"));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

impl Left {
    /// Copies the stores in `from`, which nobody has open.
    ///
    /// # Errors
    /// When they can't be copied, or the log can't be reached.
    pub fn copy_of(from: &Path, to: &Path, bootstrap: &str, prefix: &str, key: Key) -> Result<Self> {
        copy(from, to)?;
        let log = sagaline_log::connect(&format!("kafka://{bootstrap}"), &BTreeMap::new())?;
        Ok(Self { stores: to.to_owned(), log, names: Names::new(prefix), key })
    }

    fn partitions(&self) -> Result<Vec<u32>> {
        let names = fs::read_dir(&self.stores)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: Vec<String> = names.collect::<Result<_>>()?;
        let mut partitions: Vec<u32> =
            names.iter().filter_map(|name| name.strip_prefix("partition-")?.parse().ok()).collect();
        partitions.sort_unstable();
        ensure!(!partitions.is_empty(), "no store lies in {}", self.stores.display());
        Ok(partitions)
    }

    fn place(&self, partition: u32) -> PathBuf {
        self.stores.join(format!("partition-{partition}"))
    }

    /// A fresh copy of a partition's store; it is gone when the folder is dropped.
    fn fresh(&self, partition: u32) -> Result<TempDir> {
        let copied = TempDir::new()?;
        copy(&self.place(partition), copied.path())?;
        Ok(copied)
    }

    /// In each family with entries, one byte of one of them is changed, and changed back: the digest sees both. Gives the families' names.
    ///
    /// # Errors
    /// When a change is not seen.
    pub fn change_values(&self, seed: u64) -> Result<Vec<&'static str>> {
        let mut seeded = Seeded(seed);
        let mut changed = Vec::new();
        for partition in self.partitions()? {
            let copied = self.fresh(partition)?;
            let mut store = open(copied.path())?;
            let before = digest_of(&store)?;
            for family in Family::ALL {
                let Some((old, new)) = changed_entry(&store, family, &mut seeded)? else { continue };
                put(&mut store, family, &old, &new)?;
                ensure!(digest_of(&store)? != before, "{old:?} of {family:?} can become {new:?} and nobody sees it");
                put(&mut store, family, &new, &old)?;
                ensure!(digest_of(&store)? == before, "{family:?} is as before, its digest is not");
                changed.push(family.name());
            }
        }
        changed.sort_unstable();
        changed.dedup();
        Ok(changed)
    }

    /// Stores of before, folded on, become these.
    ///
    /// # Errors
    /// When one becomes something else, or was not of before.
    pub fn follow_from(&self, before: &Self) -> Result<()> {
        for partition in self.partitions()? {
            let copied = before.fresh(partition)?;
            let (_, position) = whole(&open(copied.path())?)?;
            let found = self.fold_on(partition, copied.path(), position)?;
            ensure!(found == Found::Earlier, "partition {partition}: {found:?}");
        }
        Ok(())
    }

    /// Changes one byte of one saga for good.
    ///
    /// # Errors
    /// When there is none.
    pub fn change_saga(&self, partition: u32, seed: u64) -> Result<()> {
        let mut store = open(&self.place(partition))?;
        let (old, new) = changed_entry(&store, Family::Sagas, &mut Seeded(seed))?.context("no saga is there")?;
        put(&mut store, Family::Sagas, &old, &new)?;
        Ok(store.flush()?)
    }

    /// Changes `count` bytes of files, each in a fresh copy, and looks what is there then.
    ///
    /// # Errors
    /// With seed and place, when a store opens that never was, or fails in another way than by saying that it is damaged.
    pub fn flip_bytes(&self, seed: u64, count: usize) -> Result<Tally> {
        let (mut seeded, mut tally) = (Seeded(seed), Tally::default());
        let partitions = self.partitions()?;
        for number in 0..count {
            let kind = KINDS[number % KINDS.len()];
            let partition = partitions[seeded.below(partitions.len())];
            let mut files = self.files(partition, kind)?;
            let (file, length) = files.swap_remove(seeded.below(files.len()));
            let (at, mask) = (seeded.below(length), Some(u8::try_from(1 + seeded.below(255))?));
            let damage = Damage { partition, file, at, mask };
            let found = self.look_at(&damage).with_context(|| format!("seed {seed}, flip {number}: {damage:?}"))?;
            *tally.0.entry((kind, found)).or_default() += 1;
        }
        Ok(tally)
    }

    /// Cuts each catalogue short, at so many places: RocksDB takes that for a crash while it was written, and goes on with what is left of it.
    ///
    /// # Errors
    /// As `flip_bytes`.
    pub fn cut_catalogues(&self, places: usize) -> Result<Tally> {
        let mut tally = Tally::default();
        for partition in self.partitions()? {
            let (file, length) = self.files(partition, CATALOGUE)?.swap_remove(0);
            for number in 1..=places {
                let damage =
                    Damage { partition, file: file.clone(), at: length - length * number / (places + 1), mask: None };
                let found = self.look_at(&damage).with_context(|| format!("{damage:?}"))?;
                *tally.0.entry((CATALOGUE, found)).or_default() += 1;
            }
        }
        Ok(tally)
    }

    /// Files of a kind with their lengths; empty ones left out.
    fn files(&self, partition: u32, kind: &str) -> Result<Vec<(PathBuf, usize)>> {
        let database = self.place(partition).join("db");
        let mut files = Vec::new();
        for entry in fs::read_dir(&database)? {
            let (name, length) = entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?.len())))?;
            if name.to_string_lossy().contains(kind) && length > 0 {
                files.push((PathBuf::from(name), usize::try_from(length)?));
            }
        }
        files.sort();
        ensure!(!files.is_empty(), "no file {kind} in {}", database.display());
        Ok(files)
    }

    fn look_at(&self, damage: &Damage) -> Result<Found> {
        let copied = self.fresh(damage.partition)?;
        let file = copied.path().join("db").join(&damage.file);
        let mut content = fs::read(&file)?;
        match damage.mask {
            Some(mask) => content[damage.at] ^= mask,
            None => content.truncate(damage.at),
        }
        fs::write(&file, content)?;
        match open(copied.path()).and_then(|store| whole(&store)) {
            Err(error) => named(error),
            Ok((digest, _)) if digest == self.expected(damage.partition)? => Ok(Found::Identical),
            Ok((_, position)) => self.fold_on(damage.partition, copied.path(), position),
        }
    }

    fn expected(&self, partition: u32) -> Result<Digest> {
        Ok(digest_of(&open(self.fresh(partition)?.path())?)?)
    }

    /// A store that is not what it was is so by right only if folding on from where it stands leads there.
    fn fold_on(&self, partition: u32, place: &Path, position: Offset) -> Result<Found> {
        let copied = self.fresh(partition)?;
        let healthy = open(copied.path())?;
        let refold = Refold { log: &*self.log, names: &self.names, key: &self.key, partition };
        let mut damaged = |_| -> Result<Box<dyn Store>, VerifyError> { Ok(Box::new(open(place)?)) };
        match refold.verify(&*healthy.reader(), &mut damaged) {
            Ok(verified) if verified.same() => {
                ensure!(position < verified.position, "it is at offset {position} already, and holds something else");
                Ok(Found::Earlier)
            }
            Ok(verified) => bail!("a wrong answer: at offset {position} it opens; folded on, {verified:?}"),
            Err(VerifyError::Store(error) | VerifyError::Halt(Halt::Store(error))) => named(error),
            Err(other) => Err(other.into()),
        }
    }
}

/// Damage has one name: the one whose message says how the store is made anew.
fn named(error: StoreError) -> Result<Found> {
    match error {
        StoreError::Corrupt { .. } => Ok(Found::NamedError),
        other => Err(other).context("that is not what happened to it"),
    }
}

/// With a cache of its own: RocksDB knows a table by an id within it, and would take a copy's blocks from the cache that another filled.
fn open(place: &Path) -> Result<RocksStore, StoreError> {
    RocksStore::open(place, &Shared::new(Memory::default()))
}

fn digest_of(store: &RocksStore) -> Result<Digest, StoreError> {
    digest::digest(&*store.reader().snapshot())
}

/// Everything in a store, read in both ways there are: its digest, and where it stands.
fn whole(store: &RocksStore) -> Result<(Digest, Offset), StoreError> {
    for family in Family::ALL {
        let mut from = Vec::new();
        loop {
            let page = store.scan(family, &from, None, PAGE)?;
            for (key, value) in &page {
                // A filter that lies would hide the key from whoever asks for it alone.
                if store.get(family, key)?.as_ref() != Some(value) {
                    let (place, detail) = (format!("{family:?}"), format!("{key:?} is there, and is not"));
                    return Err(StoreError::Io { place, detail });
                }
            }
            let Some((last, _)) = page.into_iter().nth(PAGE - 1) else { break };
            from = [last.as_slice(), &[0]].concat();
        }
    }
    Ok((digest_of(store)?, view::meta(store)?.map_or(0, |meta| meta.next)))
}

/// Any entry of a family, and the same with one byte changed: in its value; in its key where that is all there is.
fn changed_entry(store: &RocksStore, family: Family, seeded: &mut Seeded) -> Result<Option<(Entry, Entry)>> {
    let mut entries = store.scan(family, &[], None, PAGE)?;
    if entries.is_empty() {
        return Ok(None);
    }
    let old = entries.swap_remove(seeded.below(entries.len()));
    let mut new = old.clone();
    let bytes = if new.1.is_empty() { &mut new.0 } else { &mut new.1 };
    let at = seeded.below(bytes.len());
    bytes[at] ^= u8::try_from(1 + seeded.below(255))?;
    Ok(Some((old, new)))
}

/// The entry `new` in the place of `old`.
fn put(store: &mut RocksStore, family: Family, old: &Entry, new: &Entry) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    let writes = batch.writes.entry(family).or_default();
    writes.insert(old.0.clone(), None);
    writes.insert(new.0.clone(), Some(new.1.clone()));
    store.commit(&batch)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => fs::copy(entry.path(), target).map(drop)?,
        }
    }
    Ok(())
}

/// Seeded numbers: SplitMix64, so that a failure can be repeated on the store that it was found on.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

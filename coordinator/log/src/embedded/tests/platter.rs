//! A disk in memory that can lose power between any two calls: what was not synced is then there, gone, or there in part. It
//! can also hold its syncs back, and count them. One directory is all it has.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::embedded::{Disk, DiskFile, Lock};

/// What a crash does to bytes and names that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsynced {
    Lost,
    Kept,
    /// Some sectors and some names, by this seed.
    Torn(u64),
}

#[derive(Debug, Default, Clone)]
struct Inode {
    synced: Vec<u8>,
    current: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    synced_names: BTreeMap<String, u64>,
    names: BTreeMap<String, u64>,
    locked: bool,
    /// Calls until the power fails.
    power: Option<u64>,
    /// Handles of an earlier boot are dead.
    boot: u64,
    syncs: u64,
    syncs_held: bool,
}

const SECTOR: usize = 32;

#[derive(Debug, Clone, Default)]
pub(super) struct Platter(Arc<(Mutex<State>, Condvar)>);

impl Platter {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// One call to the disk: an error when there is no power. The call that meets the end of power is still done.
    fn call(&self) -> (MutexGuard<'_, State>, io::Result<()>) {
        let mut state = self.state();
        let powered = state.power != Some(0);
        state.power = state.power.map(|left| left.saturating_sub(1));
        (state, if powered { Ok(()) } else { Err(io::Error::other("no power")) })
    }

    pub(super) fn fail_after(&self, calls: u64) {
        self.state().power = Some(calls);
    }

    /// Power comes back.
    pub(super) fn reboot(&self, unsynced: Unsynced) {
        let mut state = self.state();
        let mut chance = match unsynced {
            Unsynced::Torn(seed) => seed | 1,
            Unsynced::Lost | Unsynced::Kept => 0,
        };
        let mut keeps = || match unsynced {
            Unsynced::Lost => false,
            Unsynced::Kept => true,
            Unsynced::Torn(_) => {
                // xorshift64
                chance ^= chance << 13;
                chance ^= chance >> 7;
                chance ^= chance << 17;
                chance % 3 > 0
            }
        };
        let synced_names = state.synced_names.clone();
        state.names.retain(|name, _| synced_names.contains_key(name) || keeps());
        for inode in state.inodes.values_mut() {
            *inode = after_crash(inode, &mut keeps);
        }
        state.synced_names = state.names.clone();
        (state.power, state.locked, state.boot) = (None, false, state.boot + 1);
    }

    pub(super) fn hold_syncs(&self, hold: bool) {
        self.state().syncs_held = hold;
        self.0.1.notify_all();
    }

    pub(super) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Another file's bytes.
    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names[name];
        let inode = state.inodes.get_mut(&inode).unwrap();
        edit(&mut inode.current);
        inode.synced = inode.current.clone();
    }

    pub(super) fn remove(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.synced_names.remove(name);
    }
}

fn after_crash(inode: &Inode, keeps: &mut impl FnMut() -> bool) -> Inode {
    let longest = inode.synced.len().max(inode.current.len());
    let mut bytes = Vec::new();
    for start in (0..longest).step_by(SECTOR) {
        let sector = |of: &[u8]| of.get(start..(start + SECTOR).min(of.len())).unwrap_or_default().to_vec();
        let (old, new) = (sector(&inode.synced), sector(&inode.current));
        let kept = if old == new || keeps() { new } else { old };
        if !kept.is_empty() {
            // A sector that never came, before one that did, reads as zeros.
            bytes.resize(start, 0);
            bytes.extend(kept);
        }
    }
    Inode { synced: bytes.clone(), current: bytes }
}

#[derive(Debug)]
struct Handle {
    platter: Platter,
    inode: u64,
    boot: u64,
}

impl Handle {
    fn call<T>(&self, act: impl FnOnce(&mut Inode) -> io::Result<T>) -> io::Result<T> {
        let (mut state, powered) = self.platter.call();
        if state.boot != self.boot {
            return Err(io::Error::other("a file of another boot"));
        }
        let done = act(state.inodes.get_mut(&self.inode).unwrap());
        powered.and(done)
    }
}

impl DiskFile for Handle {
    fn length(&self) -> io::Result<u64> {
        self.call(|inode| Ok(inode.current.len() as u64))
    }

    fn read(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        self.call(|inode| {
            let held = inode.current.get(at as usize..at as usize + into.len());
            into.copy_from_slice(held.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.call(|inode| {
            let end = at as usize + bytes.len();
            if inode.current.len() < end {
                inode.current.resize(end, 0);
            }
            inode.current[at as usize..end].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.call(|inode| {
            inode.current.truncate(length as usize);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let (mutex, released) = &*self.platter.0;
        drop(released.wait_while(mutex.lock().unwrap(), |state| state.syncs_held).unwrap());
        self.platter.state().syncs += 1;
        // Unlike a write, a sync that meets the end of power has not happened.
        if self.platter.state().power == Some(0) {
            return Err(io::Error::other("no power"));
        }
        self.call(|inode| {
            inode.synced = inode.current.clone();
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Locked {
    platter: Platter,
    boot: u64,
}

impl Lock for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        let mut state = self.platter.state();
        if state.boot == self.boot {
            state.locked = false;
        }
    }
}

impl Disk for Platter {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.call().1
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        let (state, powered) = self.call();
        powered.map(|()| state.names.keys().cloned().collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let (mut state, powered) = self.call();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let fresh = state.inodes.len() as u64;
        let inode = *state.names.entry(name).or_insert(fresh);
        state.inodes.entry(inode).or_default();
        let boot = state.boot;
        drop(state);
        powered.map(|()| Arc::new(Handle { platter: self.clone(), inode, boot }) as Arc<dyn DiskFile>)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let (mut state, powered) = self.call();
        powered.map(|()| state.synced_names = state.names.clone())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Lock>> {
        let (mut state, powered) = self.call();
        powered?;
        if std::mem::replace(&mut state.locked, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let boot = state.boot;
        drop(state);
        Ok(Box::new(Locked { platter: self.clone(), boot }))
    }
}

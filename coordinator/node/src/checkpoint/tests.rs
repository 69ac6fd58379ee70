//! Checkpoints over a simulated log, real stores on disk and a vault in memory: what is believed, what is passed by, what is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::simulated::Faults;
use sagaline_partition::KnownRules;
use sagaline_partition::digest::digest;
use sagaline_partition::store::{Batch, Family, Store};
use sagaline_schemas::proof::Key;
use sagaline_schemas::{Digest, LogId, Offset, Position};
use sagaline_store::checkpoint::Checkpointer;
use sagaline_store::{Memory, RocksStore, Shared};

use super::manifest::{Manifest, open, seal};
use super::*;
use crate::owner::Owner;
use crate::owner::opening::{Identity, Origin};
use crate::stage::{Desk, Stage, ended};
use crate::{Names, topics};

/// A day, milliseconds.
const DAY: i64 = 86_400_000;

struct Scene {
    stage: Stage,
    dir: tempfile::TempDir,
    vault: Vault,
    desk: Desk,
    begun: usize,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new(1);
        let desk = Desk::new(&stage);
        Self { desk, stage, dir: tempfile::tempdir().unwrap(), vault: Vault::memory().unwrap(), begun: 0 }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An owner on the store in that folder.
    fn owner(&self, name: &str) -> (Owner, Checkpointer) {
        let store = RocksStore::open(self.place(name), &Shared::new(Memory::default())).unwrap();
        let checkpointer = store.checkpointer();
        let opened =
            Owner::open(self.stage.options(name), Box::new(store), &Origin::default(), Arc::clone(&self.stage.log));
        (opened.unwrap().0, checkpointer)
    }

    /// So many more sagas begin and end.
    fn run(&mut self, owner: &mut Owner, sagas: usize) {
        for _ in 0..sagas {
            self.begun += 1;
            self.stage.start(&format!("saga-{}", self.begun));
        }
        let wanted = self.begun;
        self.stage.run(&mut [owner], &mut self.desk, |owners| ended(owners[0]) >= wanted);
    }

    fn shelf(&self) -> Shelf<'_> {
        Shelf { vault: &self.vault, key: &self.stage.key, log_id: self.stage.inbox.log_id, partition: 0 }
    }

    fn restorer(&self) -> Restorer<'_> {
        Restorer { shelf: self.shelf(), log: &*self.stage.log, names: &self.stage.names, rules: KnownRules::OWN }
    }

    fn take(&self, owner: &mut Owner, checkpointer: &Checkpointer) -> Kept {
        let position = owner.rest(self.stage.now()).unwrap().expect("it stands between two records");
        let place = self.place("taken");
        checkpointer.make(&place).unwrap();
        let kept = self.upload(&place).unwrap();
        assert_eq!(kept.position(), position);
        kept
    }

    fn upload(&self, place: &Path) -> Result<Kept, CheckpointError> {
        let about = About {
            identity: Identity::of(&*self.stage.log, &self.stage.names.inbox()).unwrap(),
            node: "one".to_owned(),
            now: self.stage.log.wall_clock(),
        };
        upload(&self.shelf(), place, &about, &|| true)
    }

    fn check(&self, kept: &Kept) -> Result<Kept, CheckpointError> {
        let scratch = self.place("scratch");
        Check { restorer: self.restorer(), scratch: &scratch, by: "a test", watch: &|_| true }.check(kept)
    }

    /// Sagas, a checkpoint, the word of a verifier.
    fn verified(&mut self, owner: &mut Owner, checkpointer: &Checkpointer) -> Kept {
        self.run(owner, 3);
        let kept = self.check(&self.take(owner, checkpointer)).unwrap();
        assert!(kept.is_verified());
        kept
    }

    fn restore(&self, name: &str) -> Result<Kept, String> {
        self.restorer().restore(&self.place(name), Offset::MAX).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let below = format!("{}/partition-0/files", self.stage.inbox.log_id);
        self.vault.list(&below).unwrap().into_iter().map(|object| object.name).collect()
    }

    fn named(&self, kept: &Kept, word: &str) -> String {
        format!("{}/partition-0/checkpoints/{}/{word}", self.stage.inbox.log_id, kept.id)
    }
}

fn state(owner: &Owner) -> Digest {
    digest(owner.reader().snapshot().as_ref()).unwrap()
}

#[test]
fn a_verified_checkpoint_becomes_a_store_that_goes_on_as_the_first() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let kept = scene.verified(&mut one, &checkpointer);
    let Standing::Verified(verdict) = &kept.standing else { panic!("{kept:?}") };
    assert_eq!((&verdict.from, verdict.by.as_str()), (&Source::Log, "a test"));
    assert!(!scene.place("scratch").exists(), "nothing is left behind");
    // Trimmed up to there, nobody can fold what was before.
    let inbox = scene.stage.names.inbox();
    scene.stage.log.delete_below(&inbox, 0, kept.position()).unwrap();
    let restored = scene.restore("two").unwrap();
    assert_eq!(restored.id, kept.id);
    let (mut two, _) = scene.owner("two");
    assert_eq!(two.position(), kept.position());
    two.take_role(crate::owner::Role::Standby, scene.stage.now());

    for _ in 0..5 {
        scene.begun += 1;
        scene.stage.start(&format!("saga-{}", scene.begun));
    }
    let wanted = scene.begun;
    let both = |owners: &[&mut Owner]| owners.iter().all(|owner| ended(owner) >= wanted);
    scene.stage.run(&mut [&mut one, &mut two], &mut scene.desk, both);
    while two.position() < one.position() {
        two.turn(scene.stage.now(), Duration::ZERO).unwrap();
    }
    one.close().unwrap();
    two.close().unwrap();
    assert_eq!((one.position(), state(&one)), (two.position(), state(&two)));
}

#[test]
fn the_next_is_verified_from_the_one_before_and_sends_what_is_new() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let first = scene.verified(&mut one, &checkpointer);
    let before = scene.files();
    scene.run(&mut one, 3);
    let second = scene.take(&mut one, &checkpointer);
    let shared = second.manifest.files.iter().filter(|file| first.manifest.files.contains(file)).count();
    assert!(shared > 0, "tables that stay the same are there already");
    assert_eq!(scene.files().len(), before.len() + second.manifest.files.len() - shared);
    let second = scene.check(&second).unwrap();
    let Standing::Verified(verdict) = &second.standing else { panic!("{second:?}") };
    assert_eq!(verdict.from, Source::Checkpoint { position: first.position() });
    assert_eq!(scene.restore("two").unwrap().id, second.id, "the newest is taken");
    // The same state again is the same files: nothing is sent but what RocksDB writes anew for each.
    let again = scene.take(&mut one, &checkpointer);
    assert_eq!(again.manifest.state, second.manifest.state);
}

#[test]
fn a_store_that_is_not_what_its_log_says_is_refuted_and_never_used() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let good = scene.verified(&mut one, &checkpointer);
    scene.run(&mut one, 2);
    one.close().unwrap();
    drop((one, checkpointer));
    let mut store = RocksStore::open(scene.place("one"), &Shared::new(Memory::default())).unwrap();
    let mut batch = Batch::default();
    batch.writes.entry(Family::Told).or_default().insert(b"nobody told".to_vec(), Some(b"this".to_vec()));
    store.commit(&batch).unwrap();
    store.flush().unwrap();
    store.checkpointer().make(scene.place("taken")).unwrap();
    let bad = scene.upload(&scene.place("taken")).unwrap();
    assert!(scene.restorer().choose(Offset::MAX).unwrap().why().contains("nobody has verified it"));
    let bad = scene.check(&bad).unwrap();
    assert!(matches!(bad.standing, Standing::Refuted(_)), "{bad:?}");
    assert_eq!(scene.restore("two").unwrap().id, good.id);
    let kept = scene.shelf().kept().unwrap();
    assert!(matches!(&kept[0].standing, Standing::Refuted(verdict) if verdict.by == "a test"), "{kept:?}");
}

#[test]
fn what_is_damaged_or_gone_is_passed_by() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let first = scene.verified(&mut one, &checkpointer);
    let second = scene.verified(&mut one, &checkpointer);
    let own = second.manifest.files.iter().find(|file| !first.manifest.files.contains(file)).unwrap();
    let name = scene.shelf().file(own.hash);
    let mut content = scene.vault.get(&name).unwrap().unwrap();
    *content.last_mut().unwrap() ^= 1;
    scene.vault.put(&name, content).unwrap();
    assert_eq!(scene.restore("two").unwrap().id, first.id);
    let damaged = scene.check(&second).unwrap_err();
    assert!(matches!(&damaged, CheckpointError::Damaged { place, .. } if place.contains(&name)), "{damaged}");
    scene.vault.remove(&name).unwrap();
    assert_eq!(scene.restore("three").unwrap().id, first.id);

    // Neither is left: why stands there for each.
    for file in &first.manifest.files {
        scene.vault.remove(&scene.shelf().file(file.hash)).unwrap();
    }
    let why = scene.restore("four").unwrap_err();
    assert!(why.contains(&first.id) && why.contains(&second.id) && why.contains("it is gone"), "{why}");
    assert!(!RocksStore::is_at(scene.place("four")));
}

#[test]
fn nobody_without_the_key_has_a_word() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let kept = scene.verified(&mut one, &checkpointer);
    let name = scene.named(&kept, "manifest");
    let true_bytes = scene.vault.get(&name).unwrap().unwrap();
    let outcome = |scene: &Scene| scene.shelf().list().unwrap().remove(0).outcome;
    assert!(outcome(&scene).is_ok());

    let text = String::from_utf8(true_bytes.clone()).unwrap();
    let moved = text.replace(&format!("\"position\": {}", kept.position()), "\"position\": 1");
    assert_ne!(moved, text);
    let other_key = seal(&Key::new("test", [8; 32]), scene.stage.inbox.log_id, &kept.manifest);
    let other_log = seal(&scene.stage.key, LogId([9; 16]), &kept.manifest);
    let cut = true_bytes[..true_bytes.len() - 2].to_vec();
    for forged in [moved.into_bytes(), other_key, other_log, cut, b"{}".to_vec(), Vec::new()] {
        scene.vault.put(&name, forged).unwrap();
        let refused = outcome(&scene).unwrap_err();
        assert!(matches!(refused, CheckpointError::Unproven { .. }), "{refused}");
        assert!(scene.restore("two").is_err());
    }
    // A word about another manifest is no word about this one.
    scene.vault.put(&name, true_bytes.clone()).unwrap();
    let verified = scene.named(&kept, "verified");
    let word = scene.vault.get(&verified).unwrap().unwrap();
    let refuting = open::<Verdict>(&scene.stage.key, scene.stage.inbox.log_id, "it", &word).unwrap();
    let refuting = Verdict { manifest: Digest([1; 32]), refolded: Digest([2; 32]), ..refuting };
    scene
        .vault
        .put(&scene.named(&kept, "refuted"), seal(&scene.stage.key, scene.stage.inbox.log_id, &refuting))
        .unwrap();
    assert!(outcome(&scene).unwrap().is_verified());
    scene.vault.put(&verified, b"verified!".to_vec()).unwrap();
    assert_eq!(outcome(&scene).unwrap().standing, Standing::Unverified);
    // A manifest is no verdict, although the same key has sealed it.
    scene.vault.put(&verified, true_bytes.clone()).unwrap();
    assert_eq!(outcome(&scene).unwrap().standing, Standing::Unverified);
    // Under another's name a true one is a forgery.
    let elsewhere = name.replace(&kept.id, "00000000000000000099-000000000000");
    scene.vault.put(&elsewhere, true_bytes).unwrap();
    assert!(matches!(outcome(&scene), Err(CheckpointError::Unproven { .. })));
}

#[test]
fn another_log_and_another_history_are_recognised() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let kept = scene.verified(&mut one, &checkpointer);
    let inbox = scene.stage.names.inbox();
    // Cut before its end, and written anew beyond it.
    scene.stage.simulation.truncate(&inbox, 0, kept.position() - 1).unwrap();
    let why = scene.restore("two").unwrap_err();
    assert!(why.contains("the log holds"), "{why}");
    for n in 0..3 {
        scene.stage.start(&format!("other-{n}"));
    }
    let why = scene.restore("two").unwrap_err();
    assert!(why.contains("it was cut and written anew"), "{why}");
    // Trimmed behind it.
    scene.stage.log.delete_below(&inbox, 0, kept.position() + 1).unwrap();
    let why = scene.restore("two").unwrap_err();
    assert!(why.contains("the log holds"), "{why}");
    // The topic made anew has another id, whatever it holds.
    scene.stage.simulation.recreate(&inbox).unwrap();
    topics::create(&*scene.stage.log, &scene.stage.names, &scene.stage.key, &crate::stage::wanted(1)).unwrap();
    let why = scene.restore("two").unwrap_err();
    assert!(why.contains("the log holds") || why.contains("it is of the topic"), "{why}");
}

#[test]
fn what_the_log_has_lost_counts_for_nothing_and_is_gone_before_it_is_trimmed() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let first = scene.verified(&mut one, &checkpointer);
    let dead = scene.verified(&mut one, &checkpointer);
    drop((one, checkpointer));
    // The log loses its tail between the two and is written anew beyond the second; the store is made anew.
    let inbox = scene.stage.names.inbox();
    scene.stage.simulation.truncate(&inbox, 0, first.position()).unwrap();
    scene.begun = 3;
    let (mut two, checkpointer) = scene.owner("two");
    scene.run(&mut two, 9);
    assert!(two.position() > dead.position(), "{} > {}", two.position(), dead.position());
    let newest = scene.check(&scene.take(&mut two, &checkpointer)).unwrap();
    let Standing::Verified(verdict) = &newest.standing else { panic!("{newest:?}") };
    assert_eq!(verdict.from, Source::Checkpoint { position: first.position() });

    let vouched = Some(Position { offset: two.position(), timer: 0, index: 0 });
    let choice = scene.restorer().choose(Offset::MAX).unwrap();
    let lost: Vec<&str> = choice.lost.iter().map(|kept| kept.id.as_str()).collect();
    assert_eq!(lost, [&dead.id], "{}", choice.why());
    let usable = scene.restorer().sift().unwrap();
    let ids: Vec<&str> = usable.iter().map(|kept| kept.id.as_str()).collect();
    assert_eq!(ids, [&newest.id, &first.id]);
    assert_eq!(bound(&usable, Place { start: 0, vouched }), Some(first.position()));
    assert_eq!(scene.shelf().clear(&usable, 2, 0, scene.stage.log.wall_clock()).unwrap(), 0);

    // Trimmed up to it, nobody could tell any more that it is of another timeline.
    scene.stage.log.delete_below(&inbox, 0, dead.position()).unwrap();
    assert_eq!(scene.restore("three").unwrap().id, newest.id);
    assert!(scene.shelf().kept().unwrap().iter().all(|kept| kept.id != dead.id));
}

#[test]
fn a_log_that_does_not_answer_is_no_lack_of_checkpoints() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let kept = scene.verified(&mut one, &checkpointer);
    scene.stage.simulation.set_faults(Faults { read_error: 1_000, ..Faults::default() });
    let away = scene.restorer().restore(&scene.place("two"), Offset::MAX).unwrap_err();
    assert!(away.may_pass() && matches!(away, CheckpointError::Log(_)), "{away}");
    assert!(scene.restorer().sift().is_err(), "nothing is trimmed meanwhile");
    scene.stage.simulation.set_faults(Faults::default());
    assert_eq!(scene.restore("two").unwrap().id, kept.id);
}

#[test]
fn an_input_that_is_passed_over_is_in_no_store_that_is_made_anew() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let first = scene.verified(&mut one, &checkpointer);
    let second = scene.verified(&mut one, &checkpointer);
    let between = second.position() - 1;
    let restored = scene.restorer().restore(&scene.place("two"), between).unwrap().unwrap();
    assert_eq!(restored.id, first.id);
    let none = scene.restorer().restore(&scene.place("three"), 0).unwrap().unwrap_err();
    assert!(none.contains("it lies behind offset 0"), "{none}");
}

#[test]
fn a_restore_that_was_cut_short_is_begun_again() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let kept = scene.verified(&mut one, &checkpointer);
    let side = scene.place("two.restoring");
    std::fs::create_dir_all(side.join("db")).unwrap();
    std::fs::write(side.join("db/000001.sst"), b"half").unwrap();
    std::fs::write(side.join("db/000099.sst"), b"of another").unwrap();
    assert!(!RocksStore::is_at(scene.place("two")));
    scene.restore("two").unwrap();
    assert!(!side.exists());
    let (two, _) = scene.owner("two");
    assert_eq!((two.position(), state(&two)), (kept.position(), kept.manifest.state));
}

#[test]
fn old_ones_are_cleared_away_with_the_files_that_only_they_need() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let all: Vec<Kept> = (0..4).map(|_| scene.verified(&mut one, &checkpointer)).collect();
    let now = scene.stage.log.wall_clock();
    let clear = |keep, start, now| scene.shelf().clear(&scene.restorer().sift().unwrap(), keep, start, now).unwrap();
    assert_eq!(clear(3, 0, now), 1);
    let left: Vec<String> = scene.shelf().kept().unwrap().into_iter().map(|kept| kept.id).collect();
    assert_eq!(left, [&all[3].id, &all[2].id, &all[1].id].map(Clone::clone));
    let needed = |kept: &[Kept]| -> std::collections::BTreeSet<String> {
        kept.iter().flat_map(|kept| &kept.manifest.files).map(|file| scene.shelf().file(file.hash)).collect()
    };
    let needless = needed(&all).difference(&needed(&all[1..])).count();
    assert!(needless > 0);
    assert_eq!(scene.files().len(), needed(&all).len(), "somebody may be about to need them");
    // The memory's objects were written by the machine's clock.
    let tomorrow = now.max(real_now()) + 2 * DAY;
    assert_eq!(clear(3, 0, tomorrow), 0);
    assert_eq!(scene.files().len(), needed(&all[1..]).len());
    // The one at which the log begins stays, however old.
    assert_eq!(clear(2, all[1].position(), tomorrow), 0);
    assert_eq!(clear(2, 0, tomorrow), 1);
    assert_eq!(scene.restore("two").unwrap().id, all[3].id);
}

fn real_now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

#[test]
fn nothing_is_kept_of_a_partition_without_records() {
    let scene = Scene::new();
    let store = RocksStore::open(scene.place("empty"), &Shared::new(Memory::default())).unwrap();
    store.checkpointer().make(scene.place("taken")).unwrap();
    assert!(scene.upload(&scene.place("taken")).is_err());
    assert_eq!(scene.shelf().list().unwrap(), []);
}

#[test]
fn a_log_is_trimmed_below_two_verified_checkpoints_and_no_input_that_may_be_passed_over() {
    let kept = |position: Offset, standing: &dyn Fn(Verdict) -> Standing| {
        let verdict = Verdict {
            manifest: Digest([0; 32]),
            partition: 0,
            position,
            stored: Digest([0; 32]),
            refolded: Digest([0; 32]),
            from: Source::Log,
            by: String::new(),
            at: 0,
            program: String::new(),
        };
        Kept { id: String::new(), manifest: manifest_at(position), hash: Digest([0; 32]), standing: standing(verdict) }
    };
    let verified = |position| kept(position, &Standing::Verified);
    let at = |start, vouched: Offset| Place { start, vouched: Some(Position { offset: vouched, timer: 0, index: 0 }) };
    let none = Place { start: 0, vouched: None };

    assert_eq!(bound(&[], at(0, 1_000)), None);
    assert_eq!(bound(&[verified(10)], at(0, 1_000)), None, "one may turn out to be of no use");
    assert_eq!(bound(&[verified(20), verified(10)], at(0, 1_000)), Some(10));
    assert_eq!(bound(&[verified(20), verified(20)], at(0, 1_000)), None, "twice the same is one");
    assert_eq!(bound(&[verified(30), verified(20), verified(10)], at(0, 1_000)), Some(20));
    let refuted = kept(25, &Standing::Refuted);
    let unverified = kept(40, &|_| Standing::Unverified);
    assert_eq!(bound(&[unverified, verified(30), refuted, verified(20), verified(10)], at(0, 1_000)), Some(20));
    assert_eq!(bound(&[verified(30), verified(20), verified(10)], at(0, 15)), Some(10), "15 may be passed over");
    assert_eq!(bound(&[verified(30), verified(20)], at(0, 15)), None);
    assert_eq!(bound(&[verified(30), verified(20)], none), None);
    assert_eq!(bound(&[verified(30), verified(20)], at(20, 1_000)), None, "it is trimmed already");
}

fn manifest_at(position: Offset) -> Manifest {
    Manifest {
        log_id: LogId([0; 16]),
        cluster_id: String::new(),
        topic: Names::new("").inbox(),
        topic_id: String::new(),
        partition: 0,
        partitions: 1,
        position,
        last_record: None,
        log_time: 0,
        state: Digest([0; 32]),
        form: String::new(),
        rules: 1,
        taken_by: String::new(),
        taken_at: 0,
        program: String::new(),
        files: Vec::new(),
    }
}

#[test]
fn a_vault_is_named_by_its_url() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open(&format!("file://{}/a/b", dir.path().display())).unwrap();
    vault.put("x/y", b"1".to_vec()).unwrap();
    assert!(!vault.create("x/y", b"2".to_vec()).unwrap() && vault.create("x/z", b"2".to_vec()).unwrap());
    assert_eq!(std::fs::read(dir.path().join("a/b/x/y")).unwrap(), b"1");
    let names: Vec<String> = vault.list("x").unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, ["x/y", "x/z"]);
    assert_eq!((vault.get("x/w").unwrap(), vault.head("x/w").unwrap()), (None, None));
    vault.remove("x/w").unwrap();

    let told = |url: &str| Vault::open(url).unwrap_err().to_string();
    assert!(told("checkpoints").contains("write file:///FOLDER"));
    assert!(told("file://relative").contains("from the root on"));
    assert!(told("ftp://host/folder").contains("write file:///FOLDER"));
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(told(&format!("file://{}/below", file.display())).contains("can't be made"));
    #[cfg(not(feature = "cloud"))]
    assert!(told("s3://bucket/folder").contains("--features cloud"));
}

#[test]
fn a_large_file_is_sent_in_pieces_and_comes_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (there, back) = (dir.path().join("there"), dir.path().join("back"));
    let content: Vec<u8> = (0..(20_u32 << 20)).map(|n| (n ^ (n >> 8)) as u8).collect();
    std::fs::write(&there, &content).unwrap();
    for vault in [Vault::memory().unwrap(), Vault::open(&format!("file://{}/v", dir.path().display())).unwrap()] {
        vault.put_file("large", &there).unwrap();
        assert_eq!(vault.head("large").unwrap().unwrap().bytes, content.len() as u64);
        let (hash, bytes) = vault::hash(&there).unwrap();
        assert_eq!((vault.get_file("large", &back, bytes).unwrap(), bytes), (Some(hash), content.len() as u64));
        assert_eq!(std::fs::read(&back).unwrap(), content);
        // Whoever else writes there fills no disk.
        let grown = vault.get_file("large", &back, bytes / 2).unwrap_err();
        assert!(matches!(&grown, CheckpointError::Damaged { place, .. } if place.contains("large")), "{grown}");
        assert!(std::fs::metadata(&back).unwrap().len() <= bytes / 2);
        let refused = vault.get("large").unwrap_err();
        assert!(matches!(refused, CheckpointError::Unreadable { .. }), "{refused}");
        assert_eq!(vault.get_file("absent", &back, 1).unwrap(), None);
    }
}

#[test]
fn what_holds_an_input_and_not_its_fault_is_removed_and_nothing_else() {
    let mut scene = Scene::new();
    let (mut one, checkpointer) = scene.owner("one");
    let [before, holds, behind] = std::array::from_fn(|_| scene.verified(&mut one, &checkpointer));
    // The last record of the first is an input; at the second's end the Fault is folded next.
    let removed = scene.shelf().remove_between(before.position(), holds.position()).unwrap();
    let left: Vec<String> = scene.shelf().kept().unwrap().into_iter().map(|kept| kept.id).collect();
    assert_eq!((removed, left), (1, vec![behind.id, before.id]));
}

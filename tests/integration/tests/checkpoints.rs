//! Checkpoints with the real programs on a real Kafka: two nodes keep and verify them and trim the inbox, a process of its own verifies, one node
//! loses its disk again and again, what lies in the vault is damaged. Every order must end, each effect happen once, and both stores be the same
//! byte for byte. `SAGALINE_PROVE=1` runs the whole form.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sagaline_integration::coordinator::get;
use sagaline_integration::form::{alone, whole};
use sagaline_integration::kafka::Broker;
use sagaline_integration::stack::Stack;
use sagaline_log::kafka::KafkaLog;
use sagaline_log::{Log, LogError};
use sagaline_node::Names;
use sagaline_node::verify::{Refold, VerifyError};
use sagaline_partition::store::Store;
use sagaline_partition::view;
use sagaline_store::{Memory, RocksStore, Shared};
use serde_json::Value;
use tempfile::TempDir;

const PARTITIONS: u32 = 4;

/// How much is done.
struct Form {
    /// Times that the node's disk is lost.
    rounds: usize,
    /// Orders in each.
    orders: usize,
}

fn form() -> Form {
    if whole() { Form { rounds: 6, orders: 400 } } else { Form { rounds: 2, orders: 60 } }
}

/// The stack, and where its checkpoints lie.
struct Kept {
    stack: Stack,
    vault: TempDir,
    api: String,
}

impl Kept {
    fn start(every: &str, trim: bool) -> Result<Self> {
        let vault = TempDir::with_prefix("sagaline-vault-")?;
        let url = vault.path().display();
        let more =
            format!("[checkpoints]\nurl = \"file://{url}\"\nevery = \"{every}\"\nkeep = 3\ntrim_inbox = {trim}\n");
        let mut stack = Stack::start_with(Broker::shared().bootstrap(), PARTITIONS, &[], &more)?;
        let api = stack.wait_ready()?;
        Ok(Self { stack, vault, api })
    }

    fn send(&mut self, orders: usize) -> Result<()> {
        self.stack.send_more(orders)
    }

    fn send_and_wait(&mut self, orders: usize) -> Result<()> {
        self.send(orders)?;
        self.stack.wait_ended(&self.api)
    }

    fn log(&self) -> Result<KafkaLog> {
        Ok(KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new())?)
    }

    /// Where the log of each partition begins.
    fn begins(&self) -> Result<Vec<i64>> {
        let (log, inbox) = (self.log()?, format!("{}inbox", self.stack.prefix()));
        let begin = |partition| match log.reader(&inbox, partition, 0) {
            Ok(_) => Ok(0),
            Err(LogError::OutOfRange { start, .. }) => Ok(start),
            Err(error) => Err(error.into()),
        };
        (0..PARTITIONS).map(begin).collect()
    }

    /// Orders come until every partition's log begins behind these offsets.
    fn until_trimmed(&mut self, beyond: &[i64]) -> Result<Vec<i64>> {
        for _ in 0..200 {
            self.send_and_wait(20)?;
            let begins = self.begins()?;
            if begins.iter().zip(beyond).all(|(begins, beyond)| begins > beyond) {
                return Ok(begins);
            }
        }
        let status = get(&format!("{}/v1/status", self.api))?;
        anyhow::bail!("the logs begin at {:?}, not behind {beyond:?}: {status}", self.begins()?)
    }

    /// The first node's disk is lost while it works; it comes back on an empty one.
    fn lose_disk(&mut self) -> Result<()> {
        self.stack.kill_coordinator()?;
        fs::remove_dir_all(self.stack.dir().join("coordinator"))?;
        self.stack.start_coordinator(None)?;
        self.api = self.stack.wait_ready()?;
        Ok(())
    }

    fn expect_no_difference(&self) -> Result<()> {
        let wrong = self.stack.differences(&self.api)?;
        ensure!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
        Ok(())
    }

    fn list(&self) -> Result<Vec<Value>> {
        let listed = self.stack.sagaline(&["checkpoint", "list", "--config", "coordinator.toml", "--json"])?;
        let listed: Value = serde_json::from_str(&listed)?;
        listed["checkpoints"].as_array().cloned().context("a list of checkpoints")
    }

    /// Both stores of a partition are the same once the one that stands behind is folded on.
    fn expect_same_stores(&self) -> Result<()> {
        let (log, names, key) = (self.log()?, Names::new(self.stack.prefix()), self.stack.key());
        for partition in 0..PARTITIONS {
            let place = |node: &str| self.stack.dir().join(node).join(format!("partition-{partition}"));
            let position = |node: &str| -> Result<i64> {
                Ok(view::meta(&open(&place(node))?)?.context("it has folded something")?.next)
            };
            let (behind, ahead) = if position("coordinator")? < position("second")? {
                ("coordinator", "second")
            } else {
                ("second", "coordinator")
            };
            let refold = Refold { log: &log, names: &names, key: &key, partition };
            let mut base = |_| -> Result<Box<dyn Store>, VerifyError> { Ok(Box::new(open_store(&place(behind))?)) };
            let verified = refold.verify(&open(&place(ahead))?, &mut base)?;
            ensure!(verified.same(), "{behind}, folded on, is not {ahead}: {verified:?}");
        }
        Ok(())
    }
}

fn open_store(place: &Path) -> Result<RocksStore, sagaline_partition::store::StoreError> {
    RocksStore::open(place, &Shared::new(Memory::default()))
}

fn open(place: &Path) -> Result<RocksStore> {
    Ok(open_store(place)?)
}

#[test]
fn a_node_that_loses_its_disk_goes_on_from_a_trimmed_log() -> Result<()> {
    let _alone = alone();
    let form = form();
    let mut kept = Kept::start("2s", true)?;
    kept.stack.add_coordinator("second", Broker::shared().bootstrap())?;
    kept.stack.coordinators[1].start(None)?;
    kept.stack.wait("the second node", |stack| stack.coordinators[1].ready())?;

    let mut begins = kept.until_trimmed(&[0; PARTITIONS as usize])?;
    // Beside the nodes, by a process that has nothing of theirs but log, key and vault.
    let said = kept.stack.sagaline(&["checkpoint", "verify", "--config", "coordinator.toml"])?;
    ensure!(!said.contains("REFUTED") && !said.contains("UNUSABLE"), "{said}");
    let listed = kept.list()?;
    let verifiers: BTreeSet<&str> = listed.iter().filter_map(|line| line["holds"]["judged_by"].as_str()).collect();
    ensure!(verifiers.iter().any(|by| by.starts_with("node ")), "no node has verified anything: {listed:?}");
    ensure!(
        listed.iter().any(|line| {
            let taker = line["holds"]["taken_by"].as_str().unwrap_or_default();
            line["holds"]["judged_by"].as_str().is_some_and(|by| by != format!("node {taker}"))
        }),
        "nobody has verified what another took: {listed:?}"
    );

    for round in 0..form.rounds {
        kept.send(form.orders)?;
        kept.lose_disk()?;
        kept.stack.wait_ended(&kept.api)?;
        let said = kept.stack.coordinator_log()?;
        let anew = said.matches("the store was made anew from a checkpoint").count();
        ensure!(anew == PARTITIONS as usize, "round {round}: {anew} stores were made of checkpoints:\n{said}");
        kept.expect_no_difference()?;
        begins = kept.until_trimmed(&begins)?;
    }
    println!("the logs begin at {begins:?} after {} lost disks and {} orders", form.rounds, kept.stack.orders.len());
    let seen = kept.stack.coordinators[0].partitions()?;
    ensure!(seen.iter().all(|seen| seen.trouble.is_none()), "a trimmed log is in order: {seen:?}");

    kept.expect_no_difference()?;
    kept.stack.coordinators[1].process().stop()?;
    kept.stack.stop_coordinator()?;
    let said = kept.stack.sagaline(&["verify", "--config", "coordinator.toml"])?;
    ensure!(said.lines().filter(|line| line.starts_with("same")).count() == PARTITIONS as usize, "{said}");
    let said = kept.stack.refused(&["rebuild", "--config", "coordinator.toml", "--from", "log"], 1)?;
    ensure!(said.contains("only a checkpoint can make its store anew"), "{said}");
    let said = kept.stack.sagaline(&["rebuild", "--config", "coordinator.toml", "--from", "checkpoint"])?;
    ensure!(said.contains("from verified checkpoints"), "{said}");
    let said = kept.stack.sagaline(&["doctor", "--config", "coordinator.toml"])?;
    ensure!(said.contains("verified checkpoints hold what was before"), "{said}");
    kept.expect_same_stores()?;
    kept.stack.done();
    Ok(())
}

/// The files of the vault under a partition that hold a kind of document or content.
fn objects(vault: &Path, partition: u32, below: &str) -> Result<Vec<PathBuf>> {
    let log = fs::read_dir(vault)?.next().context("a log has a folder")??.path();
    let mut ahead = vec![log.join(format!("partition-{partition}")).join(below)];
    let mut files = Vec::new();
    while let Some(place) = ahead.pop() {
        for entry in fs::read_dir(&place)? {
            let path = entry?.path();
            if path.is_dir() { ahead.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

fn flip(file: &Path) -> Result<()> {
    let mut content = fs::read(file)?;
    let middle = content.len() / 2;
    *content.get_mut(middle).context("an empty file")? ^= 0x10;
    Ok(fs::write(file, content)?)
}

#[test]
fn what_is_damaged_or_forged_is_refused_and_the_node_falls_back() -> Result<()> {
    let _alone = alone();
    let mut kept = Kept::start("never", false)?;
    let orders = if whole() { 200 } else { 20 };
    for _ in 0..2 {
        kept.send_and_wait(orders)?;
        let (api, taken) = (kept.api.clone(), ["checkpoint", "take", "--api"]);
        let said = kept.stack.sagaline(&[taken[0], taken[1], taken[2], &api])?;
        ensure!(said.lines().filter(|line| line.starts_with("taken: ")).count() == PARTITIONS as usize, "{said}");
        let said = kept.stack.sagaline(&["checkpoint", "verify", "--config", "coordinator.toml"])?;
        ensure!(said.lines().filter(|line| line.starts_with("verified: ")).count() == PARTITIONS as usize, "{said}");
    }
    kept.send_and_wait(orders)?;
    kept.stack.stop_coordinator()?;

    // Of partition 0 the newest manifest is damaged, of 1 a file that only the newest needs, of 2 all files are gone.
    let vault = kept.vault.path().to_owned();
    let manifests = |partition| -> Result<Vec<PathBuf>> {
        let all = objects(&vault, partition, "checkpoints")?;
        Ok(all.into_iter().filter(|file| file.ends_with("manifest")).collect())
    };
    flip(manifests(0)?.last().context("two manifests")?)?;
    let [older, newer] = <[PathBuf; 2]>::try_from(manifests(1)?).map_err(|all| anyhow::anyhow!("{all:?}"))?;
    let (older, newer) = (fs::read_to_string(older)?, fs::read_to_string(newer)?);
    let own = objects(&vault, 1, "files")?.into_iter().find(|file| {
        let hash = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        newer.contains(&hash) && !older.contains(&hash)
    });
    flip(&own.context("a file that only the newest needs")?)?;
    objects(&vault, 2, "files")?.iter().try_for_each(fs::remove_file)?;

    let said = kept.stack.refused(&["checkpoint", "verify", "--config", "coordinator.toml", "--all"], 4)?;
    ensure!(said.contains("must not be used"), "{said}");
    let listed = kept.list()?;
    let unusable = listed.iter().filter(|line| line["word"] == "unusable").count();
    ensure!(unusable == 1, "{unusable} unusable: {listed:?}");

    fs::remove_dir_all(kept.stack.dir().join("coordinator"))?;
    kept.stack.start_coordinator(None)?;
    kept.api = kept.stack.wait_ready()?;
    kept.send_and_wait(orders)?;
    kept.expect_no_difference()?;
    let said = kept.stack.coordinator_log()?;
    ensure!(said.contains("passed by") && said.contains("its content is not what it was"), "{said}");
    let anew = said.matches("the store was made anew from a checkpoint").count();
    ensure!(anew == 3, "{anew} stores were made of checkpoints, 0 and 1 of older ones, 2 of the log:\n{said}");

    let other = format!("other:{}", "11".repeat(32));
    let key = kept.stack.dir().join("other.key");
    fs::write(&key, other)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let configuration = fs::read_to_string(kept.stack.dir().join("coordinator.toml"))?;
    fs::write(kept.stack.dir().join("other.toml"), configuration.replace("sagaline.key", "other.key"))?;
    let said = kept.stack.refused(&["checkpoint", "list", "--config", "other.toml"], 2)?;
    ensure!(said.contains("key"), "{said}");
    kept.stack.done();
    Ok(())
}

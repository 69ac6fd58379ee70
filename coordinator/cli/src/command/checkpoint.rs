//! `checkpoint`: what there is, having a node take one, and verifying in a process of its own.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sagaline_log::Log;
use sagaline_node::Names;
use sagaline_node::api::model::{CheckpointLine, CheckpointPage, CheckpointWord, TakeCheckpoint};
use sagaline_node::checkpoint::{Check, CheckpointError, Found, Kept, Looked, Restorer, Shelf, Standing, Vault};
use sagaline_node::topics::{self, Inbox};
use sagaline_partition::KnownRules;
use sagaline_schemas::Partition;
use sagaline_schemas::proof::Key;

use super::init::read_key;
use super::node::{dev_keeping, dev_key, log_of, stores_of};
use super::topics as configured;
use crate::args::{Checkpoint, CheckpointCommand, Common, Configured, Shelved};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print::{self, Table};

/// How long one checkpoint may take: its files are uploaded.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// `sagaline checkpoint`
pub fn checkpoint(
    checkpoint: &Checkpoint,
    common: &Common,
    client: impl FnOnce() -> Result<Client, Failure>,
) -> Result<(), Failure> {
    match &checkpoint.what {
        None => list(&client()?.get("/v1/checkpoints", &[])?, &[], common),
        Some(CheckpointCommand::List(shelved)) if shelved.config.is_none() && shelved.data.is_none() => {
            list(&client()?.get("/v1/checkpoints", &[])?, &shelved.partition, common)
        }
        Some(CheckpointCommand::List(shelved)) => list(&Place::of(shelved)?.page()?, &shelved.partition, common),
        Some(CheckpointCommand::Take { partition }) => take(partition, common, &client()?),
        Some(CheckpointCommand::Verify { shelved, all }) => {
            verify(&Place::of(shelved)?, &shelved.partition, *all, common)
        }
    }
}

fn list(page: &CheckpointPage, wanted: &[u32], common: &Common) -> Result<(), Failure> {
    let lines: Vec<&CheckpointLine> =
        page.checkpoints.iter().filter(|line| is_wanted(wanted, line.partition)).collect();
    if common.json {
        return print::json(
            &serde_json::json!({ "url": page.url, "partitions": page.partitions, "checkpoints": lines }),
        );
    }
    print::line(format_args!("{}, {} inbox partitions", page.url, page.partitions))?;
    if lines.is_empty() {
        return print::line("no checkpoint yet: `sagaline checkpoint take` takes one of every partition");
    }
    let mut table = Table::new(&["PARTITION", "POSITION", "STANDS", "TAKEN", "BY", "SIZE", "JUDGED BY", "ID"]);
    for line in &lines {
        table.row(row(line));
    }
    print::text(&table.text())?;
    lines.iter().filter_map(|line| line.why.as_ref().map(|why| (line, why))).try_for_each(|(line, why)| {
        print::line(format_args!("partition {} {}: {}", line.partition, line.id, print::red(why)))
    })
}

fn row(line: &CheckpointLine) -> Vec<String> {
    let word = match line.word {
        CheckpointWord::Unverified => "unverified".to_owned(),
        CheckpointWord::Verified => "verified".to_owned(),
        CheckpointWord::Refuted => print::red("REFUTED"),
        CheckpointWord::Unusable => print::red("UNUSABLE"),
    };
    let of = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let holds = line.holds.as_ref();
    vec![
        line.partition.to_string(),
        of(holds.map(|holds| holds.position.to_string())),
        word,
        of(holds.map(|holds| print::time(holds.taken_at))),
        of(holds.map(|holds| holds.taken_by.clone())),
        of(holds.map(|holds| format!("{} KiB", holds.bytes.div_ceil(1024)))),
        of(holds.and_then(|holds| holds.judged_by.clone())),
        line.id.clone(),
    ]
}

fn is_wanted(wanted: &[u32], partition: Partition) -> bool {
    wanted.is_empty() || wanted.contains(&partition)
}

fn take(wanted: &[u32], common: &Common, client: &Client) -> Result<(), Failure> {
    let page: CheckpointPage = client.get("/v1/checkpoints", &[])?;
    let all: Vec<u32> = (0..page.partitions).collect();
    let mut taken = Vec::new();
    for partition in if wanted.is_empty() { &all } else { wanted } {
        let line: CheckpointLine =
            client.post("/v1/checkpoints", &TakeCheckpoint { partition: *partition }, PATIENCE)?;
        if !common.json {
            let position = line.holds.as_ref().map_or(0, |holds| holds.position);
            print::line(format_args!("taken: inbox partition {partition} at offset {position}, {}", line.id))?;
        }
        taken.push(line);
    }
    if common.json { print::json(&taken) } else { Ok(()) }
}

fn verify(place: &Place, wanted: &[u32], all: bool, common: &Common) -> Result<(), Failure> {
    if let Some(missing) = wanted.iter().find(|wanted| **wanted >= place.inbox.partitions) {
        let count = place.inbox.partitions;
        return Err(Failure::usage(format_args!("there is no inbox partition {missing}: there are {count}")));
    }
    let (mut judged, mut failed) = (Vec::new(), None);
    for partition in (0..place.inbox.partitions).filter(|partition| is_wanted(wanted, *partition)) {
        let found = place.shelf(partition).list()?;
        // What can't even be read is told, and does not keep the others from being verified.
        for found in found.iter().filter(|found| found.outcome.is_err()) {
            let line = CheckpointLine::of(partition, found);
            tell(&line, common)?;
            judged.push(line);
        }
        for kept in due(&found, all) {
            match place.check(&kept) {
                Ok(checked) => {
                    let line = CheckpointLine::of_kept(&checked);
                    tell(&line, common)?;
                    judged.push(line);
                }
                Err(
                    error @ (CheckpointError::Damaged { .. } | CheckpointError::Store(_) | CheckpointError::Verify(_)),
                ) => {
                    let outcome = Err(error);
                    let line = CheckpointLine::of(partition, &Found { id: kept.id.clone(), outcome });
                    tell(&line, common)?;
                    judged.push(line);
                }
                Err(error) => failed = Some(error),
            }
        }
    }
    if common.json {
        print::json(&judged)?;
    } else if judged.is_empty() && failed.is_none() {
        print::line(
            "nothing to verify: of every partition the newest checkpoint is verified, or there is none; --all verifies again",
        )?;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let wrong = judged.iter().find(|line| line.word != CheckpointWord::Verified);
    wrong.map_or(Ok(()), |line| {
        let why = line.why.clone().unwrap_or_default();
        let message = format!(
            "checkpoint {} of inbox partition {} must not be used: {why}. Take another one; where it was refuted, keep it and the node's store for whoever looks into it",
            line.id, line.partition
        );
        Err(Failure::new(Exit::Halted, message))
    })
}

/// Those that are to be verified, the oldest first: each may begin with the one before.
fn due(found: &[Found], all: bool) -> Vec<Kept> {
    let kept = found.iter().filter_map(|found| found.outcome.as_ref().ok());
    let newer = kept.take_while(|kept| all || !kept.is_verified());
    let mut due: Vec<Kept> = newer.filter(|kept| all || kept.standing == Standing::Unverified).cloned().collect();
    if !all {
        due.truncate(1);
    }
    due.reverse();
    due
}

fn tell(line: &CheckpointLine, common: &Common) -> Result<(), Failure> {
    if common.json {
        return Ok(());
    }
    let word = match line.word {
        CheckpointWord::Verified => "verified".to_owned(),
        CheckpointWord::Unverified => "unverified".to_owned(),
        CheckpointWord::Refuted => print::red("REFUTED"),
        CheckpointWord::Unusable => print::red("UNUSABLE"),
    };
    let at =
        line.holds.as_ref().map_or_else(String::new, |holds| format!(" at offset {}, {}", holds.position, holds.state));
    print::line(format_args!("{word}: inbox partition {}{at}", line.partition))
}

/// What is needed without a node.
struct Place {
    vault: Vault,
    log: Arc<dyn Log>,
    names: Names,
    key: Key,
    inbox: Inbox,
    /// Where the log may be folded anew.
    scratch: PathBuf,
    by: String,
}

impl Place {
    fn of(shelved: &Shelved) -> Result<Self, Failure> {
        let (vault, log, names, key, folder, single_broker) = match &shelved.data {
            Some(data) => {
                let stores = stores_of(data);
                if !stores.is_dir() {
                    let message = format!("{} is no data directory of `sagaline dev`", data.display());
                    return Err(Failure::usage(message));
                }
                let key = dev_key(data, shelved.key_file.as_deref(), false)?;
                let address = shelved.log.clone().unwrap_or_else(|| log_of(data));
                let log = sagaline_log::connect(&address, &Default::default())?;
                let vault = Arc::into_inner(dev_keeping(data)?.vault).expect("nobody else has it yet");
                (vault, log, Names::new(&shelved.prefix), key, stores, true)
            }
            None => {
                let (config, log) = configured::connect(&Configured { config: shelved.config.clone() })?;
                let url = config.checkpoints.as_ref().ok_or(CheckpointError::NotKept)?;
                let key = read_key(&config.key_file)?;
                (Vault::open(url)?, log, Names::new(&config.prefix), key, config.data.clone(), config.single_broker)
            }
        };
        let inbox = topics::check(&*log, &names, &key, single_broker)?;
        let (process, by) = (std::process::id(), "sagaline checkpoint verify".to_owned());
        Ok(Self { vault, log, names, key, inbox, scratch: folder.join(format!("verify-checkpoint-by-{process}")), by })
    }

    fn shelf(&self, partition: Partition) -> Shelf<'_> {
        Shelf { vault: &self.vault, key: &self.key, log_id: self.inbox.log_id, partition }
    }

    fn page(&self) -> Result<CheckpointPage, Failure> {
        let mut checkpoints = Vec::new();
        for partition in 0..self.inbox.partitions {
            let found = self.shelf(partition).list()?;
            checkpoints.extend(found.iter().map(|found| CheckpointLine::of(partition, found)));
        }
        Ok(CheckpointPage { url: self.vault.url().to_owned(), partitions: self.inbox.partitions, checkpoints })
    }

    fn check(&self, kept: &Kept) -> Result<Kept, CheckpointError> {
        let (partition, log) = (kept.manifest.partition, &*self.log);
        let restorer = Restorer { shelf: self.shelf(partition), log, names: &self.names, rules: KnownRules::OWN };
        let terminal = std::io::stderr().is_terminal();
        let watch = |looked| {
            if terminal {
                progress(partition, looked);
            }
            true
        };
        let checked = Check { restorer, scratch: &self.scratch, by: &self.by, watch: &watch }.check(kept);
        if terminal {
            anstream::eprint!("\r\x1b[K");
        }
        checked
    }
}

/// One line that replaces itself.
fn progress(partition: Partition, looked: Looked) {
    match looked {
        Looked::Fetching => anstream::eprint!("\r\x1b[Kinbox partition {partition}: its files are fetched"),
        Looked::Folding { at, from, until } => {
            let (done, all) = (at - from, (until - from).max(1));
            anstream::eprint!("\r\x1b[Kinbox partition {partition}: folded {at} of {until}, {}%", done * 100 / all);
        }
    }
}

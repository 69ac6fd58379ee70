//! Coordinator and participant of an installation. The coordinator is a whole node with its stores on disk; the participant answers at once and
//! remembers nothing but when it answered, so that what is measured is the coordinator.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use sagaline_log::{Log, NewTopic};
use sagaline_node::registry::ApplyOptions;
use sagaline_node::topics::{self, Wanted};
use sagaline_node::{Names, Node, NodeOptions, Standing};
use sagaline_schemas::command::Command;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Reply};
use sagaline_schemas::schema;
use sagaline_schemas::settings::{Events, Settings};
use serde::{Deserialize, Serialize};

use crate::latency::Latencies;
use crate::place::Served;
use crate::process;
use crate::raw::pipe::{Pipe, Through};
use crate::work::{self, Work};

const WAIT: Duration = Duration::from_millis(100);
/// How long a partition may take until it publishes.
const PATIENCE: Duration = Duration::from_secs(1_800);

#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    role: Role,
    #[command(flatten)]
    setting: Setting,
}

#[derive(clap::Subcommand)]
enum Role {
    Coordinator {
        #[arg(long)]
        data: PathBuf,
    },
    Participant,
}

/// Where the processes of a run meet, and what they do there.
#[derive(Clone, clap::Args)]
pub struct Setting {
    #[arg(long, global = true, default_value = "")]
    pub log: String,
    #[arg(long, global = true, default_value = "")]
    pub prefix: String,
    #[arg(long, global = true, default_value_t = 4)]
    pub partitions: u32,
    #[arg(long, global = true, value_delimiter = ',')]
    pub work: Vec<Work>,
    /// Whether `events` tells of every step, beside starts and ends.
    #[arg(long, global = true)]
    pub every_step: bool,
}

impl Setting {
    pub fn coordinator(&self, data: &Path) -> Vec<String> {
        let own = ["coordinator".to_owned(), "--data".to_owned(), data.display().to_string()];
        own.into_iter().chain(self.arguments()).collect()
    }

    pub fn participant(&self) -> Vec<String> {
        ["participant".to_owned()].into_iter().chain(self.arguments()).collect()
    }

    fn arguments(&self) -> Vec<String> {
        let work: Vec<String> = self.work.iter().map(Work::to_string).collect();
        let (partitions, work) = (self.partitions.to_string(), work.join(","));
        let said = ["--log", &self.log, "--prefix", &self.prefix, "--partitions", &partitions, "--work", &work];
        let every_step = self.every_step.then_some("--every-step");
        said.into_iter().chain(every_step).map(str::to_owned).collect()
    }

    pub fn names(&self) -> Names {
        Names::new(&*self.prefix)
    }
}

/// What a coordinator answers to the order `status`: all its partitions together.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Records of the inbox that are folded.
    pub folded: i64,
    /// Sagas begun.
    pub started: i64,
    /// Outputs that no Progress confirms yet.
    pub outbox: i64,
    /// Records that the inbox held when the coordinator was started,
    pub found: i64,
    /// and how long it took until they were folded: from asking for the stores on.
    pub caught_up: Duration,
}

/// Runs until stdin ends.
///
/// # Errors
/// When the log or the node fails.
pub fn run(options: &Options) -> Result<()> {
    let setting = &options.setting;
    let log = sagaline_log::connect(&setting.log, &BTreeMap::new())?;
    match &options.role {
        Role::Coordinator { data } => coordinate(setting, log, data),
        Role::Participant => participate(&*log, &setting.names()),
    }
}

fn coordinate(setting: &Setting, log: Arc<dyn Log>, data: &Path) -> Result<()> {
    let (names, key) = (setting.names(), Key::new("bench", [8; 32]));
    let events = if setting.every_step { Events::Steps } else { Events::Ends };
    let settings = Settings { activation_delay: 0, events, ..Settings::default() };
    let partitions = setting.partitions;
    let wanted = Wanted { partitions, replicas: 1, single_broker: true, participants: Vec::new(), settings };
    topics::create(&*log, &names, &key, &wanted)?;
    for topic in setting.work.iter().map(|work| work.topic(&names)) {
        if log.topic(&topic)?.is_none() {
            log.create_topic(&NewTopic { name: topic, partitions, replicas: 1, settings: Vec::new() })?;
        }
    }
    let ends = ends(&*log, &names.inbox(), partitions)?;
    let begin = Instant::now();
    let node = NodeOptions { data_dir: Some(data.to_owned()), ..NodeOptions::new(names.prefix(), key, "bench") };
    let node = Node::start(node, Arc::clone(&log))?;
    for (partition, end) in node.partitions().into_iter().zip(&ends) {
        ensure!(partition.wait_folded(end - 1, PATIENCE), "a partition does not catch up: {:?}", partition.status());
    }
    let begun = Status { found: ends.iter().sum(), caught_up: begin.elapsed(), ..Status::default() };
    let (definitions, contract) = work::definitions(&setting.work, &names);
    node.apply(&ApplyOptions { contracts: vec![contract], definitions, topics: wanted, by: "bench".to_owned() })?;
    for partition in node.partitions() {
        let live = partition.wait_status(PATIENCE, |status| status.standing == Standing::Live);
        ensure!(live, "a partition does not go live: {:?}", partition.status().standing);
    }
    let served = Served::new(&setting.log, &log)?;
    process::say_ready(&served.address);
    answer_orders(&node, &begun)?;
    drop(served);
    Ok(node.stop()?)
}

fn ends(log: &dyn Log, topic: &str, partitions: u32) -> Result<Vec<i64>> {
    (0..partitions).map(|partition| Ok(log.reader(topic, partition, 0)?.bounds()?.1)).collect()
}

/// Until stdin ends.
fn answer_orders(node: &Node, begun: &Status) -> Result<()> {
    for order in std::io::stdin().lock().lines() {
        let order = order?;
        ensure!(order == "status", "a coordinator takes no order {order:?}");
        let mut status = Status { found: begun.found, caught_up: begun.caught_up, ..Status::default() };
        for partition in node.partitions() {
            let one = partition.status();
            status.folded += one.position;
            status.started += one.counters.started;
            status.outbox += one.channels.iter().map(|channel| channel.outbox).sum::<i64>();
        }
        println!("{}", serde_json::to_string(&status)?);
    }
    Ok(())
}

fn participate(log: &dyn Log, names: &Names) -> Result<()> {
    let mut pipe = Through::open(log, &names.of_channel(&format!("commands.{}", work::PARTICIPANT)))?;
    let mut latencies = Latencies::new(process::follow_orders());
    let (mut answered, mut received) = (BTreeMap::new(), Vec::new());
    process::say_ready("");
    loop {
        latencies.turn()?;
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let command = proof::open_command(&value)?;
            let saga = command.address.saga;
            latencies.step();
            match Work::of(&command) {
                Some(Work::Sleeping) => latencies.add(lateness(&command)),
                Some(work) => {
                    if let Some(before) = answered.remove(&saga) {
                        latencies.add(Instant::elapsed(&before));
                    }
                    if !work.ends_with(&command) {
                        answered.insert(saga, Instant::now());
                    }
                }
                None => {}
            }
            let answer = work::answer(&command, work::PAYLOAD);
            let (address, token) = (command.address, command.token);
            let reply = Reply { address, token, answer, instance: "1".to_owned(), time: log.wall_clock() };
            let value = proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply));
            pipe.send(&command.reply_topic, command.reply_partition, &value)?;
        }
    }
}

/// How long ago the sleep before this command was over, by the clock of this machine, which is the coordinator's and the driver's too.
fn lateness(command: &Command) -> Duration {
    let due = work::due(command).and_then(|due| u64::try_from(due).ok()).unwrap_or_default();
    let due = SystemTime::UNIX_EPOCH + Duration::from_millis(due);
    SystemTime::now().duration_since(due).unwrap_or_default()
}

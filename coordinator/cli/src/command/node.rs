//! `dev` and `serve`: a node in this process with its API, until SIGTERM or SIGINT. Tests and scripts wait for the line that begins with
//! `ready:`; it is printed once every partition is live or halted.

mod signals;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sagaline_language::Loaded;
use sagaline_log::{Log, loopback};
use sagaline_node::api::{self, Api};
use sagaline_node::checkpoint::{CheckpointError, Keeping, Vault};
use sagaline_node::config::Config;
use sagaline_node::owner::stop::Stop as Given;
use sagaline_node::registry::{ApplyError, ApplyOptions};
use sagaline_node::topics::{self, Wanted};
use sagaline_node::{Names, Node, NodeError, NodeOptions, PartitionStatus, Standing, fail_point};
use sagaline_partition::Halt;
use sagaline_partition::store::StoreError;
use sagaline_schemas::proof::Key;
use sagaline_schemas::settings::Settings;
use tokio::runtime::Runtime;

use self::signals::Stop;
use super::init::{KEY_FILE, make_key, read_key};
use super::{check, topics as configured};
use crate::args::{Common, Configured, Dev};
use crate::exit::{Exit, Failure};
use crate::mock::Mock;
use crate::print;

/// Answers under way may take so long after the stop was asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How often `dev` takes checkpoints: as `serve` does unless said.
const DEV_EVERY: Duration = Duration::from_secs(3_600);
/// One look at the partitions while they come up.
const LOOK: Duration = Duration::from_millis(100);

/// Where `dev` keeps things below its data directory.
pub fn log_of(data: &Path) -> String {
    format!("embedded:{}", data.join("log").display())
}

/// The stores of `dev`.
pub fn stores_of(data: &Path) -> PathBuf {
    data.join("store")
}

/// What runs once it has begun.
struct Begun {
    api: Api,
    /// Where participants find the log.
    log: String,
    mocks: Vec<Mock>,
    loopback: Option<loopback::Server>,
}

/// `sagaline dev`
pub fn dev(dev: Dev, common: &Common) -> Result<(), Failure> {
    trace("warn", common.json);
    let (port, common) = (dev.port, common.clone());
    live(port, move || begin_dev(&dev, &common))
}

/// `sagaline serve`
pub fn serve(serve: &Configured, common: &Common) -> Result<(), Failure> {
    trace("info", common.json);
    let configured = configured::load(serve.config.as_deref())?;
    live(configured.api_port, move || begin_serve(configured))
}

/// From here on a stop is heard, and ends cleanly.
fn live(port: u16, begin: impl FnOnce() -> Result<Begun, Failure> + Send + 'static) -> Result<(), Failure> {
    let runtime = runtime()?;
    let stop = signals::hear(&runtime)?;
    let Some(Begun { api, log, mocks, loopback }) = signals::begun(&runtime, &stop, begin)? else {
        runtime.shutdown_background();
        return Ok(());
    };
    let outcome = run(runtime, stop, api, port, &log);
    drop((mocks, loopback));
    outcome
}

fn begin_dev(dev: &Dev, common: &Common) -> Result<Begun, Failure> {
    let loaded = definitions(dev, common)?;
    std::fs::create_dir_all(&dev.data).map_err(|error| Failure::file(&dev.data, &error))?;
    let key = dev_key(&dev.data, dev.key_file.as_deref(), true)?;
    let log = sagaline_log::connect(&log_of(&dev.data), &Default::default())?;
    let names = Names::new(&dev.prefix);
    let wanted = dev_topics(&*log, &names, &key, dev.partitions)?;
    let options = options(&stores_of(&dev.data), &dev.prefix, key, "dev", true);
    let options = NodeOptions { checkpoints: Some(dev_keeping(&dev.data)?), ..options };
    let node = Node::start(options, Arc::clone(&log))?;
    apply(&node, &loaded, &wanted)?;
    let mocks = mocks(&node, &dev.mock)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, dev.log_port)).map_err(|error| {
        let message = format!("the log can't listen at 127.0.0.1:{}: {error}. Choose another --log-port", dev.log_port);
        Failure::new(Exit::InUse, message)
    })?;
    let served = loopback::serve(listener, log)?;
    let log = format!("loopback://{}", served.address());
    let api = Api { node: Arc::new(node), name: "dev".to_owned(), topics: wanted, dev: true };
    Ok(Begun { api, log, mocks, loopback: Some(served) })
}

fn begin_serve(config: Config) -> Result<Begun, Failure> {
    let checkpoints = config.keeping()?;
    let log = configured::kafka(&config)?;
    let key = read_key(&config.key_file)?;
    std::fs::create_dir_all(&config.data).map_err(|error| Failure::file(&config.data, &error))?;
    let options = options(&config.data, &config.prefix, key, &config.node, config.single_broker);
    let node = Node::start(NodeOptions { checkpoints, skip_poison: config.skip_poison, ..options }, log)?;
    let log = format!("kafka://{}", config.kafka()?);
    let topics = configured::wanted(&config);
    let api = Api { node: Arc::new(node), name: config.node, topics, dev: false };
    Ok(Begun { api, log, mocks: Vec::new(), loopback: None })
}

fn options(stores: &Path, prefix: &str, key: Key, name: &str, single_broker: bool) -> NodeOptions {
    NodeOptions {
        data_dir: Some(stores.to_owned()),
        single_broker,
        rules: fail_point::known_rules(),
        ..NodeOptions::new(prefix, key, name)
    }
}

/// Where `dev` keeps checkpoints.
///
/// # Errors
/// When the folder can't be made.
pub fn dev_keeping(data: &Path) -> Result<Keeping, Failure> {
    let folder = std::path::absolute(data.join("checkpoints")).map_err(|error| Failure::file(data, &error))?;
    let vault = Arc::new(Vault::open(&format!("file://{}", folder.display()))?);
    Ok(Keeping { vault, every: Some(DEV_EVERY), keep: 3, trim: false })
}

/// What this process says of itself goes to stderr; `RUST_LOG` says how much.
fn trace(level: &str, as_json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if as_json {
        lines.json().init();
    } else {
        lines.init();
    }
}

fn definitions(dev: &Dev, common: &Common) -> Result<Loaded, Failure> {
    let beside = Path::new("definitions");
    match &dev.definitions {
        Some(path) => check::load(std::slice::from_ref(path), common),
        None if beside.is_dir() => check::load(&[beside.to_owned()], common),
        None => Ok(Loaded::default()),
    }
}

/// The key of `dev`: given, or beside, or in the data directory, where it may be made.
///
/// # Errors
/// When there is none, or it can't be read.
pub fn dev_key(data: &Path, given: Option<&Path>, make: bool) -> Result<Key, Failure> {
    let (beside, own) = (Path::new(KEY_FILE), data.join(KEY_FILE));
    match given {
        Some(path) => read_key(path),
        // The log was made with it: no other key will do.
        None if own.exists() => read_key(&own),
        None if beside.exists() => read_key(beside),
        None if make => make_key(&own),
        None => read_key(&own),
    }
}

fn dev_topics(log: &dyn Log, names: &Names, key: &Key, partitions: u32) -> Result<Wanted, Failure> {
    // The count is for ever: what is there counts, not what is asked for today.
    let partitions = log.topic(&names.inbox())?.map_or(partitions, |there| there.partitions);
    let settings = Settings { activation_delay: 0, ..Settings::default() };
    let wanted = Wanted { partitions, replicas: 1, single_broker: true, participants: Vec::new(), settings };
    topics::create(log, names, key, &wanted)?;
    Ok(wanted)
}

fn apply(node: &Node, loaded: &Loaded, wanted: &Wanted) -> Result<(), Failure> {
    for topic in loaded.definitions.values().filter_map(|definition| definition.start.topic.as_deref()) {
        api::events::ensure_topic(&**node.log(), topic)?;
    }
    let options = ApplyOptions {
        contracts: loaded.contracts.iter().cloned().collect(),
        definitions: loaded.definitions.values().cloned().collect(),
        topics: wanted.clone(),
        by: "sagaline dev".to_owned(),
    };
    if !options.contracts.is_empty() {
        node.apply(&options)?;
    }
    Ok(())
}

fn mocks(node: &Node, wanted: &[String]) -> Result<Vec<Mock>, Failure> {
    wanted.iter().map(|participant| mock(node, participant)).collect()
}

/// Of several versions of a contract, the last one known answers for all: operations are only ever added.
fn mock(node: &Node, participant: &str) -> Result<Mock, Failure> {
    let catalogue = node.registry().catalogue();
    let contracts = || catalogue.contracts.values().map(|known| &known.contract);
    let contract =
        contracts().filter(|contract| contract.participant == participant).max_by(|a, b| a.version.cmp(&b.version));
    let Some(contract) = contract else {
        let names: BTreeSet<&str> = contracts().map(|contract| contract.participant.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let known =
            if names.is_empty() { "none is known".to_owned() } else { format!("known are {}", names.join(", ")) };
        return Err(Failure::usage(format_args!("--mock {participant}: there is no contract of that name; {known}")));
    };
    Ok(Mock::start(Arc::clone(node.log()), node.names(), contract.clone())?)
}

/// Serves the API and waits; then stops cleanly: answers under way are given, then the partitions are closed.
fn run(runtime: Runtime, mut stop: Stop, api: Api, port: u16, log: &str) -> Result<(), Failure> {
    let (node, name) = (Arc::clone(&api.node), api.name.clone());
    let listener = runtime.block_on(api::bind(port))?;
    let at = listener.local_addr().map_err(|error| Failure::new(Exit::InUse, error))?;
    let mut asked = stop.clone();
    let mut server = runtime.spawn(api::serve(listener, api, async move { signals::asked(&mut asked).await }));
    if wait_for_partitions(&node, &name, &stop) {
        print::line(format_args!("ready: api http://{at} log {log}"))?;
    }
    let served = runtime.block_on(async {
        tokio::select! {
            () = signals::asked(&mut stop) => tokio::time::timeout(LAST_ANSWERS, &mut server).await.ok(),
            served = &mut server => Some(served),
        }
    });
    // Who still waits for an answer asks again: under the same id it is asked once.
    runtime.shutdown_background();
    let stopped = Arc::into_inner(node).map_or(Ok(()), Node::stop);
    match served {
        Some(Err(panic)) => Err(Failure::new(Exit::Halted, format_args!("the API panicked: {panic}"))),
        Some(Ok(Err(error))) => Err(error.into()),
        Some(Ok(Ok(()))) | None => stopped.map_err(Failure::from),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("api").enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Unreachable, format_args!("the system gives no thread: {error}")))
}

/// Until each partition is live here or elsewhere, halted, or silent because clocks disagree. False: the stop was asked for meanwhile.
fn wait_for_partitions(node: &Node, name: &str, stop: &Stop) -> bool {
    let settled = |status: &PartitionStatus| {
        let settled = match status.standing {
            Standing::Live | Standing::Halted { .. } => true,
            // Another node has the word. One that had it itself before it was started will get it again, or another will.
            Standing::Standby => ![name, ""].contains(&status.claimed_by.as_str()),
            Standing::Opening | Standing::Following | Standing::Claiming | Standing::Stopped => false,
        };
        settled || status.clock_fault.is_some()
    };
    for handle in node.partitions() {
        while !handle.wait_status(LOOK, settled) {
            if *stop.borrow() {
                return false;
            }
        }
        let PartitionStatus { standing, trouble, .. } = handle.status();
        match (standing, trouble) {
            (Standing::Halted { reason }, _) => {
                anstream::eprintln!("sagaline: inbox partition {} is halted: {reason}", handle.number);
            }
            (_, Some(trouble)) => anstream::eprintln!("sagaline: inbox partition {}: {trouble}", handle.number),
            (_, None) => {}
        }
    }
    true
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Topics(error) => error.into(),
            NodeError::Log(error) | NodeError::Apply(ApplyError::Log(error)) => error.into(),
            NodeError::Store(error) => error.into(),
            NodeError::Checkpoint(error) => error.into(),
            NodeError::Stopped(stop) | NodeError::Outdated(stop) => stop.into(),
            NodeError::Apply(
                ApplyError::OtherDigest { .. } | ApplyError::OtherDigestAt { .. } | ApplyError::NoContract { .. },
            )
            | NodeError::NoPartition { .. } => Self::new(Exit::Refused, error),
            NodeError::Apply(ApplyError::Store(_)) => Self::new(Exit::Halted, error),
            NodeError::NotFolded { .. } | NodeError::Apply(ApplyError::NotFolded { .. }) => {
                Self::new(Exit::Timeout, error)
            }
            NodeError::Stopping | NodeError::Thread(_) => Self::new(Exit::Unreachable, error),
        }
    }
}

impl From<Given> for Failure {
    fn from(stop: Given) -> Self {
        match stop {
            Given::Store(error) | Given::Halt(Halt::Store(error)) => error.into(),
            Given::Log(error) => error.into(),
            Given::Halt(Halt::WrongKey { .. }) => Self::usage(stop),
            Given::Halt(
                Halt::NoGenesis { .. }
                | Halt::UnknownRules { .. }
                | Halt::Hole { .. }
                | Halt::Diverged { .. }
                | Halt::PassedOver { .. },
            )
            | Given::Unsafe { .. }
            | Given::OtherLog { .. }
            | Given::OtherCopy { .. }
            | Given::AheadOfLog { .. }
            | Given::Beheaded { .. }
            | Given::Rewritten { .. }
            | Given::NoAppendTime { .. }
            | Given::Panicked { .. }
            | Given::PanicsAlone { .. }
            | Given::Refold { .. } => Self::new(Exit::Halted, stop),
        }
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        let exit = match error {
            CheckpointError::Store(error) => return error.into(),
            CheckpointError::Log(error) => return error.into(),
            CheckpointError::Verify(error) => return error.into(),
            CheckpointError::Address { .. } => Exit::Usage,
            CheckpointError::Vault { .. } | CheckpointError::GivenUp => Exit::Unreachable,
            CheckpointError::NotKept | CheckpointError::NotMade { .. } | CheckpointError::None { .. } => Exit::Refused,
            CheckpointError::Disk { .. }
            | CheckpointError::Unproven { .. }
            | CheckpointError::Unreadable { .. }
            | CheckpointError::Damaged { .. } => Exit::Halted,
        };
        Self::new(exit, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::InUse { .. } => Exit::InUse,
            StoreError::Corrupt { .. } | StoreError::Format { .. } | StoreError::Io { .. } => Exit::Halted,
        };
        Self::new(exit, error)
    }
}

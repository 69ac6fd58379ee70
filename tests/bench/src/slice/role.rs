//! Coordinator and participant of the slice. The coordinator is a whole node with its stores on disk; the participant answers at once and
//! remembers nothing but when it answered, so that what is measured is the coordinator.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sagaline_log::{Log, NewTopic, loopback};
use sagaline_node::registry::ApplyOptions;
use sagaline_node::topics::{self, Wanted};
use sagaline_node::{Names, Node, NodeOptions, Standing};
use sagaline_partition::KnownRules;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Reply};
use sagaline_schemas::schema;
use sagaline_schemas::settings::{Events, Settings};
use sagaline_store::Memory;

use crate::latency::Latencies;
use crate::order;
use crate::process;
use crate::raw::pipe::{Pipe, Through};

const WAIT: Duration = Duration::from_millis(100);
/// How long a partition may take until it publishes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub struct Options {
    #[command(subcommand)]
    role: Role,
    #[arg(long, global = true, default_value = "")]
    log: String,
    #[arg(long, global = true, default_value = "")]
    prefix: String,
}

#[derive(clap::Subcommand)]
enum Role {
    Coordinator {
        #[arg(long)]
        data: PathBuf,
        #[arg(long)]
        partitions: u32,
    },
    Participant,
}

/// Where the processes of a run meet.
pub struct Setting {
    pub log: String,
    pub prefix: String,
}

impl Setting {
    pub fn coordinator(&self, data: &Path, partitions: u32) -> Vec<String> {
        let own = ["--data".to_owned(), data.display().to_string(), "--partitions".to_owned(), partitions.to_string()];
        self.arguments("coordinator").into_iter().chain(own).collect()
    }

    pub fn participant(&self) -> Vec<String> {
        self.arguments("participant")
    }

    fn arguments(&self, role: &str) -> Vec<String> {
        ["--log", &self.log, "--prefix", &self.prefix, role].map(str::to_owned).into()
    }
}

/// The domain topic whose events start sagas.
pub fn orders(names: &Names) -> String {
    names.of_channel("orders")
}

/// Runs until stdin ends.
///
/// # Errors
/// When the log or the node fails.
pub fn run(options: &Options) -> Result<()> {
    let log = sagaline_log::connect(&options.log, &BTreeMap::new())?;
    let names = Names::new(&*options.prefix);
    match &options.role {
        Role::Coordinator { data, partitions } => coordinate(options, log, &names, data, *partitions),
        Role::Participant => participate(&*log, &names),
    }
}

fn coordinate(options: &Options, log: Arc<dyn Log>, names: &Names, data: &Path, partitions: u32) -> Result<()> {
    let key = Key::new("bench", [8; 32]);
    let settings = Settings { activation_delay: 0, events: Events::Ends, ..Settings::default() };
    let wanted = Wanted { partitions, replicas: 1, single_broker: true, participants: Vec::new(), settings };
    topics::create(&*log, names, &key, &wanted)?;
    log.create_topic(&NewTopic { name: orders(names), partitions, replicas: 1, settings: Vec::new() })?;
    let node = NodeOptions {
        data_dir: Some(data.to_owned()),
        prefix: names.prefix().to_owned(),
        key,
        name: "bench".to_owned(),
        single_broker: true,
        memory: Memory::default(),
        rules: KnownRules::OWN,
        skip_poison: None,
    };
    let node = Node::start(node, Arc::clone(&log))?;
    let (definition, contract) = order::definition(&orders(names));
    node.apply(&ApplyOptions {
        contracts: vec![contract],
        definitions: vec![definition],
        topics: wanted,
        by: "bench".to_owned(),
    })?;
    for partition in node.partitions() {
        let live = partition.wait_status(PATIENCE, |status| status.standing == Standing::Live);
        ensure!(live, "a partition does not go live: {:?}", partition.status().standing);
    }
    let served = match options.log.starts_with("embedded:") {
        true => Some(loopback::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, log)?),
        false => None,
    };
    let address = served.as_ref().map(|server| format!("loopback://{}", server.address()));
    process::say_ready(&address.unwrap_or_else(|| options.log.clone()));
    // Nothing is ordered of a coordinator but to end.
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    drop(served);
    Ok(node.stop()?)
}

fn participate(log: &dyn Log, names: &Names) -> Result<()> {
    let mut pipe = Through::open(log, &names.of_channel(&format!("commands.{}", order::PARTICIPANT)))?;
    let mut latencies = Latencies::new(process::follow_orders());
    let (mut answered, mut received) = (BTreeMap::new(), Vec::new());
    process::say_ready("");
    loop {
        latencies.turn()?;
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let command = proof::open_command(&value)?;
            let saga = command.address.saga;
            if let Some(before) = answered.remove(&saga) {
                latencies.add(Instant::elapsed(&before));
            }
            if !order::is_last(&command) {
                answered.insert(saga, Instant::now());
            }
            let answer = order::answer(&command, order::PAYLOAD);
            let (address, token) = (command.address, command.token);
            let reply = Reply { address, token, answer, instance: "1".to_owned(), time: log.wall_clock() };
            let value = proof::unsealed(schema::INBOX.fingerprint, &Body::Reply(reply));
            pipe.send(&command.reply_topic, command.reply_partition, &value)?;
        }
    }
}

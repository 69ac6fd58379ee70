//! Three coordinators share one log on a real Kafka, and two instances of each service a PostgreSQL. All of them are killed and stalled for longer than
//! their session, a node is cut off, and the broker dies. Every order must end, each effect happen once, and every node tell the same. `SAGALINE_PROVE=1` runs the whole form.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sagaline_integration::kafka::Broker;
use sagaline_integration::orders::Order;
use sagaline_integration::proxy::Proxy;
use sagaline_integration::stack::{Stack, Words};
use sagaline_integration::tables::Tables;
use sagaline_log::Log;
use sagaline_log::kafka::KafkaLog;
use sagaline_test_postgres::{Server, schema};

const SERVICES: [&str; 3] = ["inventory", "payment", "shipping"];
const NODES: usize = 3;
/// A session of a member of a group, as the coordinators and services have it.
const SESSION: Duration = Duration::from_secs(6);

/// How much happens.
#[derive(Clone, Copy)]
struct Form {
    partitions: u32,
    /// In each, every fault comes once.
    rounds: usize,
    /// Orders before each fault.
    orders: usize,
    /// Orders that are to be under way when it comes.
    under_way: u64,
    /// Shipping is the slowest: so much is under way at every fault.
    slow: &'static str,
}

const SMALL: Form = Form { partitions: 4, rounds: 1, orders: 40, under_way: 20, slow: "--in-flight 2 --slow 500ms" };
const WHOLE: Form = Form { partitions: 8, rounds: 10, orders: 170, under_way: 60, slow: "--in-flight 8 --slow 500ms" };

fn form() -> Form {
    if std::env::var("SAGALINE_PROVE").is_ok_and(|value| value == "1") { WHOLE } else { SMALL }
}

/// What is done while orders are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// `kill -9` to the node that publishes for most partitions. It is started again when the others have its part.
    NodeKilled,
    /// The node that publishes for most partitions stalls until the others have its part, then wakes in the middle of its work.
    NodeStalled,
    /// A node ends cleanly and is started again.
    NodeRestarted,
    /// Not a byte passes between one node and the broker until the others have its part.
    NodeCutOff,
    /// `kill -9` to the broker; it comes back with its data.
    BrokerKilled,
    /// `kill -9` to an instance of each service; they are started again at once.
    ServicesKilled,
    /// An instance of each service stalls until all orders have ended without it.
    ServicesStalled,
}

const FAULTS: [Fault; 7] = [
    Fault::NodeKilled,
    Fault::ServicesKilled,
    Fault::NodeStalled,
    Fault::NodeCutOff,
    Fault::BrokerKilled,
    Fault::ServicesStalled,
    Fault::NodeRestarted,
];

struct Cluster {
    broker: Broker,
    /// Between the broker and the last node.
    proxy: Proxy,
    stack: Stack,
    form: Form,
    /// Each service's schema in PostgreSQL.
    schemas: Vec<(&'static str, String)>,
    faults: BTreeMap<Fault, usize>,
    /// From the death or stall of a node until the others had its part.
    taken_over: Vec<Duration>,
}

impl Cluster {
    fn start(form: Form) -> Result<Self> {
        let (broker, proxy) = Broker::start_behind_proxy()?;
        let schemas: Vec<(&str, String)> = SERVICES.into_iter().map(|name| (name, schema())).collect();
        let words: Vec<(&str, String)> = schemas
            .iter()
            .map(|(name, schema)| {
                let slow = if *name == "shipping" { form.slow } else { "" };
                (*name, format!("--postgres {} --postgres-schema {schema} {slow}", Server::shared().url()))
            })
            .collect();
        let borrowed: Vec<Words> = words.iter().map(|(name, words)| (*name, words.as_str())).collect();
        let mut stack = Stack::start_on(broker.bootstrap(), form.partitions, &borrowed)?;
        for name in SERVICES {
            stack.start_another(name)?;
        }
        stack.add_coordinator("second", broker.bootstrap())?;
        stack.add_coordinator("third", &proxy.address().to_string())?;
        for node in 1..NODES {
            stack.coordinators[node].start(None)?;
        }
        let mut cluster = Self { broker, proxy, stack, form, schemas, faults: BTreeMap::new(), taken_over: Vec::new() };
        cluster.wait_shared()?;
        Ok(cluster)
    }

    /// Waits until each partition has one node that publishes for it, and each node has some.
    fn wait_shared(&mut self) -> Result<()> {
        self.wait_owned("a part for each node", &[0, 1, 2], |parts| parts.iter().all(|part| !part.is_empty()))
    }

    /// Waits until these nodes have all partitions among themselves, each one once.
    fn wait_owned(&mut self, what: &str, nodes: &[usize], enough: impl Fn(&[Vec<u32>]) -> bool) -> Result<()> {
        let all: Vec<u32> = (0..self.form.partitions).collect();
        self.stack.wait(what, |stack| {
            let mut parts = Vec::new();
            for node in nodes {
                if stack.coordinators[*node].ready()?.is_none() {
                    return Ok(None);
                }
                parts.push(stack.coordinators[*node].owned()?);
            }
            let mut owned = parts.concat();
            owned.sort_unstable();
            Ok((owned == all && enough(&parts)).then_some(()))
        })
    }

    /// The API of a node.
    fn api(&mut self, node: usize) -> Result<String> {
        self.stack.wait("a node's API", |stack| stack.coordinators[node].ready())
    }

    /// More orders; returns when enough of all are under way.
    fn send(&mut self) -> Result<()> {
        let (first, form) = (self.stack.orders.len(), self.form);
        self.stack.send((first..first + form.orders).map(Order::numbered))?;
        let api = self.api(0)?;
        self.stack.wait("orders under way", |stack| Ok((stack.under_way_at(&api)? >= form.under_way).then_some(())))
    }

    /// The node that publishes for most partitions.
    fn busiest(&self) -> Result<usize> {
        let mut parts = Vec::new();
        for node in &self.stack.coordinators {
            parts.push(node.owned()?.len());
        }
        (0..NODES).max_by_key(|node| parts[*node]).context("there are nodes")
    }

    fn suffer(&mut self, fault: Fault, round: usize) -> Result<()> {
        *self.faults.entry(fault).or_default() += 1;
        match fault {
            Fault::NodeKilled => {
                let node = self.busiest()?;
                self.stack.coordinators[node].process().kill()?;
                self.wait_taken_over(node)?;
                self.stack.coordinators[node].start(None)?;
            }
            Fault::NodeStalled => {
                let node = self.busiest()?;
                self.stack.coordinators[node].process().stall()?;
                self.wait_taken_over(node)?;
                self.stack.coordinators[node].process().wake()?;
            }
            Fault::NodeCutOff => {
                self.proxy.cut();
                self.wait_taken_over(NODES - 1)?;
                self.proxy.mend();
            }
            Fault::NodeRestarted => {
                let node = &mut self.stack.coordinators[round % NODES];
                node.process().stop()?;
                node.start(None)?;
            }
            Fault::BrokerKilled => {
                self.broker.kill()?;
                self.broker.start_again()?;
            }
            Fault::ServicesKilled => {
                for name in SERVICES {
                    self.stack.kill_instance(name, round % 2)?;
                }
            }
            Fault::ServicesStalled => self.stall_services(round % 2)?,
        }
        self.wait_shared()
    }

    fn wait_taken_over(&mut self, lost: usize) -> Result<()> {
        let since = Instant::now();
        let others: Vec<usize> = (0..NODES).filter(|node| *node != lost).collect();
        self.wait_owned("the others to take over", &others, |_| true)?;
        self.taken_over.push(since.elapsed());
        Ok(())
    }

    fn stall_services(&mut self, instance: usize) -> Result<()> {
        for name in SERVICES {
            self.stack.instance(name, instance)?.stall()?;
        }
        let api = self.api(0)?;
        self.stack.wait_ended(&api)?;
        for name in SERVICES {
            self.stack.instance(name, instance)?.wake()?;
        }
        Ok(())
    }

    /// Every order ended, each effect happened once, and every node says so.
    fn check_world(&mut self) -> Result<()> {
        for node in 0..NODES {
            let api = self.api(node)?;
            self.stack.wait_ended(&api)?;
        }
        for (name, schema) in &self.schemas {
            Tables::new(schema)?.export(&self.stack.dir().join(format!("{name}.jsonl")))?;
        }
        let mut told = Vec::new();
        for node in 0..NODES {
            let api = self.api(node)?;
            let wrong = self.stack.differences(&api)?;
            ensure!(wrong.is_empty(), "node {node}: {} differences: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
            told.push(self.stack.reports(&api)?);
        }
        ensure!(told.iter().all(|reports| *reports == told[0]), "two nodes tell different stories");
        Ok(())
    }

    /// The stores of every node are what the log says.
    fn check_stores(&mut self) -> Result<()> {
        for node in &mut self.stack.coordinators {
            node.process().stop()?;
        }
        let mut verified = Vec::new();
        for node in &self.stack.coordinators {
            let said = self.stack.sagaline(&["verify", "--config", &format!("{}.toml", node.name)])?;
            ensure!(said.lines().all(|line| line.starts_with("same: ")), "{}: {said}", node.name);
            ensure!(said.lines().count() == self.form.partitions as usize, "{}: {said}", node.name);
            verified.push(said);
        }
        print!("{}", verified[0]);
        Ok(())
    }

    /// Commands that lie in the log more than once: published by one owner and by the next.
    fn duplicates(&self) -> Result<(usize, usize)> {
        let log = KafkaLog::connect(self.broker.bootstrap(), &BTreeMap::new())?;
        let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
        for name in SERVICES {
            let topic = format!("{}commands.{name}", self.stack.prefix());
            let partitions = log.topic(&topic)?.context("the topic is there")?.partitions;
            for partition in 0..partitions {
                let mut reader = log.reader(&topic, partition, 0)?;
                let (mut next, end) = reader.bounds()?;
                while next < end {
                    let mut fetched = Vec::new();
                    reader.poll(1_000, Duration::from_millis(100), &mut fetched)?;
                    for fetched in fetched {
                        next = fetched.offset + 1;
                        *seen.entry(fetched.record.value).or_default() += 1;
                    }
                }
            }
        }
        let commands = seen.len();
        Ok((commands, seen.into_values().map(|times| times - 1).sum()))
    }
}

#[test]
fn nodes_are_killed_and_stalled_and_every_effect_happens_once() -> Result<()> {
    let form = form();
    let mut cluster = Cluster::start(form)?;
    for round in 0..form.rounds {
        for fault in FAULTS {
            cluster.send()?;
            cluster.suffer(fault, round).with_context(|| format!("{fault:?}, round {round}"))?;
        }
    }
    cluster.check_world()?;
    cluster.check_stores()?;
    let (commands, duplicates) = cluster.duplicates()?;
    let longest = cluster.taken_over.iter().max().copied().unwrap_or_default();
    println!(
        "{} orders ended at {NODES} nodes with {} partitions; {:?}; {commands} commands, {duplicates} published twice or more; longest take-over \
         {:.1} s, a session is {} s",
        cluster.stack.orders.len(),
        form.partitions,
        cluster.faults,
        longest.as_secs_f64(),
        SESSION.as_secs()
    );
    if duplicates == 0 {
        bail!("nothing was ever published twice: no fault met an owner with work in flight");
    }
    cluster.stack.done();
    Ok(())
}

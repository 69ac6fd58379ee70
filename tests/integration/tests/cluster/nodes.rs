//! Three nodes on one broker, the last of them behind a proxy, and two instances of each service on one PostgreSQL; who publishes for what, and
//! whether the world is as it should be. Knows no fault.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sagaline_integration::coordinator::Seen;
use sagaline_integration::kafka::Broker;
use sagaline_integration::proxy::Proxy;
use sagaline_integration::stack::{Stack, Words};
use sagaline_integration::tables::Tables;
use sagaline_test_postgres::{Server, schema};

use super::published::Published;

pub const SERVICES: [&str; 3] = ["inventory", "payment", "shipping"];
pub const NODES: usize = 3;

/// How much happens.
#[derive(Clone, Copy)]
pub struct Form {
    pub partitions: u32,
    /// In each, every fault comes once.
    pub rounds: usize,
    /// Orders before each fault.
    pub orders: usize,
    /// Orders that are to be under way when it comes.
    pub under_way: u64,
    /// Shipping is the slowest: so much is under way at every fault.
    pub slow: &'static str,
}

/// A broker, three nodes, two instances of each service.
pub struct Cluster {
    pub broker: Broker,
    /// Between the broker and the last node.
    pub proxy: Proxy,
    pub stack: Stack,
    form: Form,
    /// Each service's schema in PostgreSQL.
    schemas: Vec<(&'static str, String)>,
    /// From the death or stall of a node until the others had its part.
    pub taken_over: Vec<Duration>,
}

impl Cluster {
    pub fn start(form: Form) -> Result<Self> {
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
        let mut cluster = Self { broker, proxy, stack, form, schemas, taken_over: Vec::new() };
        cluster.wait_shared()?;
        Ok(cluster)
    }

    /// Waits until each partition has one node that publishes for it, and each node has some.
    pub fn wait_shared(&mut self) -> Result<()> {
        self.wait_owned("a part for each node", &[0, 1, 2], |parts| parts.iter().all(|part| !part.is_empty()))
    }

    /// Waits until a node with spoilt stores says so and has left the group, or was given no more than it can do, and each partition has one node that
    /// publishes for it.
    pub fn wait_published_without(&mut self, node: usize) -> Result<()> {
        let spoilt = self.form.partitions as usize - 1;
        self.stack.wait("a node without stores to leave the others its part", |stack| {
            let node = &mut stack.coordinators[node];
            if node.ready()?.is_none() {
                return Ok(None);
            }
            let halted = node.partitions()?.iter().filter(|seen| seen.halted().is_some()).count();
            let settled =
                node.log()?.contains("left: this node publishes for no partition") || !node.owned()?.is_empty();
            Ok((halted == spoilt && settled).then_some(()))
        })?;
        self.wait_owned("a node for each partition", &[0, 1, 2], |_| true)
    }

    /// Stores of a node, and where they lie meanwhile: all but that of the last partition, or it would not start.
    fn stores(&self, node: usize) -> Vec<(PathBuf, PathBuf)> {
        let data = self.stack.dir().join(&self.stack.coordinators[node].name);
        let place = |name: &str, number| data.join(format!("{name}-{number}"));
        (0..self.form.partitions - 1).map(|number| (place("partition", number), place("aside", number))).collect()
    }

    /// Has files lie where the folders of stores should.
    pub fn spoil_stores(&self, node: usize) -> Result<()> {
        for (store, aside) in self.stores(node) {
            // After an earlier time it lies aside still.
            if !store.is_symlink() {
                std::fs::rename(&store, &aside)?;
            }
            let file = aside.with_extension("file");
            std::fs::write(&file, "no folder")?;
            std::fs::rename(&file, &store)?;
        }
        Ok(())
    }

    /// At once, for each: the node looks again and again, and would make a new store where there is none.
    pub fn mend_stores(&self, node: usize) -> Result<()> {
        for (store, aside) in self.stores(node) {
            let link = aside.with_extension("link");
            std::os::unix::fs::symlink(&aside, &link)?;
            std::fs::rename(&link, &store)?;
        }
        Ok(())
    }

    /// Waits until a node has all its stores open again, in the life in which it found them unusable.
    pub fn wait_opened(&mut self, node: usize) -> Result<()> {
        self.stack.wait("a node with mended stores to open them", |stack| {
            let node = &mut stack.coordinators[node];
            if node.ready()?.is_none() {
                return Ok(None);
            }
            let folds = |seen: &Seen| seen.is_live() || seen.stands_by();
            Ok(node.partitions()?.iter().all(folds).then_some(()))
        })
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
    pub fn api(&mut self, node: usize) -> Result<String> {
        self.stack.wait("a node's API", |stack| stack.coordinators[node].ready())
    }

    /// More orders; returns when enough of all are under way.
    pub fn send(&mut self) -> Result<()> {
        let form = self.form;
        self.stack.send_more(form.orders)?;
        let api = self.api(0)?;
        self.stack.wait("orders under way", |stack| Ok((stack.under_way_at(&api)? >= form.under_way).then_some(())))
    }

    /// The node that publishes for most partitions.
    pub fn busiest(&self) -> Result<usize> {
        let mut parts = Vec::new();
        for node in &self.stack.coordinators {
            parts.push(node.owned()?.len());
        }
        (0..NODES).max_by_key(|node| parts[*node]).context("there are nodes")
    }

    pub fn wait_taken_over(&mut self, lost: usize) -> Result<()> {
        let since = Instant::now();
        let others: Vec<usize> = (0..NODES).filter(|node| *node != lost).collect();
        self.wait_owned("the others to take over", &others, |_| true)?;
        self.taken_over.push(since.elapsed());
        Ok(())
    }

    /// How long each take-over of a partition lasted, from the group's decision to the first publication, as the nodes say of themselves.
    pub fn since_decision(&self) -> Result<Vec<Duration>> {
        let mut found = Vec::new();
        for node in &self.stack.coordinators {
            for log in node.logs()? {
                let told = log.lines().filter(|line| line.contains("taken over"));
                let took =
                    told.filter_map(|line| line.split("took_ms=").nth(1)?.split_whitespace().next()?.parse().ok());
                found.extend(took.map(Duration::from_millis));
            }
        }
        Ok(found)
    }

    /// Every order ended, each effect happened once, and every node says so.
    pub fn check_world(&mut self) -> Result<()> {
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
    pub fn check_stores(&mut self) -> Result<()> {
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

    /// What lies in the log by now.
    pub fn published(&self) -> Result<Published> {
        Published::read(self.broker.bootstrap(), self.stack.prefix(), &SERVICES)
    }
}

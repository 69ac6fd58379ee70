//! The whole of Sagaline as processes: a broker, the coordinator, three services. Services that are killed are started again; the coordinator, and
//! those besides it, live and die as the test says. Everything lies in one folder, which is kept unless the test says that it is done.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use sagaline_schemas::proof::Key;
use tempfile::TempDir;

use crate::coordinator::{Common, Coordinator};
use crate::damage::Left;
use crate::kafka::{Broker, unique};
use crate::orders::{self, Order};
use crate::process::{Process, forget_our_settings, program, wait_until};

/// How long a condition may take. Bounds a test that hangs; nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(120);
/// After so long without an end or an effect nothing is expected any more.
const QUIET: Duration = Duration::from_secs(8);
/// Inbox partitions, where the test does not say otherwise.
const PARTITIONS: u32 = 4;
/// Name and secret of the log's key.
const KEY: (&str, u8) = ("test", 0x5a);
/// In the demo's definition: an attempt that is not answered soon is made again. Here nothing may heal by that.
const IMPATIENT: &str = "attempt_timeout: 2s, within: 10m";
const PATIENT: &str = "attempt_timeout: 30m, within: 50m";

/// One of the three services.
#[derive(Debug)]
struct Service {
    name: &'static str,
    words: Vec<String>,
    process: Process,
}

/// What a service's command line adds: `("shipping", "--slow 1s")`.
pub type Words<'a> = (&'a str, &'a str);

/// Everything that runs.
#[derive(Debug)]
pub struct Stack {
    dir: TempDir,
    common: Common,
    /// The first, which is there from the beginning, and others on the same log.
    pub coordinators: Vec<Coordinator>,
    services: Vec<Service>,
    /// Every order that was sent.
    pub orders: Vec<Order>,
    /// How often a service was killed.
    pub services_killed: usize,
    done: bool,
}

impl Stack {
    /// Topics are made, the definition is applied, all run.
    ///
    /// # Errors
    /// What does not come up.
    pub fn start(words: &[Words<'_>]) -> Result<Self> {
        Self::start_on(Broker::shared().bootstrap(), PARTITIONS, words)
    }

    /// The same on a broker of the test's own, with so many inbox partitions.
    ///
    /// # Errors
    /// What does not come up.
    pub fn start_on(bootstrap: &str, partitions: u32, words: &[Words<'_>]) -> Result<Self> {
        Self::start_with(bootstrap, partitions, words, "")
    }

    /// The same with more tables in the coordinators' configuration.
    ///
    /// # Errors
    /// What does not come up.
    pub fn start_with(bootstrap: &str, partitions: u32, words: &[Words<'_>], more: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("sagaline-")?;
        let (bootstrap, prefix) = (bootstrap.to_owned(), format!("{}.", unique("kill")));
        let common = Common { bootstrap, prefix, partitions, more: more.to_owned() };
        let coordinators = vec![Coordinator::new("coordinator", &common, dir.path())?];
        let (services, orders) = (Vec::new(), Vec::new());
        let mut stack = Self { dir, common, coordinators, services, orders, services_killed: 0, done: false };
        stack.write_secrets()?;
        for name in ["inventory", "payment", "shipping"] {
            stack.add_service(name)?;
        }
        stack.write_definition()?;
        let topic = stack.topic();
        let create = "topics create --config coordinator.toml --participant inventory --participant payment --participant shipping --domain";
        let create: Vec<&str> = create.split(' ').chain([topic.as_str()]).collect();
        stack.sagaline(&create)?;
        stack.start_coordinator(None)?;
        let api = stack.wait_ready()?;
        stack.sagaline(&["apply", "definitions", "--api", &api])?;
        for name in ["inventory", "payment", "shipping"] {
            let more =
                words.iter().filter(|(of, _)| *of == name).map(|(_, words)| *words).collect::<Vec<_>>().join(" ");
            stack.start_service(name, &more)?;
        }
        Ok(stack)
    }

    /// Another coordinator on the same log, which it reaches at this address. It does not run yet.
    ///
    /// # Errors
    /// When its configuration can't be written.
    pub fn add_coordinator(&mut self, name: &str, bootstrap: &str) -> Result<()> {
        let common = Common { bootstrap: bootstrap.to_owned(), ..self.common.clone() };
        self.coordinators.push(Coordinator::new(name, &common, self.dir.path())?);
        Ok(())
    }

    fn write_secrets(&self) -> Result<()> {
        let dir = self.dir.path();
        let key = dir.join("sagaline.key");
        std::fs::write(&key, format!("{}:{}", KEY.0, format!("{:02x}", KEY.1).repeat(32)))?;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(dir.join("accounts.json"), r#"{"poor": 0}"#)?;
        Ok(std::fs::write(dir.join("stock.json"), r#"{"sold-out": 0}"#)?)
    }

    /// The demo's definition, but patient, and with a topic of its own.
    fn write_definition(&self) -> Result<()> {
        let demo = sagaline_test_sources::root().join("demo/order.yaml");
        let text = std::fs::read_to_string(&demo)?;
        let topic = format!("topic: {}", self.topic());
        if !text.contains(IMPATIENT) || !text.contains("topic: orders") {
            bail!("{} is no longer what these tests know", demo.display());
        }
        let text = text.replace(IMPATIENT, PATIENT).replace("topic: orders", &topic);
        Ok(std::fs::write(self.dir.path().join("definitions/order.yaml"), text)?)
    }

    fn add_service(&mut self, name: &'static str) -> Result<()> {
        let dir = self.dir.path();
        let binary = format!("sagaline-{name}");
        let printed = Command::new(program(&binary)?).arg("--print-contract").current_dir(dir).output()?;
        if !printed.status.success() {
            bail!("{binary} --print-contract: {}", String::from_utf8_lossy(&printed.stderr));
        }
        let contracts = dir.join("definitions/contracts");
        std::fs::create_dir_all(&contracts)?;
        std::fs::write(contracts.join(format!("{name}.yaml")), printed.stdout)?;
        let process = Process::new(name, &binary, dir)?;
        self.services.push(Service { name, words: Vec::new(), process });
        Ok(())
    }

    fn topic(&self) -> String {
        format!("{}orders", self.common.prefix)
    }

    /// All is as it should be: nobody needs the logs and ledgers any more.
    pub fn done(mut self) {
        self.done = true;
    }

    /// The folder of all that is written.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The log's key.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(KEY.0, [KEY.1; 32])
    }

    /// What stands before the name of every topic.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.common.prefix
    }

    /// Runs the command line to its end.
    ///
    /// # Errors
    /// What it says where it fails.
    pub fn sagaline(&self, words: &[&str]) -> Result<String> {
        let ran = self.ran(words)?;
        if !ran.status.success() {
            bail!("sagaline {}: {}", words.join(" "), String::from_utf8_lossy(&ran.stderr));
        }
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// Runs the command line to its end, which is to be this code. Gives what it says on stderr.
    ///
    /// # Errors
    /// When it ends with another.
    pub fn refused(&self, words: &[&str], code: i32) -> Result<String> {
        let ran = self.ran(words)?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        if ran.status.code() != Some(code) {
            bail!("sagaline {} ended with {}, not {code}: {said}", words.join(" "), ran.status);
        }
        Ok(said)
    }

    /// Runs the command line to its end, whatever that is.
    ///
    /// # Errors
    /// When it can't be run.
    pub fn ran(&self, words: &[&str]) -> Result<Output> {
        let mut command = Command::new(program("sagaline")?);
        forget_our_settings(&mut command);
        Ok(command.args(words).current_dir(self.dir.path()).output()?)
    }

    /// The coordinator's next life; `fail_point` as `SAGALINE_FAIL_POINT` takes it.
    ///
    /// # Errors
    /// When it lives, or can't be run.
    pub fn start_coordinator(&mut self, fail_point: Option<&str>) -> Result<()> {
        self.coordinators[0].start(fail_point)
    }

    /// The coordinator ends cleanly.
    ///
    /// # Errors
    /// When it does not.
    pub fn stop_coordinator(&mut self) -> Result<()> {
        self.coordinators[0].process().stop()
    }

    /// `kill -9` to the coordinator.
    ///
    /// # Errors
    /// When it does not live.
    pub fn kill_coordinator(&mut self) -> Result<()> {
        self.coordinators[0].process().kill()
    }

    /// Waits until the coordinator's fail point has killed it.
    ///
    /// # Errors
    /// When that does not happen.
    pub fn wait_killed(&mut self) -> Result<()> {
        self.wait("the coordinator's death at its fail point", |stack| {
            Ok(stack.coordinators[0].process().killed()?.then_some(()))
        })
    }

    /// Keeps the stores of a coordinator that does not run, as they are now. `NAME.toml` is a configuration with them.
    ///
    /// # Errors
    /// When they can't be copied.
    pub fn keep_stores(&self, name: &str) -> Result<Left> {
        let dir = self.dir.path();
        self.common.write_configuration(&dir.join(format!("{name}.toml")), name, name)?;
        let key = self.key();
        let Common { bootstrap, prefix, .. } = &self.common;
        Left::copy_of(&dir.join("coordinator"), &dir.join(name), bootstrap, prefix, key)
    }

    /// What the coordinator wrote in this life, or in its last.
    ///
    /// # Errors
    /// When it never lived.
    pub fn coordinator_log(&self) -> Result<String> {
        self.coordinators[0].log()
    }

    /// Waits until all partitions of the coordinator are live. Gives the API's address.
    ///
    /// # Errors
    /// When it ends, or takes too long.
    pub fn wait_ready(&mut self) -> Result<String> {
        self.wait("the coordinator's ready line", |stack| stack.coordinators[0].ready())
    }

    /// A service ends cleanly and begins again with other words.
    ///
    /// # Errors
    /// When it does not.
    pub fn restart_service(&mut self, name: &str, more: &str) -> Result<()> {
        self.service(name)?.process.stop()?;
        self.start_service(name, more)
    }

    fn start_service(&mut self, name: &str, more: &str) -> Result<()> {
        let own = match name {
            "payment" => "--accounts accounts.json",
            "inventory" => "--stock stock.json --quantity 1000000",
            _ => "",
        };
        let Common { bootstrap, prefix, .. } = &self.common;
        let words = format!(
            "--log kafka://{bootstrap} --prefix {prefix} --data {name}-data --ledger {name}.jsonl {own} {more}"
        );
        let service = self.service(name)?;
        service.words = words.split_whitespace().map(str::to_owned).collect();
        service.process.start(&service.words, None)
    }

    /// A second instance of a service that runs, with the same words. Killed, it is started again as the first is.
    ///
    /// # Errors
    /// When there is none, or it can't be run.
    pub fn start_another(&mut self, name: &str) -> Result<()> {
        let first = self.service(name)?;
        let (name, mut words) = (first.name, first.words.clone());
        words.extend(["--instance", "2"].map(str::to_owned));
        let process = Process::new(&format!("{name}-2"), &format!("sagaline-{name}"), self.dir.path())?;
        self.services.push(Service { name, words: words.clone(), process });
        let second = self.services.last_mut().context("it was just put there")?;
        second.process.start(&words, None)
    }

    /// `kill -9` to an instance of a service, counted from 0; it is started again at once.
    ///
    /// # Errors
    /// When there is none, or it can't be run.
    pub fn kill_instance(&mut self, name: &str, number: usize) -> Result<()> {
        self.services_killed += 1;
        let service = self.instance_mut(name, number)?;
        service.process.kill()?;
        service.process.start(&service.words, None)
    }

    /// An instance of a service, counted from 0.
    ///
    /// # Errors
    /// When there is none.
    pub fn instance(&mut self, name: &str, number: usize) -> Result<&mut Process> {
        Ok(&mut self.instance_mut(name, number)?.process)
    }

    fn instance_mut(&mut self, name: &str, number: usize) -> Result<&mut Service> {
        let instance = self.services.iter_mut().filter(|service| service.name == name).nth(number);
        instance.with_context(|| format!("no instance {number} of {name}"))
    }

    fn service(&mut self, name: &str) -> Result<&mut Service> {
        self.services.iter_mut().find(|service| service.name == name).with_context(|| format!("no service {name}"))
    }

    /// Services that were killed live again.
    fn tend(&mut self) -> Result<()> {
        for service in &mut self.services {
            if service.process.runs() && service.process.killed()? {
                self.services_killed += 1;
                service.process.start(&service.words, None)?;
            }
        }
        Ok(())
    }

    /// Waits for a condition, and tends the services meanwhile.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Result<Option<T>>) -> Result<T> {
        wait_until(what, PATIENCE, || {
            self.tend()?;
            look(self)
        })
    }

    /// Orders go straight to Kafka, whether the coordinator lives or not.
    ///
    /// # Errors
    /// When Kafka does not take them.
    pub fn send(&mut self, orders: impl IntoIterator<Item = Order>) -> Result<()> {
        let before = self.orders.len();
        self.orders.extend(orders);
        let events: Vec<String> = self.orders[before..].iter().map(|order| order.event().to_string()).collect();
        std::fs::write(self.dir.path().join("events.jsonl"), events.join("\n"))?;
        let topic = self.topic();
        self.sagaline(&["send", &topic, "events.jsonl", "--key", "order_id", "--bootstrap", &self.common.bootstrap])?;
        Ok(())
    }

    /// So many more orders, numbered on.
    ///
    /// # Errors
    /// As `send`.
    pub fn send_more(&mut self, count: usize) -> Result<()> {
        let first = self.orders.len();
        self.send((first..first + count).map(Order::numbered))
    }

    /// How many effects there are.
    ///
    /// # Errors
    /// When a ledger can't be read.
    pub fn effects(&self) -> Result<usize> {
        Ok(orders::acts(self.dir.path())?.len())
    }

    /// Orders of which something was done and something is still to be done, by the services' ledgers alone.
    ///
    /// # Errors
    /// When a ledger can't be read.
    pub fn under_way(&self) -> Result<usize> {
        let acts = orders::acts(self.dir.path())?;
        let begun: BTreeSet<&str> = acts.iter().map(orders::Act::order).collect();
        let over: BTreeSet<&str> = acts.iter().filter(|act| act.is_last()).map(orders::Act::order).collect();
        Ok(begun.difference(&over).count())
    }

    /// Waits until every order has ended.
    ///
    /// # Errors
    /// When they don't.
    pub fn wait_ended(&mut self, api: &str) -> Result<()> {
        let all = self.orders.len() as u64;
        self.wait("the end of every saga", |stack| Ok((stack.ended(api)? >= all).then_some(())))
    }

    /// Waits until every order has ended, or nothing happens any more.
    ///
    /// # Errors
    /// When it goes on for ever.
    pub fn wait_quiet(&mut self, api: &str) -> Result<()> {
        let (mut before, mut since) = ((0, 0), SystemTime::now());
        self.wait("quiet", |stack| {
            let now = (stack.ended(api)?, stack.effects()?);
            if now != before {
                (before, since) = (now, SystemTime::now());
            }
            let over = now.0 >= stack.orders.len() as u64 || since.elapsed().unwrap_or_default() > QUIET;
            Ok(over.then_some(()))
        })
    }

    /// Where world and reports are not as the orders say.
    ///
    /// # Errors
    /// When somebody does not answer.
    pub fn differences(&self, api: &str) -> Result<Vec<String>> {
        Ok(orders::differences(&self.orders, &orders::acts(self.dir.path())?, &self.reports(api)?))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if !self.done {
            self.dir.disable_cleanup(true);
            eprintln!("logs and ledgers are kept in {}", self.dir.path().display());
        }
    }
}

/// The wall clock: milliseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

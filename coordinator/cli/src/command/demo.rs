//! `demo`: orders through three services, each a process of its own that fails as services do, and at the end the question what state the world is
//! in. It asks the coordinator and the services as anybody would; what must come of each order is computed elsewhere, by scripts/demo-check.

mod process;
mod tally;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sagaline_node::api::model::{Counts, SagaPage, Status};
use sagaline_schemas::SagaId;
use serde_json::Value as Json;

use self::process::{Process, Programs};
use self::tally::Tally;
use super::init::make_key;
use crate::args::{Common, Demo};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print;

const DEFINITION: &str = include_str!("../../../../demo/order.yaml");
const ORDERS: &str = include_str!("../../../../demo/orders.jsonl");

/// A service: what it is called, its contract, and what goes wrong with it beside what the orders themselves ask for.
struct Service {
    name: &'static str,
    contract: &'static str,
    mishaps: &'static [&'static str],
}

const SERVICES: [Service; 3] = [
    Service {
        name: "inventory",
        contract: include_str!("../../../../participants/inventory/contract.yaml"),
        mishaps: &["--stock", "stock.json"],
    },
    Service {
        name: "payment",
        contract: include_str!("../../../../participants/payment/contract.yaml"),
        mishaps: &["--accounts", "accounts.json", "--expired", "expired", "--down-after", "150", "--down-for", "6s"],
    },
    Service {
        name: "shipping",
        contract: include_str!("../../../../participants/shipping/contract.yaml"),
        mishaps: &[],
    },
];
/// The domain topic, as the definition names it.
const TOPIC: &str = "orders";
/// All orders have ended by then, or something is wrong.
const DEADLINE: Duration = Duration::from_secs(300);
/// Between two looks at the counts.
const LOOK: Duration = Duration::from_millis(200);
/// Between two lines of progress in a pipe.
const LINE: Duration = Duration::from_secs(1);
/// Sagas of one page.
const PAGE: &str = "200";

/// `sagaline demo`
pub fn demo(demo: &Demo, common: &Common) -> Result<(), Failure> {
    let programs = Programs::beside_this_one(&SERVICES.map(|service| service.name))?;
    let place = Place::make(demo.keep.as_deref())?;
    let tally = run(demo, common, &programs, place.path()).map_err(|failure| place.keep(failure))?;
    let kept = demo.keep.as_deref();
    match common.json {
        true => print::json(&tally.json(kept))?,
        false => print::text(&tally.text(kept))?,
    }
    if tally.differences.is_empty() {
        return place.leave(demo.keep.is_none());
    }
    let message = format!("{} differences between world reports and ledgers", tally.differences.len());
    Err(place.keep(Failure::new(Exit::Refused, message)))
}

fn run(demo: &Demo, common: &Common, programs: &Programs, dir: &Path) -> Result<Tally, Failure> {
    let interrupted = listen_for_signals()?;
    let prefix = match &demo.kafka {
        Some(_) => random_prefix()?,
        None => String::new(),
    };
    write_input(dir, &prefix)?;
    let coordinator = match &demo.kafka {
        Some(bootstrap) => on_kafka(programs, dir, bootstrap, &prefix)?,
        None => on_embedded_log(programs, dir)?,
    };
    let client = Client::new(&coordinator.api)?;
    let mut processes = vec![coordinator.process];
    for service in &SERVICES {
        processes.push(serve(programs, dir, service, &coordinator.log, &prefix)?);
    }
    let topic = format!("{prefix}{TOPIC}");
    let straight: Vec<&str> = demo.kafka.iter().flat_map(|bootstrap| ["--bootstrap", bootstrap]).collect();
    let send = [&["send", &topic, "orders.jsonl", "--key", "order_id", "--api", &coordinator.api], &*straight].concat();
    programs.run(dir, &send)?;
    let began = Instant::now();
    let orders = orders();
    wait_for_ends(&client, &mut processes, orders.len(), common.json, &interrupted)?;
    let took = began.elapsed();
    let restarts = processes.iter().map(Process::restarts).sum();
    let reports = reports(&client)?;
    write(&dir.join("reports.json"), &Json::from(reports.clone()).to_string())?;
    while let Some(process) = processes.pop() {
        process.stop()?;
    }
    let mut tally = Tally::new(&orders, &reports, took, restarts);
    for service in &SERVICES {
        tally.read(service.name, &dir.join(format!("{}.jsonl", service.name)))?;
    }
    tally.compare(&reports);
    Ok(tally)
}

/// The keys of all sagas that must come to be.
fn orders() -> BTreeSet<String> {
    let parse = |line| serde_json::from_str(line).expect("the orders are compiled in, and a test parses them");
    let placed = ORDERS.lines().map(parse).filter(|event: &Json| event["type"] == "placed");
    placed.filter_map(|event| Some(event["order_id"].as_str()?.to_owned())).collect()
}

/// A running coordinator.
struct Coordinator {
    process: Process,
    api: String,
    log: String,
}

impl Coordinator {
    fn start(programs: &Programs, dir: &Path, words: &[&str]) -> Result<Self, Failure> {
        let (process, ready) = Process::coordinator(programs, dir, words)?;
        let word = |name: &str| ready.split_whitespace().skip_while(|word| *word != name).nth(1).map(str::to_owned);
        match (word("api"), word("log")) {
            (Some(api), Some(log)) => Ok(Self { process, api, log }),
            _ => Err(Failure::new(Exit::Halted, format_args!("the coordinator says {ready:?}, not where it is"))),
        }
    }
}

fn on_embedded_log(programs: &Programs, dir: &Path) -> Result<Coordinator, Failure> {
    let words = ["dev", "--data", "coordinator", "--definitions", "definitions", "--port", "0", "--log-port", "0"];
    Coordinator::start(programs, dir, &words)
}

fn on_kafka(programs: &Programs, dir: &Path, bootstrap: &str, prefix: &str) -> Result<Coordinator, Failure> {
    make_key(&dir.join("sagaline.key"))?;
    // JSON's strings are TOML's, too.
    let (bootstrap, quoted) = (Json::from(bootstrap), Json::from(prefix));
    let config = format!(
        "data = \"coordinator\"\nkey_file = \"sagaline.key\"\nprefix = {quoted}\n[api]\nport = 0\n[kafka]\nbootstrap = {bootstrap}\n\
         single_broker = true\n[topics]\npartitions = 4\nreplicas = 1\nactivation_delay = 0\n"
    );
    write(&dir.join("sagaline.toml"), &config)?;
    let domain = format!("{prefix}{TOPIC}");
    let participants = SERVICES.iter().flat_map(|service| ["--participant", service.name]);
    let create = ["topics", "create", "--config", "sagaline.toml", "--domain", &domain];
    programs.run(dir, &create.into_iter().chain(participants).collect::<Vec<_>>())?;
    let coordinator = Coordinator::start(programs, dir, &["serve", "--config", "sagaline.toml"])?;
    programs.run(dir, &["apply", "definitions", "--api", &coordinator.api])?;
    Ok(coordinator)
}

fn serve(programs: &Programs, dir: &Path, service: &Service, log: &str, prefix: &str) -> Result<Process, Failure> {
    let (data, ledger) = (format!("{}-data", service.name), format!("{}.jsonl", service.name));
    let words = ["--log", log, "--prefix", prefix, "--data", &data, "--ledger", &ledger];
    Process::service(programs, dir, service.name, &[&words, service.mishaps].concat())
}

fn write_input(dir: &Path, prefix: &str) -> Result<(), Failure> {
    let definitions = dir.join("definitions");
    let contracts = definitions.join("contracts");
    std::fs::create_dir_all(&contracts).map_err(|error| Failure::file(&contracts, &error))?;
    write(&definitions.join("order.yaml"), &definition(prefix))?;
    for service in &SERVICES {
        write(&contracts.join(format!("{}.yaml", service.name)), service.contract)?;
    }
    write(&dir.join("orders.jsonl"), ORDERS)?;
    write(&dir.join("accounts.json"), r#"{"poor": 0}"#)?;
    write(&dir.join("stock.json"), r#"{"sold-out": 0}"#)
}

/// The definition, with a domain topic of the demonstration's own: on somebody's Kafka there may be one of that name.
fn definition(prefix: &str) -> String {
    DEFINITION.replacen(&format!("topic: {TOPIC},"), &format!("topic: {prefix}{TOPIC},"), 1)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::file(path, &error))
}

fn random_prefix() -> Result<String, Failure> {
    let mut random = [0; 4];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::usage(format_args!("the system gives no random numbers: {error}")))?;
    Ok(format!("sagaline-demo-{:08x}.", u32::from_be_bytes(random)))
}

/// Starts again what was killed, and shows how far it is, until every saga has ended.
fn wait_for_ends(
    client: &Client,
    processes: &mut [Process],
    expected: usize,
    quiet: bool,
    interrupted: &AtomicBool,
) -> Result<(), Failure> {
    let (began, mut progress) = (Instant::now(), Progress::new(quiet));
    loop {
        if interrupted.load(Ordering::Acquire) {
            return Err(Failure::new(Exit::Refused, "interrupted before all orders had ended"));
        }
        for process in &mut *processes {
            process.tend()?;
        }
        let counts: Counts = client.get("/v1/sagas/counts", &[])?;
        let ended: u64 = counts.by_status.iter().filter(|(status, _)| status.is_ended()).map(|(_, count)| count).sum();
        progress.show(&format!("{ended} of {expected} orders ended{}", others(&counts)))?;
        if ended >= expected as u64 {
            return progress.end();
        }
        if began.elapsed() > DEADLINE {
            let message = format!("{ended} of {expected} orders ended within {} s", DEADLINE.as_secs());
            return Err(Failure::new(Exit::Timeout, message));
        }
        std::thread::sleep(LOOK);
    }
}

fn others(counts: &Counts) -> String {
    let some = Status::ALL.into_iter().filter_map(|status| Some((status, *counts.by_status.get(&status)?)));
    some.filter(|(_, count)| *count > 0).map(|(status, count)| format!(", {count} {}", status.word())).collect()
}

/// One line that is drawn over on a terminal; in a pipe a line for each change, but not more than one a second.
struct Progress {
    quiet: bool,
    drawn: bool,
    shown: String,
    at: Option<Instant>,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self { quiet, drawn: std::io::stdout().is_terminal(), shown: String::new(), at: None }
    }

    fn show(&mut self, text: &str) -> Result<(), Failure> {
        let soon = !self.drawn && self.at.is_some_and(|at| at.elapsed() < LINE);
        if self.quiet || soon || self.shown == text {
            return Ok(());
        }
        (self.shown, self.at) = (text.to_owned(), Some(Instant::now()));
        if self.drawn { print::drawn("\r\x1b[K", text) } else { print::line(text) }
    }

    fn end(&self) -> Result<(), Failure> {
        if self.drawn && !self.quiet { print::line("") } else { Ok(()) }
    }
}

/// Every saga with its world report.
fn reports(client: &Client) -> Result<Vec<Json>, Failure> {
    let (mut reports, mut next) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", PAGE.to_owned())];
        query.extend(next.map(|cursor: SagaId| ("cursor", cursor.to_string())));
        let page: SagaPage = client.get("/v1/sagas", &query)?;
        for saga in page.sagas {
            reports.push(client.get(&format!("/v1/sagas/{}", saga.id), &[])?);
        }
        next = page.next;
        if next.is_none() {
            return Ok(reports);
        }
    }
}

/// Becomes true at the first SIGTERM or SIGINT: then all that was started is stopped.
fn listen_for_signals() -> Result<Arc<AtomicBool>, Failure> {
    let unheard =
        |error: std::io::Error| Failure::new(Exit::Unreachable, format_args!("signals can't be heard: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unheard)?;
    let (heard, told) = (Arc::new(AtomicBool::new(false)), std::sync::mpsc::sync_channel(1));
    let (flag, (listening, begun)) = (Arc::clone(&heard), told);
    let listen = move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let signals =
                signal(SignalKind::terminate()).and_then(|first| Ok((first, signal(SignalKind::interrupt())?)));
            let (mut terminate, mut interrupt) = match signals {
                Ok(signals) => signals,
                Err(error) => return listening.send(Err(error)),
            };
            listening.send(Ok(()))?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            flag.store(true, Ordering::Release);
            Ok(())
        })
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(unheard)?;
    begun.recv().expect("the thread says how it began before it ends").map_err(unheard)?;
    Ok(heard)
}

/// Where everything lies.
struct Place {
    path: PathBuf,
}

impl Place {
    /// The directory that is asked for, where it is empty; else one of its own.
    fn make(keep: Option<&Path>) -> Result<Self, Failure> {
        let own = || std::env::temp_dir().join(format!("sagaline-demo-{}", std::process::id()));
        let path = keep.map_or_else(own, Path::to_owned);
        std::fs::create_dir_all(&path).map_err(|error| Failure::file(&path, &error))?;
        let mut there = std::fs::read_dir(&path).map_err(|error| Failure::file(&path, &error))?;
        if there.next().is_some() {
            let message = format!("{} is not empty: name another directory", path.display());
            return Err(Failure::new(Exit::Refused, message));
        }
        let path = path.canonicalize().map_err(|error| Failure::file(&path, &error))?;
        Ok(Self { path })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong can be looked at.
    fn keep(&self, failure: Failure) -> Failure {
        Failure::new(
            failure.exit,
            format_args!("{}\nlogs, ledgers and stores are in {}", failure.message, self.path.display()),
        )
    }

    fn leave(&self, remove: bool) -> Result<(), Failure> {
        if remove {
            std::fs::remove_dir_all(&self.path).map_err(|error| Failure::file(&self.path, &error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_are_as_many_as_the_pages_say() {
        assert_eq!((orders().len(), ORDERS.lines().count()), (320, 384));
    }

    #[test]
    fn on_a_kafka_the_orders_topic_is_its_own() {
        assert_eq!(definition(""), DEFINITION);
        assert!(definition("x.").contains("start: { topic: x.orders,"), "{}", definition("x."));
    }
}

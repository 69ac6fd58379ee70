//! The order workload through the real coordinator, beside the raw pass-through of the same run. Coordinator and participant are
//! processes of their own; the driver, this process, starts a saga for each that ends. Each level of load has fresh topics and stores.

mod driver;
mod records;
pub mod role;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use sagaline_node::Names;
use serde::Serialize;

use crate::cpu;
use crate::latency::Measured;
use crate::process::Process;
use crate::raw;
use crate::raw::pipe::Client;
use driver::Driver;
use records::Records;

#[derive(clap::Args)]
pub struct Options {
    /// Where the inbox lies: `kafka://HOST:PORT`, or `embedded`: in the coordinator's own process, the others reach it over loopback.
    #[arg(long)]
    log: Place,
    /// Sagas in flight, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 512])]
    in_flight: Vec<u32>,
    /// Seconds measured, per run.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// Inbox partitions. The raw pass-through always has 4.
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Also writes the figures to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone)]
enum Place {
    Kafka(String),
    Embedded,
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("kafka://") {
            Some(bootstrap) => Ok(Self::Kafka(bootstrap.to_owned())),
            None if text == "embedded" => Ok(Self::Embedded),
            None => Err("a log is `embedded` or kafka://HOST:PORT".to_owned()),
        }
    }
}

/// One level of load.
#[derive(Serialize)]
struct Level {
    /// The baseline: on Kafka only.
    raw: Option<raw::Figures>,
    slice: Figures,
}

#[derive(Serialize)]
struct Figures {
    in_flight: u32,
    /// Forward commands, and undos that were carried out.
    steps_per_second: f64,
    /// From writing the event that starts a saga to reading that it has ended.
    saga_p50_us: u32,
    saga_p99_us: u32,
    /// From handing over an answer to having the saga's next command: what the raw pass-through calls a step's latency, seen from
    /// the other side.
    step_p50_us: u32,
    step_p99_us: u32,
    /// Kafka records per step, those that start a saga apart.
    records_per_step: f64,
    /// The same with the topic `events`, which tells of starts, ends and turning back.
    records_per_step_with_events: f64,
    /// CPU seconds per 1,000 steps, by process; the broker's only when it runs here.
    cpu: Cpu,
}

#[derive(Serialize)]
struct Cpu {
    coordinator: f64,
    participant: f64,
    driver: f64,
    broker: Option<f64>,
}

/// Runs each level and prints the figures.
///
/// # Errors
/// When the log does not answer, a process ends early, or a saga ends as it should not.
pub fn run(options: &Options) -> Result<()> {
    table::head();
    let mut levels = Vec::new();
    for &in_flight in &options.in_flight {
        let raw = match &options.log {
            Place::Kafka(bootstrap) => Some(raw::measure(&raw_options(options, bootstrap), in_flight.into())?),
            Place::Embedded => None,
        };
        raw.iter().for_each(table::print_raw);
        let level = Level { raw, slice: measure(options, in_flight)? };
        table::print(&level);
        levels.push(level);
        if let Some(path) = &options.json {
            std::fs::write(path, serde_json::to_vec_pretty(&levels)?).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn raw_options(options: &Options, bootstrap: &str) -> raw::Options {
    raw::Options {
        bootstrap: bootstrap.to_owned(),
        in_flight: Vec::new(),
        seconds: options.seconds,
        warm_up: options.warm_up,
        client: Client::Rdkafka,
        json: None,
    }
}

fn measure(options: &Options, in_flight: u32) -> Result<Figures> {
    let place = tempfile::tempdir()?;
    let setting = role::Setting {
        log: match &options.log {
            Place::Kafka(bootstrap) => format!("kafka://{bootstrap}"),
            Place::Embedded => format!("embedded:{}", place.path().join("log").display()),
        },
        prefix: format!("slice-{}-{in_flight}.", std::process::id()),
    };
    let coordinator =
        Process::start("slice-role", setting.coordinator(&place.path().join("store"), options.partitions))?;
    let setting = role::Setting { log: coordinator.ready().to_owned(), ..setting };
    let mut participant = Process::start("slice-role", setting.participant())?;
    let log = sagaline_log::connect(&setting.log, &Default::default())?;
    let names = Names::new(setting.prefix);
    let before = Records::count(&*log, &names)?;
    let mut driver = Driver::new(&*log, &names, in_flight)?;

    driver.run(Duration::from_secs(options.warm_up))?;
    participant.order("begin")?;
    let pids = [Some(coordinator.pid()), Some(participant.pid()), Some(std::process::id()), broker(options)];
    let meter = cpu::Meter::begin(pids)?;
    let seen = driver.run(Duration::from_secs(options.seconds))?;
    let spent = meter.spent()?;
    participant.order("end")?;
    let steps: Measured = serde_json::from_str(&participant.answer()?)?;
    let all = driver.drain()?;
    let records = Records::count(&*log, &names)?.since(&before)?;

    let thousands = f64::from(seen.steps) / 1000.0;
    let [coordinator, participant, driver, broker] = spent.map(|seconds| seconds.map(|seconds| seconds / thousands));
    let known = |cost: Option<f64>| cost.context("a process of our own has CPU time");
    let sagas = Measured::of(seen.latencies, seen.elapsed);
    Ok(Figures {
        in_flight,
        steps_per_second: f64::from(seen.steps) / sagas.seconds,
        saga_p50_us: sagas.p50_us,
        saga_p99_us: sagas.p99_us,
        step_p50_us: steps.p50_us,
        step_p99_us: steps.p99_us,
        records_per_step: records.per_step(&all, false),
        records_per_step_with_events: records.per_step(&all, true),
        cpu: Cpu { coordinator: known(coordinator)?, participant: known(participant)?, driver: known(driver)?, broker },
    })
}

fn broker(options: &Options) -> Option<u32> {
    match &options.log {
        Place::Kafka(bootstrap) => cpu::broker(bootstrap),
        Place::Embedded => None,
    }
}

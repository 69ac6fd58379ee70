//! The order workload through the real coordinator, beside the raw pass-through of the same run. Coordinator and participant are
//! processes of their own; the driver, this process, starts a saga for each that ends. Each level of load has fresh topics and stores.

mod driver;
pub mod installation;
mod records;
pub mod role;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::cpu;
use crate::latency::Measured;
use crate::place::Place;
use crate::raw;
use crate::work::Work;
use driver::Driver;
use installation::{Installation, Plan};
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
    /// What the sagas do: `order`, or `chainN`: N steps.
    #[arg(long, default_value = "order")]
    work: Work,
    /// Has `events` tell of every step, beside starts and ends.
    #[arg(long)]
    every_step: bool,
    /// Also writes the figures to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One level of load.
#[derive(Serialize)]
pub struct Level {
    pub raw: raw::Figures,
    pub slice: Figures,
}

#[derive(Serialize)]
pub struct Figures {
    pub in_flight: u32,
    /// Forward commands, and undos that were carried out.
    pub steps_per_second: f64,
    /// From writing the event that starts a saga to reading that it has ended.
    pub saga_p50_us: u32,
    pub saga_p99_us: u32,
    /// From handing over an answer to having the saga's next command: what the raw pass-through calls a step's latency, seen from
    /// the other side.
    pub step_p50_us: u32,
    pub step_p99_us: u32,
    /// Kafka records per step, those that start a saga apart.
    pub records_per_step: f64,
    /// The same with the topic `events`, which tells of starts, ends and turning back, and of every step if so wanted.
    pub records_per_step_with_events: f64,
    /// CPU seconds per 1,000 steps, by process; the broker's only when it runs here.
    pub cpu: Cpu,
}

#[derive(Serialize)]
pub struct Cpu {
    pub coordinator: f64,
    pub participant: f64,
    pub driver: f64,
    pub broker: Option<f64>,
}

/// How long a level is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Time {
    /// Seconds before it counts.
    pub warm_up: u64,
    pub seconds: u64,
}

/// Runs each level and prints the figures.
///
/// # Errors
/// When the log does not answer, a process ends early, or a saga ends as it should not.
pub fn run(options: &Options) -> Result<()> {
    table::head();
    let time = Time { warm_up: options.warm_up, seconds: options.seconds };
    let mut levels = Vec::new();
    for &in_flight in &options.in_flight {
        let raw = raw_beside(&options.log, in_flight, time)?;
        table::print_raw(&raw);
        let plan = Plan {
            place: options.log.clone(),
            partitions: options.partitions,
            work: vec![options.work],
            every_step: options.every_step,
        };
        let level = Level { raw, slice: measure(&mut Installation::start(plan)?, options.work, in_flight, time)? };
        table::print(&level);
        levels.push(level);
        if let Some(path) = &options.json {
            std::fs::write(path, serde_json::to_vec_pretty(&levels)?).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// The baseline of a level.
///
/// # Errors
/// When the log does not answer or a process ends early.
pub fn raw_beside(log: &Place, in_flight: u32, time: Time) -> Result<raw::Figures> {
    let options = raw::Options {
        log: log.clone(),
        in_flight: Vec::new(),
        seconds: time.seconds,
        warm_up: time.warm_up,
        client: None,
        json: None,
    };
    raw::measure(&options, in_flight)
}

/// So many sagas in flight, until all that were begun have ended. Sagas of another kind may live beside.
///
/// # Errors
/// When a process ends early, or a saga ends as it should not.
pub fn measure(installation: &mut Installation, work: Work, in_flight: u32, time: Time) -> Result<Figures> {
    let names = installation.names();
    let before = Records::count(installation.log()?, &names)?;
    let mut driver = Driver::new(installation.log()?, &names, work, in_flight)?;

    driver.run(Duration::from_secs(time.warm_up))?;
    installation.participant()?.order("begin")?;
    let (coordinator, participant) = (installation.coordinator()?.pid(), installation.participant()?.pid());
    let broker = installation.place().broker();
    let meter = cpu::Meter::begin([Some(coordinator), Some(participant), Some(std::process::id()), broker])?;
    let seen = driver.run(Duration::from_secs(time.seconds))?;
    let spent = meter.spent()?;
    let steps: Measured = installation.participant()?.ask("end")?;
    let all = driver.drain()?;
    let records = Records::count(installation.log()?, &names)?.since(&before)?;

    ensure!(steps.steps > 0, "no step was carried out");

    // As the participant has counted them: what is begun and has not ended counts too.
    let thousands = f64::from(steps.steps) / 1000.0;
    let [coordinator, participant, driver, broker] = spent.map(|seconds| seconds.map(|seconds| seconds / thousands));
    let known = |cost: Option<f64>| cost.context("a process of our own has CPU time");
    let sagas = Measured::of(steps.steps, seen.latencies, seen.elapsed);
    Ok(Figures {
        in_flight,
        steps_per_second: steps.steps_per_second(),
        saga_p50_us: sagas.p50_us,
        saga_p99_us: sagas.p99_us,
        step_p50_us: steps.p50_us,
        step_p99_us: steps.p99_us,
        records_per_step: records.per_step(&all, false),
        records_per_step_with_events: records.per_step(&all, true),
        cpu: Cpu { coordinator: known(coordinator)?, participant: known(participant)?, driver: known(driver)?, broker },
    })
}

//! The raw pass-through: what the log costs with no coordinator in it. Driver (this process), relay and participant are processes of
//! their own, in a closed loop; each level of load has fresh topics.

pub mod consume;
mod message;
pub mod pipe;
pub mod produce;
pub mod role;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::cpu;
use crate::latency::Measured;
use crate::place::Place;
use crate::process::Process;
use message::Message;
use pipe::{Client, Pipe};
use role::{Role, Setting};

/// Inbox partitions of the order workload.
const PARTITIONS: u32 = 4;

#[derive(clap::Args)]
pub struct Options {
    /// `kafka://HOST:PORT`, or `embedded`: in the relay's own process, the others reach it over loopback.
    #[arg(long)]
    pub log: Place,
    /// Sagas in flight, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 512])]
    pub in_flight: Vec<u32>,
    /// Seconds measured, per run.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 10)]
    pub warm_up: u64,
    /// What speaks to the log: rdkafka itself, which is what Kafka is measured by, or the coordinator's own log.
    #[arg(long, value_enum)]
    pub client: Option<Client>,
    /// Also writes the figures to this file, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// One run.
#[derive(Serialize)]
pub struct Figures {
    pub client: Client,
    pub in_flight: u32,
    pub steps_per_second: f64,
    pub latency_p50_us: u32,
    pub latency_p99_us: u32,
    /// CPU seconds per 1,000 steps, by process; the broker's only when it runs here.
    pub cpu: Cpu,
}

#[derive(Serialize)]
pub struct Cpu {
    pub relay: f64,
    pub participant: f64,
    pub driver: f64,
    pub broker: Option<f64>,
}

/// Runs each level and prints the figures.
///
/// # Errors
/// When the log does not answer or a process ends early.
pub fn run(options: &Options) -> Result<()> {
    println!("in flight   steps/s     p50 us     p99 us   CPU-s per 1,000 steps: relay  participant  driver  broker");
    let mut all = Vec::new();
    for &in_flight in &options.in_flight {
        let figures = measure(options, in_flight)?;
        let Cpu { relay, participant, driver, broker } = figures.cpu;
        println!(
            "{in_flight:>9} {:>9.0} {:>10} {:>10} {relay:>29.4} {participant:>12.4} {driver:>7.4} {:>7}",
            figures.steps_per_second,
            figures.latency_p50_us,
            figures.latency_p99_us,
            broker.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.4}")),
        );
        all.push(figures);
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&all)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// One level of load.
///
/// # Errors
/// When the log does not answer or a process ends early.
pub fn measure(options: &Options, in_flight: u32) -> Result<Figures> {
    let place = tempfile::tempdir()?;
    let client = pipe::client(&options.log, options.client)?;
    let run = format!("raw-{}-{in_flight}-{}", std::process::id(), unique());
    let setting = Setting { client, log: options.log.address(&place.path().join("log")), run };
    let mut relay = Process::start("raw-role", setting.arguments(Role::Relay))?;
    let setting = Setting { log: relay.ready().to_owned(), ..setting };
    let participant = Process::start("raw-role", setting.arguments(Role::Participant))?;
    let mut driver = Driver::new(&setting, in_flight)?;

    driver.run(Duration::from_secs(options.warm_up))?;
    relay.order("begin")?;
    let broker = options.log.broker();
    let meter = cpu::Meter::begin([Some(relay.pid()), Some(participant.pid()), Some(std::process::id()), broker])?;
    driver.run(Duration::from_secs(options.seconds))?;
    let spent = meter.spent()?;
    let steps: Measured = relay.ask("end")?;
    ensure!(steps.steps > 0, "no step was carried out");

    let thousands = f64::from(steps.steps) / 1000.0;
    let [relay, participant, driver, broker] = spent.map(|seconds| seconds.map(|seconds| seconds / thousands));
    let known = |cost: Option<f64>| cost.context("a process of our own has CPU time");
    Ok(Figures {
        client,
        in_flight,
        steps_per_second: steps.steps_per_second(),
        latency_p50_us: steps.p50_us,
        latency_p99_us: steps.p99_us,
        cpu: Cpu { relay: known(relay)?, participant: known(participant)?, driver: known(driver)?, broker },
    })
}

/// Another number each time: what two runs of one process make must not have one name.
pub fn unique() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Keeps a fixed number of sagas running.
struct Driver {
    pipe: Box<dyn Pipe>,
    inbox: String,
    started: u64,
}

impl Driver {
    fn new(setting: &Setting, in_flight: u32) -> Result<Self> {
        let pipe = pipe::open(setting.client, &setting.log, &setting.topic("done"), 1)?;
        let mut driver = Self { pipe, inbox: setting.topic("inbox"), started: 0 };
        for _ in 0..in_flight {
            driver.start()?;
        }
        Ok(driver)
    }

    fn start(&mut self) -> Result<()> {
        let message = Message::start(self.started);
        self.pipe.send(&self.inbox, message.partition(), &message.encode())?;
        self.started += 1;
        Ok(())
    }

    fn run(&mut self, duration: Duration) -> Result<()> {
        let begin = Instant::now();
        let mut ended = Vec::new();
        while begin.elapsed() < duration {
            self.pipe.receive(Duration::from_millis(100), &mut ended)?;
            for _ in ended.drain(..) {
                self.start()?;
            }
        }
        Ok(())
    }
}

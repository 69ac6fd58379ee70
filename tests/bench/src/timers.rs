//! How late timers fire: sagas that sleep until a given millisecond, a thousand of them due each second, while as many begin.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sagaline_log::{Acknowledgement, Producer, Record};
use serde::Serialize;

use crate::latency::Measured;
use crate::place::Place;
use crate::slice::Time;
use crate::slice::installation::{Installation, Plan};
use crate::work::{PAYLOAD, Work};

/// Due a second.
const RATE: u32 = 1_000;
/// How long each sleeps, milliseconds.
const SLEEP: i64 = 3_000;
/// Events are sent for so many milliseconds at once.
const TICK: u32 = 10;

#[derive(clap::Args)]
pub struct Options {
    /// `kafka://HOST:PORT`, or `embedded`
    #[arg(long)]
    log: Place,
    /// Seconds measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that, once timers are due
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
}

/// From the time that a saga slept until, to its next command being read.
#[derive(Serialize)]
pub struct Timers {
    pub due_a_second: u32,
    pub count: usize,
    pub seconds: f64,
    pub p50_us: u32,
    pub p99_us: u32,
}

/// Measures and prints.
///
/// # Errors
/// As `measure`.
pub fn run(options: &Options) -> Result<()> {
    let timers = measure(&options.log, Time { warm_up: options.warm_up, seconds: options.seconds })?;
    let Timers { due_a_second, count, seconds, p50_us, p99_us } = timers;
    println!(
        "{due_a_second} timers due a second: {count} fired in {seconds:.1} s, late by {p50_us} us (p50), {p99_us} us (p99)"
    );
    Ok(())
}

/// # Errors
/// When the log does not answer, a process ends early, or no timer fires.
pub fn measure(place: &Place, time: Time) -> Result<Timers> {
    let plan = Plan { place: place.clone(), partitions: 4, work: vec![Work::Sleeping], every_step: false };
    let mut installation = Installation::start(plan)?;
    let mut sender = Sender::new(&installation)?;
    sender.send(Duration::from_millis(SLEEP as u64) + Duration::from_secs(time.warm_up))?;
    installation.participant()?.order("begin")?;
    sender.send(Duration::from_secs(time.seconds))?;
    let Measured { count, seconds, p50_us, p99_us, .. } = installation.participant()?.ask("end")?;
    ensure!(count > 0, "no timer has fired");
    Ok(Timers { due_a_second: RATE, count, seconds, p50_us, p99_us })
}

/// Begins a saga for each millisecond, with the time that it sleeps until.
struct Sender {
    producer: Box<dyn Producer>,
    topic: String,
    partitions: u32,
    begin: Instant,
    /// Wall clock at `begin`.
    wall: i64,
    /// Milliseconds since `begin` for which all are sent; also how many are.
    sent: u32,
    answers: Vec<Acknowledgement>,
}

impl Sender {
    fn new(installation: &Installation) -> Result<Self> {
        let (log, topic) = (installation.log()?, Work::Sleeping.topic(&installation.names()));
        let partitions = log.topic(&topic)?.context("the coordinator makes the topic")?.partitions;
        let (producer, wall) = (log.producer()?, log.wall_clock());
        Ok(Self { producer, topic, partitions, begin: Instant::now(), wall, sent: 0, answers: Vec::new() })
    }

    fn send(&mut self, duration: Duration) -> Result<()> {
        let end = self.sent + u32::try_from(duration.as_millis())?;
        while self.sent < end {
            wait_until(self.begin + Duration::from_millis(self.sent.into()));
            for _ in 0..TICK {
                let due = self.wall + i64::from(self.sent) + SLEEP;
                let value = Work::Sleeping.event_due(self.sent, due, PAYLOAD);
                let record = Record { value, ..Record::default() };
                self.producer.append(&self.topic, self.sent % self.partitions, &record, self.sent.into())?;
                self.sent += 1;
            }
            self.producer.poll(Duration::ZERO, &mut self.answers);
            for answer in self.answers.drain(..) {
                answer.outcome?;
            }
        }
        Ok(())
    }
}

fn wait_until(then: Instant) {
    std::thread::sleep(then.saturating_duration_since(Instant::now()));
}

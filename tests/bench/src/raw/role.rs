//! Relay and participant of the pass-through. The relay counts steps and their latency, from sending a command to having its reply.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::PARTITIONS;
use super::message::Message;
use super::pipe::{self, Client, Pipe};

const WAIT: Duration = Duration::from_millis(100);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Role {
    Relay,
    Participant,
}

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, value_enum)]
    role: Role,
    #[arg(long, value_enum)]
    client: Client,
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    run: String,
}

/// What the relay saw between `begin` and `end`.
#[derive(Serialize, Deserialize)]
pub struct Steps {
    pub count: usize,
    pub seconds: f64,
    pub latency_p50_us: u32,
    pub latency_p99_us: u32,
}

impl Role {
    pub fn arguments(self, client: Client, bootstrap: &str, run: &str) -> Vec<String> {
        let role = match self {
            Self::Relay => "relay",
            Self::Participant => "participant",
        };
        let client = match client {
            Client::Rdkafka => "rdkafka",
            Client::Log => "log",
        };
        ["--role", role, "--client", client, "--bootstrap", bootstrap, "--run", run].map(str::to_owned).into()
    }
}

/// Runs until stdin ends.
///
/// # Errors
/// When the log fails.
pub fn run(options: &Options) -> Result<()> {
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let orders = Arc::clone(&phase);
    std::thread::spawn(move || obey(&orders));
    let Options { role, client, bootstrap, run } = options;
    let topic = match role {
        Role::Relay => format!("{run}-inbox"),
        Role::Participant => format!("{run}-commands"),
    };
    let pipe = pipe::open(*client, bootstrap, &topic, PARTITIONS)?;
    println!("ready");
    match role {
        Role::Relay => relay(pipe, run, &phase),
        Role::Participant => participate(pipe, run),
    }
}

fn obey(phase: &AtomicU8) {
    for order in std::io::stdin().lock().lines() {
        match order.as_deref() {
            Ok("begin") => phase.store(MEASURING, Ordering::Relaxed),
            Ok("end") => phase.store(OVER, Ordering::Relaxed),
            _ => break,
        }
    }
    std::process::exit(0);
}

fn participate(mut pipe: Box<dyn Pipe>, run: &str) -> Result<()> {
    let (inbox, mut received) = (format!("{run}-inbox"), Vec::new());
    loop {
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let mut message = Message::decode(&value)?;
            message.done += 1;
            pipe.send(&inbox, message.partition(), &message.encode())?;
        }
    }
}

fn relay(mut pipe: Box<dyn Pipe>, run: &str, phase: &AtomicU8) -> Result<()> {
    let (commands, done) = (format!("{run}-commands"), format!("{run}-done"));
    let (clock, mut received) = (Instant::now(), Vec::new());
    let (mut seen, mut begin, mut latencies) = (WARMING_UP, clock, Vec::new());
    loop {
        let now = phase.load(Ordering::Relaxed);
        if now != seen {
            match now {
                MEASURING => (begin, latencies) = (Instant::now(), Vec::new()),
                _ => println!("{}", serde_json::to_string(&summary(&mut latencies, begin.elapsed()))?),
            }
            seen = now;
        }
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let mut message = Message::decode(&value)?;
            if message.done > 0 {
                let nanos = u64::try_from(clock.elapsed().as_nanos())? - message.sent;
                latencies.push(u32::try_from(nanos / 1000)?);
            }
            if message.done == message.steps() {
                pipe.send(&done, 0, &message.encode())?;
            } else {
                message.sent = u64::try_from(clock.elapsed().as_nanos())?;
                pipe.send(&commands, message.partition(), &message.encode())?;
            }
        }
    }
}

fn summary(latencies: &mut [u32], elapsed: Duration) -> Steps {
    latencies.sort_unstable();
    let percentile = |p: usize| latencies.get(latencies.len() * p / 100).copied().unwrap_or_default();
    Steps {
        count: latencies.len(),
        seconds: elapsed.as_secs_f64(),
        latency_p50_us: percentile(50),
        latency_p99_us: percentile(99),
    }
}

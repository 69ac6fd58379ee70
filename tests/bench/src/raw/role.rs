//! Relay and participant of the pass-through. The relay counts steps and their latency, from sending a command to having its reply.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::PARTITIONS;
use super::message::Message;
use super::pipe::{self, Client, Pipe};
use crate::latency::Latencies;
use crate::process;

const WAIT: Duration = Duration::from_millis(100);

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
    let orders = process::follow_orders();
    let Options { role, client, bootstrap, run } = options;
    let topic = match role {
        Role::Relay => format!("{run}-inbox"),
        Role::Participant => format!("{run}-commands"),
    };
    let pipe = pipe::open(*client, bootstrap, &topic, PARTITIONS)?;
    process::say_ready("");
    match role {
        Role::Relay => relay(pipe, run, Latencies::new(orders)),
        Role::Participant => participate(pipe, run),
    }
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

fn relay(mut pipe: Box<dyn Pipe>, run: &str, mut latencies: Latencies) -> Result<()> {
    let (commands, done) = (format!("{run}-commands"), format!("{run}-done"));
    let (clock, mut received) = (Instant::now(), Vec::new());
    loop {
        latencies.turn()?;
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let mut message = Message::decode(&value)?;
            if message.done > 0 {
                latencies.add(clock.elapsed() - Duration::from_nanos(message.sent));
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

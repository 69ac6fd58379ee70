//! Relay and participant of the pass-through. The relay stands in the coordinator's place: it makes the topics, holds the log where that is
//! embedded, and counts steps and their latency, from sending a command to having its reply.

use std::time::{Duration, Instant};

use anyhow::Result;
use sagaline_log::{Log, NewTopic};

use super::PARTITIONS;
use super::message::Message;
use super::pipe::{self, Client, Pipe};
use crate::latency::Latencies;
use crate::place::Served;
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
    #[command(flatten)]
    setting: Setting,
}

/// Where the processes of a run meet.
#[derive(Clone, clap::Args)]
pub struct Setting {
    #[arg(long, value_enum)]
    pub client: Client,
    #[arg(long)]
    pub log: String,
    #[arg(long)]
    pub run: String,
}

impl Setting {
    pub fn arguments(&self, role: Role) -> Vec<String> {
        let role = match role {
            Role::Relay => "relay",
            Role::Participant => "participant",
        };
        let client = match self.client {
            Client::Rdkafka => "rdkafka",
            Client::Log => "log",
        };
        ["--role", role, "--client", client, "--log", &self.log, "--run", &self.run].map(str::to_owned).into()
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }
}

/// Runs until stdin ends.
///
/// # Errors
/// When the log fails.
pub fn run(options: &Options) -> Result<()> {
    let orders = process::follow_orders();
    let setting = &options.setting;
    match options.role {
        Role::Relay => {
            let log = sagaline_log::connect(&setting.log, &Default::default())?;
            create_topics(&*log, setting)?;
            let pipe = match setting.client {
                // An embedded log is opened once.
                Client::Log => pipe::through(&*log, &setting.topic("inbox"))?,
                Client::Rdkafka => pipe::open(setting.client, &setting.log, &setting.topic("inbox"), PARTITIONS)?,
            };
            let served = Served::new(&setting.log, &log)?;
            drop(log);
            process::say_ready(&served.address);
            relay(pipe, setting, Latencies::new(orders))
        }
        Role::Participant => {
            let pipe = pipe::open(setting.client, &setting.log, &setting.topic("commands"), PARTITIONS)?;
            process::say_ready("");
            participate(pipe, setting)
        }
    }
}

fn create_topics(log: &dyn Log, setting: &Setting) -> Result<()> {
    for (name, partitions) in [("inbox", PARTITIONS), ("commands", PARTITIONS), ("done", 1)] {
        let settings = vec![("message.timestamp.type".to_owned(), "LogAppendTime".to_owned())];
        log.create_topic(&NewTopic { name: setting.topic(name), partitions, replicas: 1, settings })?;
    }
    Ok(())
}

fn participate(mut pipe: Box<dyn Pipe>, setting: &Setting) -> Result<()> {
    let (inbox, mut received) = (setting.topic("inbox"), Vec::new());
    loop {
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let mut message = Message::decode(&value)?;
            message.done += 1;
            pipe.send(&inbox, message.partition(), &message.encode())?;
        }
    }
}

fn relay(mut pipe: Box<dyn Pipe>, setting: &Setting, mut latencies: Latencies) -> Result<()> {
    let (commands, done) = (setting.topic("commands"), setting.topic("done"));
    let (clock, mut received) = (Instant::now(), Vec::new());
    loop {
        latencies.turn()?;
        pipe.receive(WAIT, &mut received)?;
        for value in received.drain(..) {
            let mut message = Message::decode(&value)?;
            if message.done > 0 {
                latencies.step();
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

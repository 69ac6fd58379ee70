//! What the nodes published, read from the log by somebody who is none of them: what lies there twice, and what was published by a node whose word
//! another one had already.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use sagaline_integration::topic::read_all;
use sagaline_log::Fetched;
use sagaline_log::kafka::KafkaLog;
use sagaline_schemas::Millis;
use sagaline_schemas::proof::open;
use sagaline_schemas::record::Body;
use sagaline_schemas::schema::INBOX;

/// Everything in the command topics, and who had the word when.
pub struct Published {
    commands: Vec<Command>,
    /// By inbox partition, in order.
    claims: BTreeMap<u32, Vec<(Millis, String)>>,
}

struct Command {
    /// When its producer was told to send it: milliseconds since 1970.
    at: Millis,
    node: String,
    /// The inbox partition that decided it.
    source: u32,
    value: Vec<u8>,
}

impl Published {
    pub fn read(bootstrap: &str, prefix: &str, participants: &[&str]) -> Result<Self> {
        let log = KafkaLog::connect(bootstrap, &BTreeMap::new())?;
        let (mut commands, mut claims) = (Vec::new(), BTreeMap::new());
        for participant in participants {
            for fetched in read_all(&log, &format!("{prefix}commands.{participant}"))? {
                commands.push(command(fetched)?);
            }
        }
        for fetched in read_all(&log, &format!("{prefix}inbox"))? {
            if let Body::Progress(progress) = open(INBOX.fingerprint, &fetched.record.value)?.inbox.body
                && progress.since.is_none()
            {
                claims.entry(fetched.partition).or_insert_with(Vec::new).push((fetched.timestamp, progress.node));
            }
        }
        Ok(Self { commands, claims })
    }

    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// How many are a copy of another: published by one owner and by the next.
    pub fn copies(&self) -> usize {
        let mut seen: HashMap<&[u8], usize> = HashMap::new();
        self.commands.iter().for_each(|command| *seen.entry(&command.value).or_default() += 1);
        seen.into_values().map(|times| times - 1).sum()
    }

    /// How many this node sent from then on although another one had claimed the partition, and it had not claimed it again.
    pub fn late(&self, node: &str, from: Millis) -> usize {
        let late = |command: &&Command| {
            let claims = self.claims.get(&command.source).map_or(&[][..], Vec::as_slice);
            let newest = claims.iter().rfind(|(at, _)| *at < command.at);
            command.node == node && command.at >= from && newest.is_some_and(|(_, owner)| owner != node)
        };
        self.commands.iter().filter(late).count()
    }
}

fn command(fetched: Fetched) -> Result<Command> {
    let header = |name: &str| {
        let found = fetched.record.headers.iter().find(|(known, _)| known == name);
        let (_, value) = found.with_context(|| format!("a command has the header {name}"))?;
        Ok::<_, anyhow::Error>(String::from_utf8(value.clone())?)
    };
    let (node, source) = (header("sagaline-node")?, header("ce_source")?);
    let source = source.rsplit('/').next().unwrap_or_default().parse().context("a source ends with its partition")?;
    Ok(Command { at: fetched.timestamp, node, source, value: fetched.record.value })
}

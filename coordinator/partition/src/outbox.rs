//! Line 9: outputs get positions, go into the outbox of their channel, and into the running output hash. What is trimmed, and why it
//! may be, stands in `progress.rs`. Channels: `commands.<participant>`, `inbox.<partition>`, `events`, `parked`.

use std::collections::BTreeMap;

use sagaline_engine::shortened;
use sagaline_schemas::output::{Parked, ParkedReason};
use sagaline_schemas::proof::write_single_object;
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, OutputId, Position, hash, schema};

use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::keys;
use crate::overlay::decode;
use crate::state::{Channel, CommandRef, Output};
use crate::store::{Family, StoreError};

/// The channel of a participant's commands.
pub fn channel_of_commands(participant: &str) -> String {
    format!("commands.{participant}")
}

/// The channel of messages to an inbox partition.
pub fn channel_of_inbox(partition: u32) -> String {
    format!("{INBOX}{partition}")
}

/// Whether the channel's messages go to the inbox itself.
pub fn goes_to_inbox(channel: &str) -> bool {
    channel.starts_with(INBOX)
}

const INBOX: &str = "inbox.";
/// The channel of what happened to sagas.
pub const EVENTS: &str = "events";
/// The channel of records that were set aside.
pub const PARKED: &str = "parked";

/// An output as whoever publishes needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it goes: the topic's name without the prefix.
    pub channel: String,
    /// Where it was made.
    pub position: Position,
    /// What it is.
    pub output: Output,
}

impl Partition {
    /// Line 9.
    pub(crate) fn output(
        &mut self,
        channel: &str,
        id: [u8; 16],
        key: &[u8],
        partition: Option<u32>,
        value: Vec<u8>,
        command: Option<CommandRef>,
    ) -> Result<(), StoreError> {
        let position = self.at;
        self.at.index += 1;
        let meta = self.meta_mut();
        let hash = hash::next_output_hash(meta.output_hash, &id, channel, &value);
        meta.output_hash = hash;
        let output = Output {
            id: OutputId::from_bytes(id),
            key: Bytes(key.to_vec()),
            partition,
            value: Bytes(value),
            hash,
            command,
        };
        self.over.write(Family::Outbox, keys::outbox(channel, position), &output);
        self.unanswered.extend(output.command.as_ref().map(CommandRef::attempt));
        let state = self.channel_mut(channel);
        state.newest = Some(position);
        state.length += 1;
        self.published.push(Published { channel: channel.to_owned(), position, output });
        Ok(())
    }

    pub(crate) fn channel(&self, channel: &str) -> Channel {
        self.channels.get(channel).cloned().unwrap_or_default()
    }

    pub(crate) fn channel_mut(&mut self, channel: &str) -> &mut Channel {
        if !self.channels.contains_key(channel) {
            self.channels.insert(channel.to_owned(), Channel::default());
        }
        self.channels.get_mut(channel).expect("it was just put there")
    }

    /// An output is acknowledged. One that came since the last commit never reaches the store.
    pub(crate) fn leave_outbox(&mut self, position: Position, key: Vec<u8>) {
        if position.offset > self.committed {
            self.over.unput(Family::Outbox, &key);
        } else {
            self.over.delete(Family::Outbox, key);
        }
    }

    /// The id of the next output that is no command.
    pub(crate) fn next_output_id(&self) -> OutputId {
        hash::output_id(self.begun().log_id, self.number, self.at)
    }

    /// A record is set aside: visible, and fit to be sent again.
    pub(crate) fn park(&mut self, value: &[u8], reason: ParkedReason, detail: String) -> Result<(), Halt> {
        let meta = self.meta_mut();
        meta.counters.parked += 1;
        let keep = value.len().min(meta.settings.max_parked as usize);
        let parked = Parked {
            id: self.next_output_id(),
            reason,
            detail: shortened(detail),
            partition: self.number,
            offset: self.at.offset,
            time: self.told_time(),
            length: value.len() as i64,
            digest: Digest(*blake3::hash(value).as_bytes()),
            body: Bytes(value[..keep].to_vec()),
        };
        let id = *parked.id.as_bytes();
        let value = write_single_object(schema::PARKED.fingerprint, &parked);
        self.output(PARKED, id, &[], None, value, None)?;
        Ok(())
    }

    /// A repeat is no news; anything else is set aside.
    pub(crate) fn park_unless(
        &mut self,
        repeat: bool,
        record: LogRecord<'_>,
        reason: ParkedReason,
        detail: String,
    ) -> Result<(), Halt> {
        if repeat { Ok(()) } else { self.park(record.value, reason, detail) }
    }

    /// Outputs made since the last call, in order: for whoever publishes while it folds.
    pub fn take_published(&mut self) -> Vec<Published> {
        std::mem::take(&mut self.published)
    }

    /// The channels that ever had an output.
    pub fn channels(&self) -> &BTreeMap<String, Channel> {
        &self.channels
    }

    /// Unacknowledged outputs of a channel behind a position, in order, at most `max`.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn outbox(&self, channel: &str, after: Option<Position>, max: usize) -> Result<Vec<Published>, StoreError> {
        let after = after.max(self.channels.get(channel).and_then(|state| state.trimmed));
        let from = keys::outbox_behind(channel, after);
        let to = keys::after_prefix(&keys::channel(channel));
        let entries = self.over.scan(Family::Outbox, &from, to.as_deref(), max)?;
        entries.into_iter().map(|(key, value)| published(channel, &key, &value)).collect()
    }
}

fn published(channel: &str, key: &[u8], value: &[u8]) -> Result<Published, StoreError> {
    Ok(Published { channel: channel.to_owned(), position: position_of(key)?, output: decode(Family::Outbox, value)? })
}

/// Where the output of that key was made.
pub(crate) fn position_of(key: &[u8]) -> Result<Position, StoreError> {
    keys::outbox_position(key).ok_or_else(|| StoreError::Corrupt {
        place: "family outbox".to_owned(),
        detail: "a key without a position".to_owned(),
    })
}

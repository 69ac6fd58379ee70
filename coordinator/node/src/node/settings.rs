//! The settings in force, and changing them in all partitions. What a change means in a saga is the fold's to say.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use sagaline_partition::view;
use sagaline_schemas::record::{Body, SettingsChange};
use sagaline_schemas::settings::Settings;
use sagaline_schemas::{Offset, Partition};
use serde_json::Value as Json;

use super::{Node, NodeError};
use crate::owner::opening::check_size;
use crate::owner::stop::Stop;
use crate::registry::ApplyOptions;
use crate::settings::plan::{InForce, Plan, newest, plan};
use crate::settings::{SettingsError, changed};
use crate::topics::Inbox;
use crate::{PartitionStatus, Standing};

/// How long a partition may take to fold a change.
const FOLDING: Duration = Duration::from_secs(20);

/// Why settings are not changed, or not everywhere.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// They are none.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The topics do not take records that large.
    #[error(transparent)]
    Unsafe(Stop),
    /// A partition has not come to the end of its log: what is in force there is not known yet.
    #[error("inbox partition {partition} has not folded its log to the end yet: ask again in a moment")]
    NotLive {
        /// Which.
        partition: Partition,
    },
    /// No partition can be read.
    #[error("no inbox partition can be read: which settings are in force is not known")]
    Unknown,
    /// The same version says something else now.
    #[error("somebody else has changed the settings at the same time")]
    AtOnce,
    /// The log or a partition does not do what it should. Asking again goes on where this stopped.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Node {
    /// The settings in force in every partition, with their version.
    ///
    /// # Errors
    /// When a store can't be read.
    pub fn settings(&self) -> Result<Vec<InForce>, NodeError> {
        let in_force = |handle: super::PartitionHandle| -> Result<InForce, NodeError> {
            let Some(reader) = handle.reader() else { return Ok(None) };
            Ok(view::meta(&*reader)?.map(|meta| (meta.settings_version, meta.settings)))
        };
        self.partitions().into_iter().map(in_force).collect()
    }

    /// Changes settings in every partition; returns when all that fold have them in force. Asked again it changes nothing more.
    ///
    /// # Errors
    /// What speaks against it, or what failed: asking again goes on.
    pub fn set_settings(&self, changes: &BTreeMap<String, Json>, by: &str) -> Result<(), SetError> {
        let _one_at_a_time = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(partition) = self.behind() {
            return Err(SetError::NotLive { partition });
        }
        let known = self.settings()?;
        let (_, base) = newest(&known).ok_or(SetError::Unknown)?;
        let wanted = changed(base, changes)?;
        self.check_topics(&wanted)?;
        let plan = plan(&known, wanted).ok_or(SetError::Unknown)?;
        for (partition, offset) in self.write(&plan, by)? {
            self.wait_in_force(partition, offset)?;
        }
        let as_planned = |(version, settings): &(i64, Settings)| *version == plan.version && *settings == plan.settings;
        if !self.settings()?.iter().flatten().all(as_planned) {
            return Err(SetError::AtOnce);
        }
        // Their owners say so, too, but only now and then.
        self.common.boards.iter().for_each(|board| board.show_settings(plan.settings.clone()));
        Ok(())
    }

    /// Until a partition has folded what was written for it. One that has halted takes it when it goes on.
    pub(super) fn wait_in_force(&self, partition: Partition, offset: Offset) -> Result<(), NodeError> {
        match self.common.boards[partition as usize].stop() {
            Some(_) => Ok(()),
            None => self.wait_folded(partition, offset, FOLDING),
        }
    }

    /// A partition that has not folded its log to the end. A halted one takes what it is told when it goes on.
    pub(super) fn behind(&self) -> Option<Partition> {
        let behind = |status: &PartitionStatus| match status.standing {
            Standing::Live | Standing::Halted { .. } => false,
            Standing::Standby => status.lag() > 0,
            Standing::Opening | Standing::Following | Standing::Claiming | Standing::Stopped => true,
        };
        self.partitions().into_iter().find(|handle| behind(&handle.status())).map(|handle| handle.number)
    }

    /// Every topic that the coordinator writes to must take the largest record.
    fn check_topics(&self, wanted: &Settings) -> Result<(), SetError> {
        let names = self.names();
        let mut topics =
            vec![names.inbox(), names.of_channel("events"), names.of_channel("parked"), names.definitions()];
        let catalogue = self.common.registry.catalogue();
        let participants = catalogue.contracts.values().map(|known| known.contract.participant.as_str());
        topics.extend(participants.map(|name| names.of_channel(&sagaline_partition::channel_of_commands(name))));
        for topic in topics {
            if let Some(info) = self.log().topic(&topic).map_err(NodeError::Log)? {
                check_size(&info, wanted).map_err(SetError::Unsafe)?;
            }
        }
        Ok(())
    }

    fn write(&self, plan: &Plan, by: &str) -> Result<Vec<(Partition, Offset)>, NodeError> {
        let (version, settings) = (plan.version, plan.settings.clone());
        let body = Body::Settings(SettingsChange { version, settings, by: by.to_owned() });
        plan.to.iter().map(|partition| Ok((*partition, self.append(*partition, &body)?))).collect()
    }

    /// What applying goes by: the longest delay of any partition, and topics that take the largest record of any.
    pub(super) fn as_settings_say(&self, options: &ApplyOptions) -> (Inbox, ApplyOptions) {
        let (mut inbox, mut options) = (self.common.inbox.clone(), options.clone());
        let known: Vec<Settings> = self.common.boards.iter().filter_map(|board| board.settings()).collect();
        let longest = known.iter().map(|settings| settings.activation_delay).max();
        let largest = known.iter().map(|settings| settings.max_record).max();
        inbox.settings.activation_delay = longest.unwrap_or(inbox.settings.activation_delay);
        options.topics.settings.max_record = largest.unwrap_or(inbox.settings.max_record);
        (inbox, options)
    }
}

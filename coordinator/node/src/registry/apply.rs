//! Applying definitions in two steps: first every inbox partition knows them, then new starts may name them. Stopped anywhere and repeated,
//! it goes on: each step is idempotent, and none is taken before all of the one before is acknowledged (protocol review M9) and the partitions have taken it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sagaline_definition::{Contract, Definition};
use sagaline_log::{Acknowledgement, Log, LogError, Producer, Record};
use sagaline_schemas::proof::Key;
use sagaline_schemas::record::{Body, ContractRecord, DefinitionRecord};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, Millis, Offset, Partition};

use super::{Catalogue, Entry, Seal};
use crate::topics::{self, Inbox, Wanted};
use crate::{Names, sealed};

/// What is to be applied.
#[derive(Clone, Debug, Default)]
pub struct ApplyOptions {
    /// The contracts that the definitions use, and others to be made known.
    pub contracts: Vec<Contract>,
    /// The definitions.
    pub definitions: Vec<Definition>,
    /// How new command topics are to be made.
    pub topics: Wanted,
    /// Who applies it, for people.
    pub by: String,
}

/// What was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Name and digest of each contract.
    pub contracts: Vec<(String, Digest)>,
    /// Name and digest of each definition, now active.
    pub definitions: Vec<(String, Digest)>,
}

/// Why nothing, or not all, was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// One name and version never has two digests.
    #[error("{kind} {name} {version} is applied already, and was another one: give this one a higher version")]
    OtherDigest {
        /// `definition` or `contract`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A definition needs a contract that is not there.
    #[error(
        "the definition {definition} uses {participant} with the contract {digest}, which is neither known nor given: apply it too"
    )]
    NoContract {
        /// The definition.
        definition: String,
        /// The participant.
        participant: String,
        /// The contract.
        digest: Digest,
    },
    /// An inbox partition did not take it.
    #[error(
        "inbox partition {partition} knows another {kind} {name} under this version, from an apply that ended half way or came at the same time: \
         nothing was activated. Give this one a higher version"
    )]
    OtherDigestAt {
        /// `definition` or `contract`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The first partition that refused it.
        partition: Partition,
    },
    /// It is not known yet whether an inbox partition takes it.
    #[error(
        "inbox partition {partition} has not folded offset {offset} in time, `sagaline watch` shows where it stands: nothing was activated. \
         Repeating `sagaline apply` goes on where it stopped"
    )]
    NotFolded {
        /// Inbox partition.
        partition: Partition,
        /// What was waited for.
        offset: Offset,
    },
    /// What a partition knows can't be read.
    #[error("{0}. Repeating `sagaline apply` goes on where it stopped")]
    Store(String),
    /// The log does not do what it should.
    #[error("{0}. Repeating `sagaline apply` goes on where it stopped")]
    Log(#[from] LogError),
}

/// Whether an inbox partition has taken what it was told up to an offset; false: it has not come there yet.
pub type Took<'a> = &'a mut dyn FnMut(Partition, Offset, &Applied) -> Result<bool, ApplyError>;

/// Applying, step by step: `turn` until it gives what was applied.
pub struct Apply {
    log: Arc<dyn Log>,
    names: Names,
    seal: Seal,
    producer: Box<dyn Producer>,
    applied: Applied,
    /// Entries of the registry that make the definitions known.
    known: Vec<Entry>,
    step: Step,
    delay: Millis,
    answers: Vec<Acknowledgement>,
    /// Where each inbox partition was told the last of it.
    told: BTreeMap<Partition, Offset>,
}

enum Step {
    /// Contracts and definitions are on their way to every inbox partition.
    Telling,
    /// They lie there: each partition is to take them.
    Taking,
    /// All partitions have them: the registry is told.
    Announcing,
    /// Nodes learn of them meanwhile.
    Waiting { until: Millis },
    /// New starts are told to name them.
    Activating,
}

impl Apply {
    /// Begins: command topics are made, the inbox is told.
    ///
    /// # Errors
    /// What speaks against it; then nothing has happened but that command topics are there.
    pub fn begin(
        log: Arc<dyn Log>,
        names: &Names,
        key: &Key,
        inbox: &Inbox,
        catalogue: &Catalogue,
        options: &ApplyOptions,
    ) -> Result<Self, ApplyError> {
        check(catalogue, options)?;
        let mut apply = Self {
            producer: log.producer()?,
            log,
            names: names.clone(),
            seal: Seal { key: key.clone(), log_id: inbox.log_id },
            applied: Applied::default(),
            known: Vec::new(),
            step: Step::Telling,
            delay: inbox.settings.activation_delay,
            answers: Vec::new(),
            told: BTreeMap::new(),
        };
        let mut bodies = Vec::new();
        for contract in &options.contracts {
            bodies.push(apply.contract(contract, options)?);
        }
        for definition in &options.definitions {
            bodies.push(apply.definition(definition, options));
        }
        let topic = names.inbox();
        for partition in 0..inbox.partitions {
            for body in &bodies {
                let record = sealed::record(key, inbox.log_id, partition, body);
                apply.producer.append(&topic, partition, &record, u64::from(partition))?;
            }
        }
        Ok(apply)
    }

    fn contract(&mut self, contract: &Contract, options: &ApplyOptions) -> Result<Body, ApplyError> {
        let command_partitions =
            topics::create_commands(&*self.log, &self.names, &contract.participant, &options.topics)?;
        let (digest, normal_form) = (contract.digest(), Bytes(contract.normal_form()));
        self.applied.contracts.push((contract.participant.clone(), digest));
        self.known.push(Entry::Contract { digest, contract: contract.clone(), command_partitions });
        Ok(Body::Contract(ContractRecord { digest, normal_form, command_partitions, by: options.by.clone() }))
    }

    fn definition(&mut self, definition: &Definition, options: &ApplyOptions) -> Body {
        let (digest, normal_form) = (definition.digest(), Bytes(definition.normal_form()));
        self.applied.definitions.push((definition.saga.clone(), digest));
        self.known.push(Entry::Definition { digest, definition: Box::new(definition.clone()) });
        let contracts = definition.contracts.values().copied().collect();
        Body::Definition(DefinitionRecord { digest, normal_form, contracts, by: options.by.clone() })
    }

    /// Goes on. Waits at most `wait` for acknowledgements. None: it is not over.
    ///
    /// # Errors
    /// When an append failed, or a partition did not take what it was told: repeating the whole goes on.
    pub fn turn(&mut self, wait: Duration, took: Took<'_>) -> Result<Option<Applied>, ApplyError> {
        self.producer.poll(wait, &mut self.answers);
        for Acknowledgement { ticket, outcome } in self.answers.drain(..) {
            let offset = outcome?;
            if let (Step::Telling, Ok(partition)) = (&self.step, Partition::try_from(ticket)) {
                let told = self.told.entry(partition).or_insert(offset);
                *told = offset.max(*told);
            }
        }
        if self.producer.in_flight() > 0 {
            return Ok(None);
        }
        match self.step {
            Step::Telling => {
                self.step = Step::Taking;
                Ok(None)
            }
            Step::Taking => {
                for (partition, offset) in &self.told {
                    if !took(*partition, *offset, &self.applied)? {
                        return Ok(None);
                    }
                }
                let known = std::mem::take(&mut self.known);
                self.tell_registry(&known)?;
                self.step = Step::Announcing;
                Ok(None)
            }
            Step::Announcing => {
                self.step = Step::Waiting { until: self.log.wall_clock().saturating_add(self.delay) };
                Ok(None)
            }
            Step::Waiting { until } if self.log.wall_clock() < until => Ok(None),
            Step::Waiting { .. } => {
                let named = |(name, digest): &(String, Digest)| Entry::Active { name: name.clone(), digest: *digest };
                let active: Vec<Entry> = self.applied.definitions.iter().map(named).collect();
                self.tell_registry(&active)?;
                self.step = Step::Activating;
                Ok(None)
            }
            Step::Activating => Ok(Some(std::mem::take(&mut self.applied))),
        }
    }

    fn tell_registry(&mut self, entries: &[Entry]) -> Result<(), ApplyError> {
        let topic = self.names.definitions();
        let records: Vec<Record> = entries.iter().map(|entry| entry.record(&self.seal)).collect();
        records.iter().try_for_each(|record| Ok(self.producer.append(&topic, 0, record, 0)?))
    }
}

fn check(catalogue: &Catalogue, options: &ApplyOptions) -> Result<(), ApplyError> {
    for contract in &options.contracts {
        let mut known = catalogue.contracts.values().map(|known| &known.contract);
        if known.any(|known| {
            (&known.participant, &known.version) == (&contract.participant, &contract.version) && known != contract
        }) {
            let (name, version) = (contract.participant.clone(), contract.version.clone());
            return Err(ApplyError::OtherDigest { kind: "contract", name, version });
        }
    }
    for definition in &options.definitions {
        let mut known = catalogue.definitions.values().map(|known| &known.definition);
        if known.any(|known| {
            (&known.saga, &known.version) == (&definition.saga, &definition.version) && **known != *definition
        }) {
            let (name, version) = (definition.saga.clone(), definition.version.clone());
            return Err(ApplyError::OtherDigest { kind: "definition", name, version });
        }
        check_contracts(catalogue, options, definition)?;
    }
    Ok(())
}

fn check_contracts(catalogue: &Catalogue, options: &ApplyOptions, definition: &Definition) -> Result<(), ApplyError> {
    for (participant, digest) in &definition.contracts {
        let given = options.contracts.iter().any(|contract| contract.digest() == *digest);
        if !given && !catalogue.contracts.contains_key(digest) {
            let (definition, participant) = (definition.saga.clone(), participant.clone());
            return Err(ApplyError::NoContract { definition, participant, digest: *digest });
        }
    }
    Ok(())
}

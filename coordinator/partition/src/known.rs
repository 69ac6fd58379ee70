//! What this partition knows: contracts and definitions, each named by its digest for ever. Nothing switches by their order in the log.

use std::sync::Arc;

use sagaline_definition::{Contract, Definition};
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{ContractRecord, DefinitionRecord};
use sagaline_schemas::{Digest, hash};

use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::overlay::decode;
use crate::state::KnownContract;
use crate::store::{Family, StoreError};

impl Partition {
    /// A contract becomes known; repeating it changes nothing.
    pub(crate) fn contract(&mut self, record: LogRecord<'_>, contract: ContractRecord) -> Result<(), Halt> {
        let read = match check_contract(&contract) {
            Ok(read) => read,
            Err(detail) => return self.park(record.value, ParkedReason::Refused, detail),
        };
        if self.over.get(Family::Contracts, &contract.digest.0)?.is_some() {
            return Ok(());
        }
        if self.has_contract(&read.participant, &read.version)? {
            let detail =
                format!("{} {} is known with another digest: raise its version", read.participant, read.version);
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        let known =
            KnownContract { normal_form: contract.normal_form, command_partitions: contract.command_partitions };
        self.over.write(Family::Contracts, contract.digest.0.to_vec(), &known);
        Ok(())
    }

    /// A definition becomes known, its contracts before it; repeating it changes nothing.
    pub(crate) fn definition_record(&mut self, record: LogRecord<'_>, known: DefinitionRecord) -> Result<(), Halt> {
        let digest = hash::normal_form_digest("definition", &known.normal_form);
        if digest != known.digest {
            return self.park(
                record.value,
                ParkedReason::Refused,
                format!("its digest is {digest}, not {}", known.digest),
            );
        }
        let definition = match Definition::from_normal_form(&known.normal_form) {
            Ok(definition) => definition,
            Err(error) => return self.park(record.value, ParkedReason::Undecodable, error.to_string()),
        };
        if self.over.get(Family::Definitions, &digest.0)?.is_some() {
            return Ok(());
        }
        if self.has_definition(&definition.saga, &definition.version)? {
            let detail =
                format!("{} {} is known with another digest: raise its version", definition.saga, definition.version);
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        for contract in definition.contracts.values() {
            if self.over.get(Family::Contracts, &contract.0)?.is_none() {
                return self.park(
                    record.value,
                    ParkedReason::NotKnown,
                    format!("the contract {contract} is not known here"),
                );
            }
        }
        self.over.put(Family::Definitions, digest.0.to_vec(), known.normal_form.0);
        self.definitions.insert(digest, Arc::new(definition));
        Ok(())
    }

    /// Whose a participant is, by any of its contracts; nobody's where it has none. Asked when something is wrong with it.
    pub(crate) fn owner_of(&self, participant: &str) -> Result<String, StoreError> {
        for (_, known) in self.over.scan(Family::Contracts, &[], None, usize::MAX)? {
            let known: KnownContract = decode(Family::Contracts, &known)?;
            match Contract::from_normal_form(&known.normal_form) {
                Ok(contract) if contract.participant == participant => return Ok(contract.owner),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(String::new())
    }

    /// Whether a name and version has a contract. There are few, and new ones are rare.
    fn has_contract(&self, participant: &str, version: &str) -> Result<bool, StoreError> {
        for (_, known) in self.over.scan(Family::Contracts, &[], None, usize::MAX)? {
            let known: KnownContract = decode(Family::Contracts, &known)?;
            let contract = Contract::from_normal_form(&known.normal_form);
            if contract.is_ok_and(|contract| contract.participant == participant && contract.version == version) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_definition(&self, saga: &str, version: &str) -> Result<bool, StoreError> {
        let known = self.over.scan(Family::Definitions, &[], None, usize::MAX)?;
        let same = |known: Definition| known.saga == saga && known.version == version;
        Ok(known.iter().any(|(_, known)| Definition::from_normal_form(known).is_ok_and(same)))
    }

    /// The definition of that digest; none: it is not known here.
    pub(crate) fn definition(&mut self, digest: Digest) -> Result<Option<Arc<Definition>>, StoreError> {
        if let Some(definition) = self.definitions.get(&digest) {
            return Ok(Some(Arc::clone(definition)));
        }
        let Some(normal_form) = self.over.get(Family::Definitions, &digest.0)? else {
            return Ok(None);
        };
        let definition = Definition::from_normal_form(&normal_form).map_err(|error| StoreError::Corrupt {
            place: "family definitions".to_owned(),
            detail: error.to_string(),
        })?;
        let definition = Arc::new(definition);
        self.definitions.insert(digest, Arc::clone(&definition));
        Ok(Some(definition))
    }
}

fn check_contract(contract: &ContractRecord) -> Result<Contract, String> {
    let digest = hash::normal_form_digest("contract", &contract.normal_form);
    if digest != contract.digest {
        return Err(format!("its digest is {digest}, not {}", contract.digest));
    }
    if contract.command_partitions == 0 {
        return Err("a command topic has at least one partition".to_owned());
    }
    Contract::from_normal_form(&contract.normal_form).map_err(|error| error.to_string())
}

//! Line 11: a person has an input passed over that kills the fold. It is set aside, and the saga that it names waits for a person.

use sagaline_engine::Input;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::record::{Body, Fault};
use sagaline_schemas::request::RequestTarget;
use sagaline_schemas::{SagaId, proof, schema};

use crate::fold::{FaultNote, LogRecord, Partition};
use crate::halt::Halt;

impl Partition {
    /// An input is passed over. Only a proven one is believed about whom it concerns.
    pub(crate) fn pass_over(&mut self, record: LogRecord<'_>, note: &FaultNote) -> Result<(), Halt> {
        let detail = format!("passed over by {}: {}", note.by, note.reason);
        self.park(record.value, ParkedReason::Fault, detail)?;
        let Ok(opened) = proof::open(schema::INBOX.fingerprint, record.value) else {
            return Ok(());
        };
        if self.prove(record, &opened).is_err() {
            return Ok(());
        }
        if let Some(saga) = self.concerned(&opened.inbox.body)? {
            self.turn(saga, Input::Fault { offset: record.offset, reason: note.reason.clone() })?;
        }
        Ok(())
    }

    /// The saga that an input names. An event that is news counts in its channel's chain, or all that follow would be a hole.
    fn concerned(&mut self, body: &Body) -> Result<Option<SagaId>, Halt> {
        Ok(match body {
            Body::Reply(reply) => self.find_effect(reply)?.is_ok().then_some(reply.address.saga),
            Body::Request(request) => match &request.target {
                RequestTarget::Saga(target) => Some(target.saga),
                RequestTarget::Key(target) => self.saga_of_key(&target.definition, &target.key)?,
                RequestTarget::Scope(_) => None,
            },
            Body::Event(event) => {
                self.is_news(event)?;
                None
            }
            Body::Genesis(_)
            | Body::Settings(_)
            | Body::EngineVersion(_)
            | Body::Contract(_)
            | Body::Definition(_)
            | Body::Message(_)
            | Body::Progress(_)
            | Body::Fault(_) => None,
        })
    }

    /// The record that says so, unless this store has folded the input.
    pub(crate) fn fault(&mut self, record: LogRecord<'_>, fault: Fault) -> Result<(), Halt> {
        let seen = self.begun().newest_progress;
        if fault.offset >= record.offset || seen.is_some_and(|seen| seen > fault.offset) {
            let detail = format!("a Progress lies behind offset {}: another node has folded it", fault.offset);
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        if self.faults.contains_key(&(fault.offset, fault.timer)) {
            return Ok(());
        }
        Err(Halt::PassedOver { offset: fault.offset, timer: fault.timer, fault: record.offset })
    }
}

//! Line 11: a person has an input passed over that kills the fold. It is set aside, and the saga that it names waits for a person.
//! Which Faults count is decided here alone: who panics and looks ahead must find the same as who folds up to the Fault.

use sagaline_engine::Input;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::proof::{self, Key};
use sagaline_schemas::record::{Body, Fault, Progress};
use sagaline_schemas::request::RequestTarget;
use sagaline_schemas::{LogId, Offset, Position, SagaId, schema};

use crate::fold::{FaultNote, LogRecord, Partition};
use crate::halt::Halt;
use crate::message::{Arrived, addressee};

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

    /// The saga that an input names. What is news counts in its channel's chain, or all that follow would be a hole.
    fn concerned(&mut self, body: &Body) -> Result<Option<SagaId>, Halt> {
        Ok(match body {
            Body::Reply(reply) => self.find_command(reply)?.is_ok().then_some(reply.address.saga),
            Body::Request(request) => match &request.target {
                RequestTarget::Saga(target) => Some(target.saga),
                RequestTarget::Key(target) => self.saga_of_key(&target.definition, &target.key)?,
                RequestTarget::Scope(_) => None,
            },
            Body::Event(event) => {
                self.is_news(event)?;
                None
            }
            Body::Progress(progress) => {
                self.vouch(self.at.offset, progress);
                None
            }
            Body::Message(message) => match self.is_new_message(message)? {
                Arrived::News => addressee(&message.body),
                Arrived::Repeat | Arrived::Gap { .. } => None,
            },
            Body::Genesis(_)
            | Body::Settings(_)
            | Body::EngineVersion(_)
            | Body::Contract(_)
            | Body::Definition(_)
            | Body::Fault(_) => None,
        })
    }

    /// The record that says so, unless this store has folded the input.
    pub(crate) fn fault(&mut self, record: LogRecord<'_>, fault: Fault) -> Result<(), Halt> {
        if let Some(detail) = why_not(record.offset, &fault, self.begun().vouched) {
            return self.park(record.value, ParkedReason::Refused, detail);
        }
        if self.faults.contains_key(&(fault.offset, fault.timer)) {
            return Ok(());
        }
        Err(Halt::PassedOver { offset: fault.offset, timer: fault.timer, fault: record.offset })
    }

    /// Remembers how far the writer of a proven Progress has folded, whatever else becomes of that record.
    pub(crate) fn vouch(&mut self, at: Offset, progress: &Progress) {
        let meta = self.meta_mut();
        meta.vouched = meta.vouched.max(vouched(at, progress));
    }

    /// For who panics at an input; none: this partition does not know its log yet.
    pub fn look_ahead(&self, offset: Offset, timer: u32) -> Option<LookAhead> {
        let (key, log_id) = (self.key.clone(), self.meta.as_ref()?.log_id);
        Some(LookAhead::new(key, log_id, self.number, (offset, timer)))
    }
}

/// The one rule of which Faults count, for who folds and for who looks ahead: none does whose input a Progress before it shows to be
/// folded by somebody who published. A claim shows nothing, nor does a Progress that was under way when the input came.
fn why_not(at: Offset, fault: &Fault, vouched: Option<Position>) -> Option<String> {
    let input = Position { offset: fault.offset, timer: fault.timer, index: 0 };
    if fault.offset >= at {
        return Some(format!("the input {}.{} does not lie before it", fault.offset, fault.timer));
    }
    let past = vouched.filter(|place| *place >= input)?;
    let (offset, timer) = (fault.offset, fault.timer);
    Some(format!("a Progress shows that a node has folded {offset}.{timer} and published up to {}", past.offset))
}

/// How far a Progress shows its writer to have folded: its claim, and every output that it confirms.
fn vouched(at: Offset, progress: &Progress) -> Option<Position> {
    let claim = progress.since.map(|offset| Position { offset, timer: u32::MAX, index: u32::MAX });
    let confirmed = progress.acked.iter().map(|acked| acked.through);
    claim.into_iter().chain(confirmed).filter(|place| place.offset < at).max()
}

/// Looks for a person's word about an input, in the records behind it.
#[derive(Debug)]
pub struct LookAhead {
    key: Key,
    log_id: LogId,
    partition: u32,
    input: (Offset, u32),
    vouched: Option<Position>,
    claimed: Option<Offset>,
}

/// What a record says about the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Nothing.
    Nothing,
    /// It is to be passed over.
    Fault(FaultNote),
    /// Somebody has folded it and published behind it: no Fault counts from here on.
    Vouched,
}

impl LookAhead {
    /// For an input of this partition: its offset, and the timer within it.
    pub fn new(key: Key, log_id: LogId, partition: u32, input: (Offset, u32)) -> Self {
        Self { key, log_id, partition, input, vouched: None, claimed: None }
    }

    /// The newest claim behind the input, of those that were looked at.
    pub fn claimed(&self) -> Option<Offset> {
        self.claimed
    }

    /// The next record behind the input.
    pub fn take(&mut self, record: LogRecord<'_>) -> Ahead {
        let Some(body) = self.proven(record) else { return Ahead::Nothing };
        let (offset, timer) = self.input;
        match body {
            Body::Progress(progress) => {
                if progress.since.is_none() {
                    self.claimed = Some(record.offset);
                }
                self.vouched = self.vouched.max(vouched(record.offset, &progress));
                let past = self.vouched >= Some(Position { offset, timer, index: 0 });
                if past { Ahead::Vouched } else { Ahead::Nothing }
            }
            Body::Fault(fault)
                if (fault.offset, fault.timer) == self.input
                    && why_not(record.offset, &fault, self.vouched).is_none() =>
            {
                Ahead::Fault(FaultNote { by: fault.by, reason: fault.reason })
            }
            Body::Fault(_)
            | Body::Genesis(_)
            | Body::Settings(_)
            | Body::EngineVersion(_)
            | Body::Contract(_)
            | Body::Definition(_)
            | Body::Event(_)
            | Body::Message(_)
            | Body::Request(_)
            | Body::Reply(_) => Ahead::Nothing,
        }
    }

    fn proven(&self, record: LogRecord<'_>) -> Option<Body> {
        let opened = proof::open(schema::INBOX.fingerprint, record.value).ok()?;
        let own = self.key.mac(self.log_id, self.partition, &record.value[..opened.covered]);
        (opened.inbox.mac == Some(own)).then_some(opened.inbox.body)
    }
}

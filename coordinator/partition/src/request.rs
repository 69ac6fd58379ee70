//! What people ask: taken once by its id, whatever becomes of it is remembered for who asks again.

use sagaline_engine::{Asked, Input, PlaceName, shortened};
use sagaline_schemas::SagaId;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::request::{
    AssignRequest, ConfirmRequest, DecideRequest, HoldRequest, KeyTarget, PauseRequest, ReleaseRequest, Request,
    RequestBody, RequestTarget, ResumeRequest, RetryRequest, SetFactRequest, StartRequest, StepTarget,
};

use crate::door::{Knock, Opened};
use crate::fold::{LogRecord, Partition};
use crate::gate::Word;
use crate::halt::Halt;
use crate::keys::{TimerKey, TimerOf};
use crate::sagas::Turned;
use crate::state::{Answered, RequestOutcome};
use crate::store::Family;

impl Partition {
    pub(crate) fn request(&mut self, record: LogRecord<'_>, request: Request) -> Result<(), Halt> {
        let id = request.id;
        if self.over.get(Family::Requests, id.as_bytes())?.is_some() {
            self.meta_mut().counters.repeated_requests += 1;
            return Ok(());
        }
        let keep = self.begun().settings.keep_requests;
        if request.issued < self.now().saturating_sub(keep) {
            let detail = "it was asked longer ago than requests are remembered: ask again with a new id".to_owned();
            return self.park(record.value, ParkedReason::Expired, detail);
        }
        let outcome = self.ask(request)?;
        let answered = Answered { offset: record.offset, outcome };
        self.over.write(Family::Requests, id.as_bytes().to_vec(), &answered);
        // Log time may stand far back: a request must not be forgotten before anyone could ask for its answer.
        let due = self.now().max(record.timestamp).saturating_add(keep.max(1));
        self.arm(TimerKey { due, of: TimerOf::Request { id } }.to_key());
        Ok(())
    }

    fn ask(&mut self, request: Request) -> Result<RequestOutcome, Halt> {
        let Request { id, by, roles, target, body, .. } = request;
        let by = shortened(by);
        let asked = match body {
            RequestBody::Start(start) => return self.start_request(target, start),
            RequestBody::Pause(PauseRequest { version, reason }) => {
                return self.scope(&target, Word { version, pause: true, by, reason: shortened(reason) });
            }
            RequestBody::Resume(ResumeRequest { version, reason }) => {
                return self.scope(&target, Word { version, pause: false, by, reason: shortened(reason) });
            }
            body => match asked(body) {
                Ok(asked) => asked,
                Err(why) => return Ok(refused(why)),
            },
        };
        let Some(saga) = self.target_saga(&target)? else {
            return Ok(refused("no such saga is remembered in this partition"));
        };
        let asked = self.held_against_contracts(saga, asked)?;
        Ok(match self.turn(saga, Input::Request { id, by, roles, asked })? {
            Turned::Unknown => refused("no such saga is remembered in this partition"),
            Turned::Taken => RequestOutcome::Taken { saga },
            Turned::Rejected(reason) => RequestOutcome::Refused { reason },
        })
    }

    fn target_saga(&self, target: &RequestTarget) -> Result<Option<SagaId>, Halt> {
        Ok(match target {
            RequestTarget::Saga(target) => Some(target.saga),
            RequestTarget::Key(target) => self.saga_of_key(&target.definition, &target.key)?,
            RequestTarget::Scope(_) => None,
        })
    }

    fn scope(&mut self, target: &RequestTarget, word: Word) -> Result<RequestOutcome, Halt> {
        let RequestTarget::Scope(scope) = target else {
            return Ok(refused("pause and resume name a scope; a saga is held and released"));
        };
        Ok(match self.pause_or_resume(&scope.subject, word)? {
            Ok(()) => RequestOutcome::Done,
            Err(reason) => RequestOutcome::Refused { reason },
        })
    }

    fn start_request(&mut self, target: RequestTarget, start: StartRequest) -> Result<RequestOutcome, Halt> {
        let RequestTarget::Key(KeyTarget { definition: name, key }) = target else {
            return Ok(refused("a start names a definition and a key"));
        };
        let Some(definition) = self.definition(start.definition)? else {
            return Ok(refused("the definition is not known in this partition: apply it first"));
        };
        if definition.saga != name {
            return Ok(refused("the digest belongs to another definition than the name"));
        }
        let StartRequest { definition: digest, input, traceparent } = start;
        let knock = Knock { definition: digest, key, traceparent, parent: None, index: 0 };
        Ok(match self.knock(&definition, knock, || Ok(input.into()))? {
            Opened::Begun(saga) => RequestOutcome::Taken { saga },
            Opened::Exists(saga) => RequestOutcome::Exists { saga },
            Opened::Refused((_, reason)) => RequestOutcome::Refused { reason },
        })
    }
}

/// What the engine is to hear.
///
/// # Errors
/// When it can't be asked of a saga in this version.
fn asked(body: RequestBody) -> Result<Asked, &'static str> {
    Ok(match body {
        RequestBody::Cancel(cancel) => Asked::Cancel { reason: shortened(cancel.reason) },
        RequestBody::Close(close) => Asked::Close { reason: with_evidence(close.reason, &close.evidence) },
        RequestBody::Retry(RetryRequest { step, input, reason }) => {
            Asked::Retry { place: step.map(place), input, reason: shortened(reason) }
        }
        RequestBody::Signal(signal) => Asked::Signal { step: signal.name, event: signal.data },
        RequestBody::Decide(DecideRequest { step, version, choice, comment, on_behalf_of }) => {
            let reason = match on_behalf_of {
                Some(whose) => format!("on behalf of {whose}: {comment}"),
                None => comment,
            };
            Asked::Decide { place: place(step), version, choice, reason: shortened(reason) }
        }
        RequestBody::Confirm(ConfirmRequest { step, finding, result, reason, evidence }) => {
            let (place, reason, evidence) = (place(step), shortened(reason), shortened(evidence));
            Asked::Confirm { place, finding, result, reason, evidence }
        }
        RequestBody::Skip(skip) => Asked::Skip { place: place(skip.step), reason: shortened(skip.reason) },
        RequestBody::SetFact(SetFactRequest { fact, value, seq, reason }) => {
            Asked::SetFact { fact, value, seq, reason: shortened(reason) }
        }
        RequestBody::Hold(HoldRequest { step: None, reason }) => Asked::Hold { reason: shortened(reason) },
        RequestBody::Hold(_) => return Err("a step is held by its definition only: hold the saga"),
        RequestBody::Release(ReleaseRequest { step, reason }) => {
            Asked::Release { place: step.map(place), reason: shortened(reason) }
        }
        RequestBody::Assign(AssignRequest { owner, reason }) => {
            Asked::Assign { owner: shortened(owner), reason: shortened(reason) }
        }
        RequestBody::Note(note) => Asked::Note { text: shortened(note.text) },
        RequestBody::Migrate(_) => return Err("migrate is not yet part of this version"),
        RequestBody::Retire(_) => return Err("retire is not yet part of this version"),
        RequestBody::Start(_) | RequestBody::Pause(_) | RequestBody::Resume(_) => {
            return Err("this is not asked of a saga");
        }
    })
}

fn place(target: StepTarget) -> PlaceName {
    PlaceName { step: target.step, items: target.items, round: target.round }
}

fn with_evidence(reason: String, evidence: &str) -> String {
    shortened(if evidence.is_empty() { reason } else { format!("{reason} (evidence: {evidence})") })
}

fn refused(reason: &str) -> RequestOutcome {
    RequestOutcome::Refused { reason: reason.to_owned() }
}

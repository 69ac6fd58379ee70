//! What people ask: taken once by its id, whatever becomes of it is remembered for who asks again.

use sagaline_engine::{Asked, Input, Rejected, shortened};
use sagaline_schemas::hash::partition_of;
use sagaline_schemas::output::ParkedReason;
use sagaline_schemas::request::{KeyTarget, Request, RequestBody, RequestTarget, StartRequest};
use sagaline_schemas::{SagaId, Value};

use crate::fold::{LogRecord, Partition};
use crate::halt::Halt;
use crate::keys::{TimerKey, TimerOf};
use crate::sagas::{Begin, MAX_KEY};
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
        self.over.put(Family::Timers, TimerKey { due, of: TimerOf::Request { id } }.to_key(), Vec::new());
        self.next_due = None;
        Ok(())
    }

    fn ask(&mut self, request: Request) -> Result<RequestOutcome, Halt> {
        let Request { id, by, target, body, .. } = request;
        let by = shortened(by);
        let asked = match body {
            RequestBody::Start(start) => return self.start_request(target, start),
            RequestBody::Cancel(cancel) => Asked::Cancel { reason: shortened(cancel.reason) },
            RequestBody::Retry(retry) if retry.input.is_none() => Asked::Retry { reason: shortened(retry.reason) },
            RequestBody::Close(close) => Asked::Close { reason: shortened(close.reason) },
            RequestBody::Retry(_) => return Ok(not_yet("retry with other input")),
            RequestBody::Signal(_) => return Ok(not_yet("signal")),
            RequestBody::Decide(_) => return Ok(not_yet("decide")),
            RequestBody::Confirm(_) => return Ok(not_yet("confirm")),
            RequestBody::Skip(_) => return Ok(not_yet("skip")),
            RequestBody::SetFact(_) => return Ok(not_yet("set fact")),
            RequestBody::Hold(_) => return Ok(not_yet("hold")),
            RequestBody::Release(_) => return Ok(not_yet("release")),
            RequestBody::Pause(_) => return Ok(not_yet("pause")),
            RequestBody::Resume(_) => return Ok(not_yet("resume")),
            RequestBody::Assign(_) => return Ok(not_yet("assign")),
            RequestBody::Note(_) => return Ok(not_yet("note")),
            RequestBody::Migrate(_) => return Ok(not_yet("migrate")),
            RequestBody::Retire(_) => return Ok(not_yet("retire")),
        };
        let Some(saga) = self.target_saga(&target)? else {
            return Ok(refused("no such saga is remembered in this partition"));
        };
        Ok(match self.turn(saga, Input::Request { id, by, asked })? {
            None => refused("no such saga is remembered in this partition"),
            Some(None) => RequestOutcome::Taken { saga },
            Some(Some(Rejected::Request(reason) | Rejected::Answer(reason))) => RequestOutcome::Refused { reason },
        })
    }

    fn target_saga(&self, target: &RequestTarget) -> Result<Option<SagaId>, Halt> {
        Ok(match target {
            RequestTarget::Saga(target) => Some(target.saga),
            RequestTarget::Key(target) => self.saga_of_key(&target.definition, &target.key)?,
            RequestTarget::Scope(_) => None,
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
        if key.is_empty() || key.len() > MAX_KEY {
            let reason = format!("a key has between 1 and {MAX_KEY} bytes, this has {}", key.len());
            return Ok(RequestOutcome::Refused { reason });
        }
        if partition_of(&key, self.begun().partitions) != self.number {
            return Ok(refused("the key belongs to another partition"));
        }
        if let Some(saga) = self.saga_of_key(&definition.saga, &key)? {
            self.meta_mut().counters.repeated_starts += 1;
            return Ok(RequestOutcome::Exists { saga });
        }
        let (size, limit) = (start.input.len(), self.begun().settings.max_payload);
        if size > limit as usize {
            return Ok(RequestOutcome::Refused {
                reason: format!("the input has {size} bytes, the settings allow {limit}"),
            });
        }
        if let Err(error) = Value::parse(&start.input) {
            return Ok(RequestOutcome::Refused { reason: format!("the input is no JSON: {error}") });
        }
        let begin =
            Begin { definition: start.definition, key, input: start.input, traceparent: start.traceparent, index: 0 };
        let saga = self.begin_saga(&definition, begin)?;
        Ok(RequestOutcome::Taken { saga })
    }
}

fn refused(reason: &str) -> RequestOutcome {
    RequestOutcome::Refused { reason: reason.to_owned() }
}

fn not_yet(what: &str) -> RequestOutcome {
    RequestOutcome::Refused { reason: format!("{what} is not yet part of this version") }
}

//! What people ask of sagas. A request's id is the client's (`Idempotency-Key`): asked again with it, the first answer is given again. What
//! is asked becomes a record of the inbox; what became of it is read from the store once that record is folded.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sagaline_definition::Definition;
use sagaline_partition::state::RequestOutcome;
use sagaline_partition::view;
use sagaline_schemas::record::Body as InboxBody;
use sagaline_schemas::request::{
    KeyTarget, PauseRequest, Request, RequestBody, RequestTarget, ResumeRequest, SagaTarget, ScopeTarget, StartRequest,
};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Digest, RequestId, Value};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::{Body, Params, blocking};
use super::model::{Ask, Asked, ErrorCode, Outcome, Wish};
use super::{Api, reader, refuse_if_halted, sagas};
use crate::{PartitionHandle, crowd};

/// How long an answer is awaited unless said, and at most; milliseconds.
const WAIT: (u64, u64) = (5_000, 60_000);
/// Longest texts that a person may send with a request.
const MAX_TEXT: usize = 4096;
/// Namespace of ids made from a client's own words.
const WORDS: uuid::Uuid = uuid::Uuid::from_bytes(*b"sagaline-request");

/// How a request is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct How {
    wait: Option<u64>,
}

pub(super) async fn ask(
    State(api): State<Api>,
    Params(how): Params<How>,
    headers: HeaderMap,
    Body(ask): Body<Ask>,
) -> Result<Response, ApiError> {
    let id = request_id(&headers)?;
    let wait = Duration::from_millis(how.wait.unwrap_or(WAIT.0).min(WAIT.1));
    blocking(move || asked(&api, id, ask, wait)).await.map(answer)
}

/// 200 once it is known what became of it, 202 before, 409 where it was refused.
fn answer(asked: Asked) -> Response {
    let status = match &asked.outcome {
        None => StatusCode::ACCEPTED,
        Some(Outcome::Taken { .. } | Outcome::Exists { .. } | Outcome::Done) => StatusCode::OK,
        Some(Outcome::Refused { .. }) => StatusCode::CONFLICT,
    };
    (status, Json(asked)).into_response()
}

fn request_id(headers: &HeaderMap) -> Result<RequestId, ApiError> {
    let Some(given) = headers.get("idempotency-key") else {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            ApiError::new(ErrorCode::Broken, error.to_string(), "send an Idempotency-Key of your own")
        })?;
        return Ok(RequestId(uuid::Builder::from_random_bytes(random).into_uuid()));
    };
    let words = given.to_str().ok().filter(|words| !words.is_empty() && words.len() <= 256);
    let words = words.ok_or_else(|| {
        ApiError::bad("the Idempotency-Key is no plain text", "send a UUID, or up to 256 plain characters")
    })?;
    Ok(words.parse().unwrap_or_else(|_| RequestId(uuid::Uuid::new_v5(&WORDS, words.as_bytes()))))
}

fn asked(api: &Api, id: RequestId, ask: Ask, wait: Duration) -> Result<Asked, ApiError> {
    check_texts(&ask)?;
    let (handle, target, body) = match ask.kind {
        Wish::Start => start(api, &ask)?,
        Wish::Pause | Wish::Resume => return scope(api, id, &ask, wait),
        _ => about(api, &ask, super::wishes::body(&ask)?)?,
    };
    put(api, &handle, Question { id, by: ask.by, roles: ask.roles, target, body }, wait)
}

struct Question {
    id: RequestId,
    by: String,
    roles: Vec<String>,
    target: RequestTarget,
    body: RequestBody,
}

/// Into the log of one partition, if it is not remembered there already.
fn put(api: &Api, handle: &PartitionHandle, question: Question, wait: Duration) -> Result<Asked, ApiError> {
    let Question { id, by, roles, target, body } = question;
    if let Some(asked) = remembered(handle, id)? {
        return Ok(asked);
    }
    refuse_if_halted(handle)?;
    let issued = api.node.log().wall_clock();
    let request = Request { id, by, roles, issued, target, body };
    let offset = api.append(handle.number, &InboxBody::Request(request))?;
    if handle.wait_folded(offset, wait)
        && let Some(asked) = remembered(handle, id)?
    {
        return Ok(asked);
    }
    Ok(Asked { id, partition: handle.number, offset, outcome: None })
}

/// A scope's word goes to every partition, which tells it to all others: one that has halted hears of it later, and keeps nobody else from it. The answer
/// is that of the last that took it, or the first that does not. A word that is remembered anywhere was told already: said once more under a newer
/// version, it would undo what came between.
fn scope(api: &Api, id: RequestId, ask: &Ask, wait: Duration) -> Result<Asked, ApiError> {
    let subject = ask.subject.clone().unwrap_or_default();
    let known = subject == "all" || ["participant/", "definition/"].iter().any(|kind| subject.starts_with(kind));
    if !known {
        let message = format!("{subject:?} is nothing that can be paused");
        return Err(ApiError::bad(message, "name participant/NAME, definition/NAME, or all"));
    }
    if let Some(asked) = remembered_anywhere(api, id)? {
        return Ok(asked);
    }
    let reason = ask.reason.clone().unwrap_or_default();
    // The newest word wins in every partition: time counts them.
    let version = api.node.log().wall_clock();
    let body = match ask.kind {
        Wish::Pause => RequestBody::Pause(PauseRequest { version, reason }),
        _ => RequestBody::Resume(ResumeRequest { version, reason }),
    };
    let (mut last, mut failed) = (None, None);
    for handle in api.node.partitions() {
        let target = RequestTarget::Scope(ScopeTarget { subject: subject.clone() });
        let question = Question { id, by: ask.by.clone(), roles: ask.roles.clone(), target, body: body.clone() };
        match put(api, &handle, question, wait) {
            Ok(asked) if matches!(asked.outcome, Some(Outcome::Done)) => last = Some(asked),
            Ok(asked) => return Ok(asked),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let none = || ApiError::new(ErrorCode::Busy, "this node holds no partition yet", "ask again in a moment");
    last.ok_or_else(|| failed.unwrap_or_else(none))
}

/// What is remembered of a request by any partition that can be read.
fn remembered_anywhere(api: &Api, id: RequestId) -> Result<Option<Asked>, ApiError> {
    for handle in api.node.partitions().iter().filter(|handle| reader(handle).is_ok()) {
        if let Some(asked) = remembered(handle, id)? {
            return Ok(Some(asked));
        }
    }
    Ok(None)
}

fn check_texts(ask: &Ask) -> Result<(), ApiError> {
    let texts = [
        ("by", Some(&ask.by)),
        ("definition", ask.definition.as_ref()),
        ("key", ask.key.as_ref()),
        ("reason", ask.reason.as_ref()),
        ("evidence", ask.evidence.as_ref()),
    ];
    texts.into_iter().try_for_each(|(name, text)| check_text(name, text.map_or("", String::as_str)))?;
    if ask.by.is_empty() {
        return Err(ApiError::bad("nobody asks: `by` is empty", "say who asks"));
    }
    Ok(())
}

/// A text that a person sends is short.
pub(super) fn check_text(name: &str, text: &str) -> Result<(), ApiError> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    let message = format!("`{name}` has {} bytes, at most {MAX_TEXT} are taken", text.len());
    Err(ApiError::bad(message, "shorten it: name a place where the long one lies"))
}

fn remembered(handle: &PartitionHandle, id: RequestId) -> Result<Option<Asked>, ApiError> {
    let answered = view::request(&*reader(handle)?, id)?;
    Ok(answered.map(|answered| {
        let outcome = match answered.outcome {
            RequestOutcome::Taken { saga } => Outcome::Taken { saga },
            RequestOutcome::Exists { saga } => Outcome::Exists { saga },
            RequestOutcome::Done => Outcome::Done,
            RequestOutcome::Refused { reason } => Outcome::Refused { reason },
        };
        Asked { id, partition: handle.number, offset: answered.offset, outcome: Some(outcome) }
    }))
}

type Inquiry = (PartitionHandle, RequestTarget, RequestBody);

fn start(api: &Api, ask: &Ask) -> Result<Inquiry, ApiError> {
    let (Some(name), Some(key)) = (&ask.definition, &ask.key) else {
        return Err(ApiError::bad("a start needs `definition` and `key`", "sagaline start DEFINITION KEY [INPUT]"));
    };
    if key.is_empty() {
        return Err(ApiError::bad("the key is empty", "a saga's key is what its events name it by"));
    }
    let (digest, definition) = active(api, name)?;
    let handle = api.partition_of(key)?;
    refuse_if_crowded(api, &definition)?;
    let input = ask.input.clone().unwrap_or_else(|| Value::Map(Default::default()));
    let target = RequestTarget::Key(KeyTarget { definition: name.clone(), key: key.clone() });
    let start = StartRequest { definition: digest, input: Bytes(input.to_json()), traceparent: None };
    Ok((handle, target, RequestBody::Start(start)))
}

fn active(api: &Api, name: &str) -> Result<(Digest, std::sync::Arc<Definition>), ApiError> {
    let catalogue = api.node.registry().catalogue();
    let (digest, definition) = catalogue.active(name).ok_or_else(|| {
        let near = sagaline_definition::spelling::closest(name, catalogue.active.keys().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!(": did you mean {near:?}?"));
        ApiError::not_found(
            format!("there is no active definition {name:?}{near}"),
            "`sagaline definitions` lists them, `sagaline apply` adds one",
        )
    })?;
    Ok((digest, std::sync::Arc::clone(definition)))
}

/// A saga whose outputs can't be sent is not begun (design section 4).
fn refuse_if_crowded(api: &Api, definition: &Definition) -> Result<(), ApiError> {
    match crowd::hindrance(definition, &api.node.crowded()) {
        None => Ok(()),
        Some(channel) => {
            let message = format!("too many outputs wait on channel {channel}: nothing is started that needs it");
            Err(ApiError::new(
                ErrorCode::Busy,
                message,
                "`sagaline watch` shows whether its topic is down; ask again later",
            ))
        }
    }
}

fn about(api: &Api, ask: &Ask, body: RequestBody) -> Result<Inquiry, ApiError> {
    if ask.input.is_some() && ask.kind != Wish::Retry {
        return Err(ApiError::bad("only a start and a retry take an input", "leave `input` out"));
    }
    match (ask.saga, &ask.definition, &ask.key) {
        (Some(saga), None, None) => Ok((sagas::find(api, saga)?, RequestTarget::Saga(SagaTarget { saga }), body)),
        (None, Some(definition), Some(key)) => {
            let target = KeyTarget { definition: definition.clone(), key: key.clone() };
            Ok((api.partition_of(key)?, RequestTarget::Key(target), body))
        }
        _ => {
            let message = "name the saga: by `saga`, or by `definition` and `key`";
            Err(ApiError::bad(message, "the id is what `sagaline ps` shows"))
        }
    }
}

pub(super) async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id: RequestId = id.parse().map_err(|_| ApiError::bad(format!("{id:?} is no request's id"), "it is a UUID"))?;
    blocking(move || {
        if let Some(asked) = remembered_anywhere(&api, id)? {
            return Ok(asked);
        }
        // It may lie where nobody can read now.
        api.node.partitions().iter().try_for_each(|handle| reader(handle).map(drop))?;
        let help = "it is not folded yet, or it was asked longer ago than requests are remembered";
        Err(ApiError::not_found(format!("nothing is known of request {id}"), help))
    })
    .await
    .map(answer)
}

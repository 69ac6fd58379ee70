//! `POST /v1/callbacks/TOKEN`: whoever holds a callback token says what came of an effect (docs/adr/0004). It becomes a `Reply` of the inbox, and
//! the fold judges it as it judges every reply: here is only looked at whether it is well formed.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sagaline_schemas::callback::Callback;
use sagaline_schemas::record::{Answer, Compensated, Failed, Kind, Refused, Reply, Succeeded};
use sagaline_schemas::wire::Bytes;
use sagaline_schemas::{Offset, Partition, Value};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::extract::{Body, blocking};
use super::{Api, failed};

/// How a callback's replies name who answers, for people.
const INSTANCE: &str = "callback";

/// What came of an effect.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Said {
    /// It is done: the operation's result. Of a compensation: it is undone.
    Succeeded(Value),
    /// It is definitely not done, and never will be.
    Refused(Refusal),
    /// This attempt brought nothing, or nobody can tell.
    Failed(Failure),
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    /// One of the contract's `refuses`.
    code: String,
    /// For people.
    #[serde(default)]
    detail: String,
}

/// Why nothing is known to be done.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    /// For people.
    error: String,
}

/// Where the answer lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Noted {
    /// Inbox partition.
    partition: Partition,
    /// Offset of the reply.
    offset: Offset,
}

/// 202: it is in the log for good. Whether it counts is the fold's to say.
pub(super) async fn redeem(
    State(api): State<Api>,
    Path(token): Path<String>,
    Body(said): Body<Said>,
) -> Result<(StatusCode, Json<Noted>), ApiError> {
    let callback: Callback = token.parse().map_err(malformed)?;
    let noted = blocking(move || note(&api, callback, said)).await?;
    Ok((StatusCode::ACCEPTED, Json(noted)))
}

fn malformed(error: impl std::fmt::Display) -> ApiError {
    ApiError::bad(error.to_string(), "use the token whole, as the participant handed it out")
}

fn note(api: &Api, callback: Callback, said: Said) -> Result<Noted, ApiError> {
    let Callback { partition, address, token } = callback;
    let partitions = api.node.inbox().partitions;
    if partition >= partitions {
        return Err(malformed(format_args!("the callback token names partition {partition} of {partitions}")));
    }
    let answer = answer(address.kind, said)?;
    let time = api.node.log().wall_clock();
    let reply = Reply { address, token, answer, instance: INSTANCE.to_owned(), time };
    let offset = api.node.append_reply(partition, reply).map_err(|error| failed(&error))?;
    Ok(Noted { partition, offset })
}

fn answer(kind: Kind, said: Said) -> Result<Answer, ApiError> {
    let bytes = |result: Value| Bytes(result.to_json());
    match (kind, said) {
        (Kind::Do | Kind::Ask, Said::Succeeded(result)) => Ok(Answer::Succeeded(Succeeded { result: bytes(result) })),
        (Kind::Do | Kind::Ask, Said::Refused(Refusal { code, detail })) => {
            Ok(Answer::Refused(Refused { code, detail }))
        }
        (Kind::Compensate, Said::Succeeded(result)) => {
            Ok(Answer::Compensated(Compensated { result: Some(bytes(result)) }))
        }
        (Kind::Compensate, Said::Refused(_)) => {
            Err(ApiError::bad("a compensation can't be refused", "say `failed`, and why: it is tried again"))
        }
        (Kind::Do | Kind::Ask | Kind::Compensate, Said::Failed(Failure { error })) => {
            Ok(Answer::Failed(Failed { error, retry_after: None, outage: false }))
        }
        (Kind::Probe, _) => Err(malformed("a probe is answered by its participant alone")),
    }
}

//! What a person wishes of one saga, as the record says it. What is missing is said with what would be right.

use sagaline_schemas::Value;
use sagaline_schemas::request::{
    AssignRequest, CancelRequest, CloseRequest, ConfirmRequest, DecideRequest, HoldRequest, NoteRequest,
    ReleaseRequest, RequestBody, RetryRequest, SetFactRequest, SignalRequest, SkipRequest, StepTarget,
};
use sagaline_schemas::wire::Bytes;

use super::error::ApiError;
use super::model::{Ask, Wish};

/// The body of a request about one saga.
///
/// # Errors
/// When something that the wish needs is missing.
pub(super) fn body(ask: &Ask) -> Result<RequestBody, ApiError> {
    let reason = ask.reason.clone().unwrap_or_default();
    let evidence = ask.evidence.clone().unwrap_or_default();
    let json = |value: &Option<Value>| value.as_ref().map(|value| Bytes(value.to_json()));
    Ok(match ask.kind {
        Wish::Cancel => RequestBody::Cancel(CancelRequest { reason }),
        Wish::Retry => RequestBody::Retry(RetryRequest { step: step(ask), input: json(&ask.input), reason }),
        Wish::Close => RequestBody::Close(CloseRequest { reason, evidence }),
        Wish::Confirm => RequestBody::Confirm(ConfirmRequest {
            step: needed(step(ask), "confirm", "step")?,
            finding: needed(ask.finding, "confirm", "finding")?,
            result: json(&ask.result),
            reason,
            evidence,
        }),
        Wish::Skip => RequestBody::Skip(SkipRequest { step: needed(step(ask), "skip", "step")?, reason }),
        Wish::SetFact => RequestBody::SetFact(SetFactRequest {
            fact: needed(ask.fact.clone(), "set_fact", "fact")?,
            value: needed(json(&ask.value), "set_fact", "value")?,
            seq: ask.seq,
            reason,
        }),
        Wish::Decide => RequestBody::Decide(DecideRequest {
            step: needed(step(ask), "decide", "step")?,
            version: needed(ask.version, "decide", "version")?,
            choice: needed(ask.choice.clone(), "decide", "choice")?,
            comment: reason,
            on_behalf_of: ask.on_behalf_of.clone(),
        }),
        Wish::Signal => RequestBody::Signal(SignalRequest {
            name: needed(ask.step.clone(), "signal", "step")?,
            data: needed(json(&ask.value), "signal", "value")?,
        }),
        Wish::Hold => RequestBody::Hold(HoldRequest { step: None, reason }),
        Wish::Release => RequestBody::Release(ReleaseRequest { step: step(ask), reason }),
        Wish::Assign => {
            RequestBody::Assign(AssignRequest { owner: needed(ask.owner.clone(), "assign", "owner")?, reason })
        }
        Wish::Note => RequestBody::Note(NoteRequest { text: reason }),
        Wish::Start | Wish::Pause | Wish::Resume => {
            return Err(ApiError::bad("this is nothing that is asked of one saga", "see docs/operations.md"));
        }
    })
}

fn step(ask: &Ask) -> Option<StepTarget> {
    Some(StepTarget { step: ask.step.clone()?, items: ask.items.clone(), round: ask.round })
}

fn needed<T>(given: Option<T>, wish: &str, member: &str) -> Result<T, ApiError> {
    given.ok_or_else(|| ApiError::bad(format!("a {wish} needs `{member}`"), format!("say `{member}`")))
}

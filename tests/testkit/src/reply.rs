//! What a scenario says that a participant answers, as the answer that it gives.

use sagaline_language::scenario::Says;
use sagaline_schemas::Value;
use sagaline_schemas::record::{Answer, Compensated, Failed, Happened, Kind, NothingThere, Probed, Refused, Succeeded};
use sagaline_schemas::wire::Bytes;

/// None: nothing is ever said.
pub(crate) fn answer(kind: Kind, says: Says) -> Option<Answer> {
    let bytes = |value: &Value| Bytes(value.to_json());
    let failed =
        || Answer::Failed(Failed { error: "the scenario says so".to_owned(), retry_after: None, outage: false });
    let probed = |happened, result: Option<Bytes>| Answer::Probed(Probed { happened, found: result.clone(), result });
    Some(match (kind, says) {
        (_, Says::Silent) => return None,
        (_, Says::Failed) => failed(),
        (_, Says::Outage(error)) => Answer::Failed(Failed { error, retry_after: None, outage: true }),
        (Kind::Do | Kind::Ask, Says::Ok(result)) => Answer::Succeeded(Succeeded { result: bytes(&result) }),
        (Kind::Do | Kind::Ask, Says::Refused(code)) => Answer::Refused(Refused { code, detail: String::new() }),
        (Kind::Compensate, Says::Ok(result)) => Answer::Compensated(Compensated { result: Some(bytes(&result)) }),
        (Kind::Compensate, Says::NothingThere | Says::Never) => Answer::NothingThere(NothingThere {}),
        (Kind::Probe, Says::Ok(result)) => probed(Happened::Yes, Some(bytes(&result))),
        (Kind::Probe, Says::Never | Says::NothingThere) => probed(Happened::No, None),
        (Kind::Probe, Says::Unknown | Says::Refused(_)) => probed(Happened::Unknown, None),
        // What can't be said to such a command is no answer to it.
        (Kind::Do | Kind::Ask, Says::NothingThere | Says::Never | Says::Unknown) => failed(),
        (Kind::Compensate, Says::Refused(_) | Says::Unknown) => failed(),
    })
}

//! `POST /v1/reconcile`: what ended sagas' reports say is held against what their participants say today (docs/adr/0010). A page at a time: effects
//! are picked from the stores, asked after beside the fold, and compared. It only reads; what is done about a difference is a person's to ask.

mod ask;
mod pick;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use sagaline_definition::spelling;
use sagaline_schemas::command::FIRST_ATTEMPT_BESIDE;
use sagaline_schemas::record::Happened;

use self::ask::Said;
use self::pick::{Filter, Picked, Portion};
use super::error::ApiError;
use super::extract::{Body, blocking};
use super::model::{ErrorCode, Reconcile, ReconcilePage, Reconciled, Reported, Says, Tally, Verdict};
use super::{Api, reader, unreachable};
use crate::topics;

/// Most questions without an answer, at one node: those of a page.
const IN_FLIGHT: usize = 100;
/// How long an answer is awaited unless said, and at most; milliseconds.
const PATIENCE: (u64, u64) = (10_000, 60_000);

pub(super) async fn look(
    State(api): State<Api>,
    Body(wanted): Body<Reconcile>,
) -> Result<Json<ReconcilePage>, ApiError> {
    blocking(move || page(&api, &wanted)).await.map(Json)
}

fn page(api: &Api, wanted: &Reconcile) -> Result<ReconcilePage, ApiError> {
    check_participants(api, wanted)?;
    // One page at a time: what is in flight is bounded for the node, not for each who asks.
    let _alone = api.node.alone();
    let log = &**api.node.log();
    let topic = api.node.names().reconcile();
    topics::create_reconcile(log, api.node.names(), &api.topics).map_err(|error| unreachable(&error))?;
    let patience = Duration::from_millis(wanted.patience.unwrap_or(PATIENCE.0).clamp(1, PATIENCE.1));
    let now = log.wall_clock();
    let filter = Filter {
        participant: wanted.participant.as_deref(),
        ended_from: wanted.ended_within.map(|within| now.saturating_sub(within)),
        without: wanted.without.iter().map(String::as_str).collect(),
        key: api.node.key(),
        topic: &topic,
        attempt: attempt()?,
        now,
        deadline: now.saturating_add(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX)),
        most: IN_FLIGHT,
    };
    let portion = portion(api, &filter, wanted)?;
    let names = api.node.names();
    let stopping = || api.node.is_stopping();
    let (answers, ignored) =
        ask::ask(log, names, &topic, &portion.picked, patience, &stopping).map_err(|error| unreachable(&error))?;
    let mut page = ReconcilePage {
        participants: portion.left_out,
        sagas: portion.sagas,
        no_probe: portion.no_probe,
        ignored,
        next: portion.next.map(|cursor| cursor.to_string()),
        ..ReconcilePage::default()
    };
    for (picked, said) in portion.picked.into_iter().zip(answers) {
        let tally = page.participants.entry(picked.question.participant.clone()).or_default();
        let compared = compared(picked, said);
        count(tally, compared.verdict);
        page.told.extend(Some(compared).filter(|compared| compared.verdict != Verdict::Same));
    }
    Ok(page)
}

/// A name that nobody has would look as if all were well.
fn check_participants(api: &Api, wanted: &Reconcile) -> Result<(), ApiError> {
    let catalogue = api.node.registry().catalogue();
    let known: BTreeSet<&str> = catalogue.contracts.values().map(|known| known.contract.participant.as_str()).collect();
    let mut unknown = wanted.participant.iter().chain(&wanted.without).filter(|name| !known.contains(name.as_str()));
    match unknown.next() {
        None => Ok(()),
        Some(name) => {
            let near = spelling::closest(name, known.iter().copied());
            let near = near.map_or_else(String::new, |near| format!(": did you mean {near:?}?"));
            let message = format!("there is no contract of a participant {name:?}{near}");
            Err(ApiError::not_found(message, "`sagaline contracts` lists them"))
        }
    }
}

/// Each page asks under a number of its own: an answer to an earlier one tells what was, not what is.
fn attempt() -> Result<u32, ApiError> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| {
        ApiError::new(ErrorCode::Broken, error.to_string(), "the system gives no random numbers: ask again")
    })?;
    Ok(FIRST_ATTEMPT_BESIDE | u32::from_le_bytes(random))
}

fn portion(api: &Api, filter: &Filter<'_>, wanted: &Reconcile) -> Result<Portion, ApiError> {
    let cursor = wanted.cursor.as_deref().map(str::parse).transpose();
    let cursor = cursor.map_err(|()| {
        ApiError::bad("that is no cursor", "give `next` of the page before as it is, or none to begin anew")
    })?;
    let mut portion = Portion::begin(cursor.unwrap_or_default());
    for handle in api.node.partitions() {
        if portion.is_before(handle.number) {
            portion.add(handle.number, &*reader(&handle)?, filter)?;
        }
    }
    Ok(portion)
}

fn compared(picked: Picked, said: Said) -> Reconciled {
    let Picked { question, definition, key, report, since } = picked;
    let address = question.command.address;
    let (says, why, found) = match said {
        Said::Probed { happened, found } => (Some(says(happened)), None, found),
        Said::Nothing { why } => (None, why, None),
    };
    Reconciled {
        verdict: verdict(report, says),
        saga: address.saga,
        definition,
        key,
        step: address.step,
        items: address.items,
        round: address.round,
        effect: question.command.effect_id,
        participant: question.participant,
        report,
        says,
        since,
        why,
        found,
    }
}

fn says(happened: Happened) -> Says {
    match happened {
        Happened::Yes => Says::Yes,
        Happened::No => Says::No,
        Happened::Unknown => Says::Unknown,
    }
}

fn verdict(report: Reported, says: Option<Says>) -> Verdict {
    match (report, says) {
        (_, None) => Verdict::Silent,
        (Reported::Applied, Some(Says::Yes)) | (Reported::Void, Some(Says::No)) => Verdict::Same,
        (Reported::Applied, Some(Says::No)) | (Reported::Void, Some(Says::Yes)) => Verdict::Differs,
        (Reported::Unknown, Some(_)) | (_, Some(Says::Unknown)) => Verdict::Unknown,
    }
}

fn count(tally: &mut Tally, verdict: Verdict) {
    *match verdict {
        Verdict::Same => &mut tally.same,
        Verdict::Differs => &mut tally.differs,
        Verdict::Unknown => &mut tally.unknown,
        Verdict::Silent => &mut tally.silent,
    } += 1;
}

#[cfg(test)]
mod tests;

//! Steering sagas: work that waits for people, approvals, outcomes settled by hand, facts, holds and pauses; of one saga or of many.

use sagaline_node::api::model::{Ask, Wish, WorkItem, WorkPage};
use sagaline_schemas::request::Finding;

use super::ask::{Whom, ask_about, asked, input, nothing};
use crate::args::{About, Assign, Bulk, Common, Confirm, Decide, OfStep, Release, Retry, Scope, SetFact, Signal, Work};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print::{self, Table};

/// `sagaline work`
pub fn work(work: &Work, common: &Common, client: &Client) -> Result<(), Failure> {
    let given =
        [("kind", &work.kind), ("definition", &work.definition), ("owner", &work.owner), ("cursor", &work.cursor)];
    let query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))).collect();
    let page: WorkPage = client.get("/v1/work", &query)?;
    if common.json {
        return print::json(&page);
    }
    let mut table = Table::new(&["SAGA", "KIND", "STEP", "OWNER", "WHY", "WHAT CAN BE DONE"]);
    for item in &page.work {
        let name = format!("{}/{}", item.saga.definition, item.saga.key);
        let why = item.shown.as_ref().map_or_else(|| item.why.clone(), |shown| format!("{}: {shown}", item.why));
        table.row(vec![name, item.kind.clone(), step_of(item), item.owner.clone(), why, item.actions.join(", ")]);
    }
    print::text(&table.text())?;
    match page.next {
        Some(next) => print::line(print::dim(&format!("more: --cursor {next}"))),
        None => Ok(()),
    }
}

fn step_of(item: &WorkItem) -> String {
    let step = item.step.clone().unwrap_or_else(|| "-".to_owned());
    item.items.iter().fold(step, |step, item| format!("{step}[{item}]"))
}

/// `sagaline decide`. Whoever names no version decides about what is shown now, and is told what that is.
pub fn decide(decide: &Decide, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = at_step(Wish::Decide, Some(&decide.of.step), common)?;
    ask.roles.clone_from(&decide.role);
    ask.choice = Some(decide.choice.clone());
    ask.on_behalf_of.clone_from(&decide.on_behalf_of);
    ask.version = match decide.version {
        Some(version) => Some(version),
        None => Some(shown_now(&decide.of, &ask, common, client)?),
    };
    ask_about(&decide.of.about, ask, common, client)
}

fn shown_now(of: &OfStep, ask: &Ask, common: &Common, client: &Client) -> Result<i64, Failure> {
    let detail = Whom::parse(&of.about.saga)?.find(client)?;
    let asked =
        detail.work.iter().find(|item| item.version.is_some() && item.step == ask.step && item.items == ask.items);
    let Some((item, version)) = asked.and_then(|item| Some((item, item.version?))) else {
        return Err(Failure::new(Exit::Refused, format_args!("nobody is asked at step {:?} now", of.step)));
    };
    if let (Some(shown), false) = (&item.shown, common.json) {
        print::line(format_args!("shown: {shown}"))?;
    }
    Ok(version)
}

/// `sagaline confirm`
pub fn confirm(confirm: &Confirm, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = at_step(Wish::Confirm, Some(&confirm.of.step), common)?;
    ask.finding = Some(match confirm.finding.as_str() {
        "done" => Finding::Done,
        "not-done" => Finding::NotDone,
        _ => Finding::Undone,
    });
    ask.result = confirm.result.as_deref().map(input).transpose()?;
    ask.evidence = Some(confirm.evidence.clone());
    ask_about(&confirm.of.about, ask, common, client)
}

/// `sagaline skip-step`
pub fn skip_step(of: &OfStep, common: &Common, client: &Client) -> Result<(), Failure> {
    ask_about(&of.about, at_step(Wish::Skip, Some(&of.step), common)?, common, client)
}

/// `sagaline retry`
pub fn retry(retry: &Retry, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = at_step(Wish::Retry, retry.step.as_deref(), common)?;
    ask.input = retry.input.as_deref().map(input).transpose()?;
    ask_about(&retry.about, ask, common, client)
}

/// `sagaline set-fact`
pub fn set_fact(fact: &SetFact, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = nothing(Wish::SetFact, common);
    ask.fact = Some(fact.fact.clone());
    ask.value = Some(input(&fact.value)?);
    ask.seq = fact.seq;
    ask_about(&fact.about, ask, common, client)
}

/// `sagaline signal`
pub fn signal(signal: &Signal, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = at_step(Wish::Signal, Some(&signal.of.step), common)?;
    ask.value = Some(input(&signal.event)?);
    ask_about(&signal.of.about, ask, common, client)
}

/// `sagaline hold`
pub fn hold(about: &About, common: &Common, client: &Client) -> Result<(), Failure> {
    ask_about(about, nothing(Wish::Hold, common), common, client)
}

/// `sagaline release`
pub fn release(release: &Release, common: &Common, client: &Client) -> Result<(), Failure> {
    ask_about(&release.about, at_step(Wish::Release, release.step.as_deref(), common)?, common, client)
}

/// `sagaline assign`
pub fn assign(assign: &Assign, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = nothing(Wish::Assign, common);
    ask.owner = Some(assign.owner.clone());
    ask_about(&assign.about, ask, common, client)
}

/// `sagaline note`
pub fn note(about: &About, common: &Common, client: &Client) -> Result<(), Failure> {
    if about.reason.is_empty() {
        return Err(Failure::usage("a note says something: --reason TEXT"));
    }
    ask_about(about, nothing(Wish::Note, common), common, client)
}

/// `sagaline pause`
pub fn pause(scope: &Scope, common: &Common, client: &Client) -> Result<(), Failure> {
    of_scope(Wish::Pause, scope, common, client)
}

/// `sagaline resume`
pub fn resume(scope: &Scope, common: &Common, client: &Client) -> Result<(), Failure> {
    of_scope(Wish::Resume, scope, common, client)
}

fn of_scope(wish: Wish, scope: &Scope, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut ask = nothing(wish, common);
    ask.subject = Some(scope.subject.clone());
    ask.reason = Some(scope.reason.clone());
    asked(None, &ask, common, client, true).map(|_| ())
}

/// `sagaline bulk`: each saga is asked by itself, and tells by itself what became of it.
pub fn bulk(bulk: &Bulk, common: &Common, client: &Client) -> Result<(), Failure> {
    let page = super::ps::pages(&bulk.which, usize::MAX, client)?;
    if !bulk.yes {
        for line in &page.sagas {
            print::line(format_args!("{} {}/{} {}", line.id, line.definition, line.key, line.status.word()))?;
        }
        return print::line(format_args!("{} sagas; with --yes each is asked: {}", page.sagas.len(), bulk.what));
    }
    let wish = match bulk.what.as_str() {
        "retry" => Wish::Retry,
        "cancel" => Wish::Cancel,
        "close" => Wish::Close,
        "hold" => Wish::Hold,
        _ => Wish::Release,
    };
    let mut refused = 0;
    for line in &page.sagas {
        let mut ask = nothing(wish, common);
        ask.saga = Some(line.id);
        ask.reason = Some(bulk.reason.clone());
        ask.evidence = Some(bulk.evidence.clone()).filter(|_| wish == Wish::Close);
        if let Err(failure) = asked(None, &ask, common, client, true) {
            refused += 1;
            failure.tell();
        }
    }
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, format_args!("{refused} of {} sagas refused", page.sagas.len())))
}

/// `charge`, or `parcels[2]`.
fn at_step(wish: Wish, step: Option<&str>, common: &Common) -> Result<Ask, Failure> {
    let mut ask = nothing(wish, common);
    let Some(step) = step else { return Ok(ask) };
    let (name, item) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
        Some((name, item)) => (name, Some(item)),
        None => (step, None),
    };
    let wrong = |_| Failure::usage(format_args!("{step:?} names no step: STEP, or STEP[ITEM]"));
    ask.items = item.map(str::parse).transpose().map_err(wrong)?.into_iter().collect();
    ask.step = Some(name.to_owned());
    Ok(ask)
}

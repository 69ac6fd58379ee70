//! `show`: one saga with its steps, attempts, timeline and the state of the world, as it is or as it was.

use std::time::Duration;

use sagaline_node::api::model::{Happening, History, PastPage, SagaDetail};
use serde_json::{Value as Json, json};

use super::ask::Whom;
use crate::args::{Common, Moment, Show};
use crate::client::Client;
use crate::exit::Failure;
use crate::print::{self, Table};

/// How long the log may be folded for what was.
const PATIENCE: Duration = Duration::from_secs(150);

/// `sagaline show`
pub fn show(show: &Show, common: &Common, client: &Client) -> Result<(), Failure> {
    let whom = Whom::parse(&show.saga)?;
    if let Some(moment) = show.at {
        return show_past(&whom, moment, common, client);
    }
    let detail = whom.find(client)?;
    let history: History = client.get(&format!("/v1/sagas/{}/history", detail.line.id), &[])?;
    if common.json {
        return print::json(&json!({ "saga": detail, "history": history.history }));
    }
    print_saga(&detail)?;
    print_timeline(&history.history)
}

fn show_past(whom: &Whom, moment: Moment, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut query = match whom {
        Whom::Id(id) => vec![("saga", id.to_string())],
        Whom::Key { definition, key } => vec![("definition", definition.clone()), ("key", key.clone())],
    };
    query.push(match moment {
        Moment::Offset(offset) => ("offset", offset.to_string()),
        Moment::Time(time) => ("time", time.to_string()),
    });
    let page: PastPage = client.get_within("/v1/past", &query, PATIENCE)?;
    if common.json {
        return print::json(&page);
    }
    let (partition, next) = (page.saga.fresh.partition, page.saga.fresh.position);
    let from = match page.folded_from {
        0 => "the first record".to_owned(),
        position => format!("a checkpoint at offset {position}"),
    };
    print::line(format_args!(
        "{} as it was behind offset {} of inbox partition {partition}, {}: the log was folded from {from}",
        print::bold("THEN"),
        next - 1,
        print::time(page.time)
    ))?;
    print_with(&page.saga, "THE WORLD THEN")?;
    print_timeline(&page.history)
}

fn print_timeline(history: &[Happening]) -> Result<(), Failure> {
    print::line(format_args!("\n{}", print::bold("TIMELINE")))?;
    let mut table = Table::new(&["TIME", "OFFSET", "WHAT"]);
    for happening in history {
        let at = format!("{}.{}", happening.offset, happening.timer);
        table.row(vec![print::time(happening.time), at, happening.what.clone()]);
    }
    print::text(&table.text())
}

/// The saga, its steps and the world report.
///
/// # Errors
/// When it can't be written.
pub fn print_saga(detail: &SagaDetail) -> Result<(), Failure> {
    print_with(detail, "THE WORLD NOW")
}

fn print_with(detail: &SagaDetail, world_heading: &str) -> Result<(), Failure> {
    let line = &detail.line;
    print::line(format_args!("{} {} {}", print::bold("SAGA"), line.id, print::status(line.status)))?;
    print::line(format_args!(
        "{} {} / {}, owner {}, inbox partition {}",
        line.definition, line.version, line.key, line.owner, line.partition
    ))?;
    let end = line
        .ended_at
        .map_or_else(String::new, |at| format!(", ended {} ({})", print::time(at), print::span(at - line.started_at)));
    print::line(format_args!("begun {}{end}", print::time(line.started_at)))?;
    if let Some(why) = &line.why {
        print::line(format_args!("because {why}"))?;
    }
    print::line(format_args!("input {}", detail.input))?;
    for timer in &detail.timers {
        let due = timer.due.map_or_else(|| "begins with the next Progress".to_owned(), print::time);
        print::line(print::dim(&format!("{}: {due}", timer.what)))?;
    }
    print::line("")?;
    print::text(&steps(detail).text())?;
    print::line(format_args!("\n{}", print::bold(world_heading)))?;
    print::text(&world(&detail.report).text())
}

fn steps(detail: &SagaDetail) -> Table {
    let mut table = Table::new(&["STEP", "STATE", "CALL", "ATTEMPTS", "OUTCOME", "UNDO"]);
    for step in &detail.steps_in_order {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        table.row(vec![
            step.step.clone(),
            step.state.clone(),
            step.call.clone(),
            step.attempts.to_string(),
            or_dash(&step.outcome),
            or_dash(&step.undo),
        ]);
    }
    table
}

fn world(report: &Json) -> Table {
    let mut table = Table::new(&["EFFECT", "STANDS", "OUTCOME", "DETAIL", "UNDO", "KNOWN BY"]);
    for effect in report["effects"].as_array().into_iter().flatten() {
        let text = |name: &str| match &effect[name] {
            Json::String(text) => text.clone(),
            Json::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let stands = match effect["stands"].as_bool() {
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
            None => print::red("not known"),
        };
        let name = format!("{}: {}.{}", text("step"), text("participant"), text("operation"));
        table.row(vec![name, stands, text("outcome"), text("detail"), text("undo"), text("known_by")]);
    }
    table
}

//! `reconcile`: ended sagas' reports beside what their participants say today. The node asks and compares, a page at a time; here it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sagaline_node::api::model::{
    Ignored, Reconcile as Wanted, ReconcilePage, Reconciled, Reported, Says, Tally, Verdict, Wish,
};
use serde::Serialize;

use super::ask::{asked, nothing};
use crate::args::{Common, Reconcile};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print::{self, Table};

/// The longest that a page may take, beside the usual patience.
const PAGE: Duration = Duration::from_secs(60);

/// All pages together.
#[derive(Debug, Default, Serialize)]
struct Whole {
    told: Vec<Reconciled>,
    participants: BTreeMap<String, Tally>,
    sagas: u64,
    no_probe: u64,
    ignored: Ignored,
}

/// `sagaline reconcile`
pub fn reconcile(reconcile: &Reconcile, common: &Common, client: &Client) -> Result<(), Failure> {
    let whole = pages(reconcile, client)?;
    if common.json {
        print::json(&whole)?;
    } else {
        table(&whole)?;
        summary(&whole)?;
    }
    let all: Tally = whole.participants.values().copied().fold(Tally::default(), plus);
    if reconcile.note {
        note(&whole, common, client)?;
    }
    let unanswered = all.silent + all.left_out;
    match (all.differs, unanswered) {
        (0, 0) => Ok(()),
        (0, _) => {
            let message = format_args!("nobody has answered for {unanswered} effects; nothing else differs");
            Err(Failure::new(Exit::Timeout, message))
        }
        (differs, _) => {
            let message = format_args!("{differs} effects are not as their sagas' reports say");
            Err(Failure::new(Exit::Refused, message))
        }
    }
}

/// A participant that has answered nothing of a page is not waited for again.
fn pages(reconcile: &Reconcile, client: &Client) -> Result<Whole, Failure> {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let mut whole = Whole::default();
    let mut mute: BTreeSet<String> = BTreeSet::new();
    let mut cursor = None;
    loop {
        let wanted = Wanted {
            participant: reconcile.participant.clone(),
            ended_within: reconcile.since.map(millis),
            without: mute.iter().cloned().collect(),
            patience: Some(millis(reconcile.patience).unsigned_abs()),
            cursor,
        };
        let page: ReconcilePage = client.post("/v1/reconcile", &wanted, PAGE)?;
        for (participant, tally) in &page.participants {
            if tally.silent > 0 && tally.same + tally.differs + tally.unknown == 0 {
                mute.insert(participant.clone());
            }
        }
        cursor = page.next.clone();
        whole.add(page);
        if cursor.is_none() {
            return Ok(whole);
        }
    }
}

impl Whole {
    fn add(&mut self, page: ReconcilePage) {
        let ReconcilePage { told, participants, sagas, no_probe, ignored, next: _ } = page;
        self.told.extend(told);
        for (participant, tally) in participants {
            let sum = self.participants.entry(participant).or_default();
            *sum = plus(*sum, tally);
        }
        self.sagas += sagas;
        self.no_probe += no_probe;
        self.ignored = Ignored {
            unreadable: self.ignored.unreadable + ignored.unreadable,
            not_awaited: self.ignored.not_awaited + ignored.not_awaited,
            unproven: self.ignored.unproven + ignored.unproven,
            unfit: self.ignored.unfit + ignored.unfit,
        };
    }
}

fn plus(one: Tally, other: Tally) -> Tally {
    Tally {
        same: one.same + other.same,
        differs: one.differs + other.differs,
        unknown: one.unknown + other.unknown,
        silent: one.silent + other.silent,
        left_out: one.left_out + other.left_out,
    }
}

fn table(whole: &Whole) -> Result<(), Failure> {
    if whole.told.is_empty() {
        return Ok(());
    }
    let mut table =
        Table::new(&["", "SAGA", "STEP", "EFFECT", "PARTICIPANT", "REPORT", "IT SAYS", "SINCE", "FOUND, WHY"]);
    for told in &whole.told {
        let verdict = match told.verdict {
            Verdict::Differs => print::red("DIFFERS"),
            Verdict::Unknown => "UNKNOWN".to_owned(),
            Verdict::Silent => "SILENT".to_owned(),
            Verdict::Same => "SAME".to_owned(),
        };
        let found = told.found.as_ref().map(|found| String::from_utf8_lossy(&found.to_json()).into_owned());
        table.row(vec![
            verdict,
            format!("{}/{}", told.definition, told.key),
            place(told),
            told.effect.to_string(),
            told.participant.clone(),
            reported(told.report).to_owned(),
            told.says.map_or("nothing", says).to_owned(),
            print::time(told.since),
            told.why.clone().or(found).unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    print::text(&table.text())
}

fn summary(whole: &Whole) -> Result<(), Failure> {
    let mut table = Table::new(&["PARTICIPANT", "AS REPORTED", "DIFFERS", "UNKNOWN", "SILENT", "NOT ASKED"]);
    for (participant, tally) in &whole.participants {
        let numbers = [tally.same, tally.differs, tally.unknown, tally.silent, tally.left_out];
        table.row([participant.clone()].into_iter().chain(numbers.map(|number| number.to_string())).collect());
    }
    if !whole.participants.is_empty() {
        print::text(&table.text())?;
    }
    let mut line = format!("{} ended sagas", whole.sagas);
    if whole.no_probe > 0 {
        line.push_str(&format!("; {} effects have no probe", whole.no_probe));
    }
    let Ignored { unreadable, not_awaited, unproven, unfit } = whole.ignored;
    if whole.ignored.total() > 0 {
        line.push_str(&format!(
            "; replies that were ignored: {unreadable} unreadable, {not_awaited} not awaited, {unproven} unproven, {unfit} unfit"
        ));
    }
    print::line(print::dim(&line))
}

/// The same difference of the same effect is noted once, as long as requests are remembered.
fn note(whole: &Whole, common: &Common, client: &Client) -> Result<(), Failure> {
    for told in whole.told.iter().filter(|told| told.verdict == Verdict::Differs) {
        let (report, says) = (reported(told.report), told.says.map_or("nothing", says));
        let (step, participant) = (place(told), &told.participant);
        let mut ask = nothing(Wish::Note, common);
        ask.saga = Some(told.saga);
        ask.reason = Some(format!("reconcile: the report says that {step} is {report}, {participant} says {says}"));
        let id = format!("reconcile {} {report} {says}", told.effect);
        // What is printed to the output is the comparison alone.
        asked(Some(&id), &ask, common, client, false)?;
    }
    Ok(())
}

fn place(told: &Reconciled) -> String {
    let items: String = told.items.iter().map(|item| format!("[{item}]")).collect();
    match told.round {
        0 => format!("{}{items}", told.step),
        round => format!("{}{items} (round {})", told.step, round + 1),
    }
}

fn reported(word: Reported) -> &'static str {
    match word {
        Reported::Applied => "applied",
        Reported::Void => "void",
        Reported::Unknown => "unknown",
    }
}

fn says(word: Says) -> &'static str {
    match word {
        Says::Yes => "yes",
        Says::No => "no",
        Says::Unknown => "unknown",
    }
}

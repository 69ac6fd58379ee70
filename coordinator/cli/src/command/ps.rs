//! `ps`: sagas in a table, over all partitions, a page at a time.

use sagaline_node::api::model::{SagaLine, SagaPage};

use crate::args::{Common, Ps};
use crate::client::Client;
use crate::exit::Failure;
use crate::print::{self, Table};

/// `sagaline ps`
pub fn ps(ps: &Ps, common: &Common, client: &Client) -> Result<(), Failure> {
    let page = pages(ps, LISTED, client)?;
    if common.json {
        return print::json(&page);
    }
    let mut table = Table::new(&["ID", "DEFINITION", "KEY", "STATUS", "STEPS", "WAITING ON", "AGE", "OWNER", "WHY"]);
    let mut lines: Vec<&SagaLine> = page.sagas.iter().collect();
    lines.sort_by_key(|line| (line.started_at, line.id));
    let now = print::now();
    lines.iter().for_each(|line| table.row(row(line, now)));
    print::text(&table.text())?;
    if let Some(next) = page.next {
        print::line(print::dim(&format!("more: sagaline ps --cursor {next} with the same filters")))?;
    }
    let behind: i64 = page.fresh.iter().map(|fresh| (fresh.log_end - fresh.position).max(0)).sum();
    let fresh = if behind == 0 { "up to date".to_owned() } else { format!("{behind} records behind the log") };
    print::line(print::dim(&format!("{} sagas, {fresh}", lines.len())))
}

/// Sagas that are listed unless another number is said.
const LISTED: usize = 100;

/// Pages may be short where a filter is rare: goes on until enough is there, or nothing more.
///
/// # Errors
/// When nobody answers.
pub fn pages(ps: &Ps, unless_said: usize, client: &Client) -> Result<SagaPage, Failure> {
    let limit = ps.limit.map_or(unless_said, |limit| limit as usize);
    let mut query = filters(ps);
    let mut all = SagaPage { sagas: Vec::new(), next: None, fresh: Vec::new() };
    loop {
        let wanted = ("limit", (limit - all.sagas.len()).min(1000).to_string());
        let mut asked = query.clone();
        asked.push(wanted);
        let page: SagaPage = client.get("/v1/sagas", &asked)?;
        all.sagas.extend(page.sagas);
        (all.next, all.fresh) = (page.next, page.fresh);
        match page.next {
            Some(next) if all.sagas.len() < limit => {
                query.retain(|(name, _)| *name != "cursor");
                query.push(("cursor", next.to_string()));
            }
            _ => return Ok(all),
        }
    }
}

fn filters(ps: &Ps) -> Vec<(&'static str, String)> {
    let live = (!ps.all && ps.status.is_none()).then(|| "true".to_owned());
    let given = [
        ("definition", ps.definition.clone()),
        ("status", ps.status.map(|status| status.word().to_owned())),
        ("live", live),
        ("owner", ps.owner.clone()),
        ("waiting_on", ps.waiting_on.clone()),
        ("older_than", ps.older_than.map(|age| age.as_millis().to_string())),
        ("cursor", ps.cursor.clone()),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn row(line: &SagaLine, now: i64) -> Vec<String> {
    let list = |items: &[String]| if items.is_empty() { "-".to_owned() } else { items.join(", ") };
    let overdue = if line.overdue { print::red(" overdue") } else { String::new() };
    vec![
        line.id.to_string(),
        line.definition.clone(),
        line.key.clone(),
        format!("{}{overdue}", print::status(line.status)),
        list(&line.steps),
        list(&line.waiting_on),
        print::span(line.ended_at.unwrap_or(now) - line.started_at),
        line.owner.clone(),
        line.why.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

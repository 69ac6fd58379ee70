//! `settings`: what the log says about limits and how long things are kept; and changing it.

use std::collections::BTreeMap;
use std::time::Duration;

use sagaline_node::api::model::{SetSettings, SettingsPage};
use sagaline_node::settings::{KEYS, Unit};
use serde_json::Value as Json;

use crate::args::{Common, SettingsCommand};
use crate::client::Client;
use crate::exit::Failure;
use crate::print::{self, Table};

/// How long all partitions may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// `sagaline settings`
pub fn settings(what: Option<&SettingsCommand>, common: &Common, client: &Client) -> Result<(), Failure> {
    let page = match what {
        None | Some(SettingsCommand::Show) => client.get("/v1/settings", &[])?,
        Some(SettingsCommand::Set { changes }) => set(changes, common, client)?,
    };
    if common.json { print::json(&page) } else { tell(&page) }
}

fn set(changes: &[(String, String)], common: &Common, client: &Client) -> Result<SettingsPage, Failure> {
    let mut set = BTreeMap::new();
    for (name, value) in changes {
        if set.insert(name.clone(), Json::from(value.as_str())).is_some() {
            return Err(Failure::usage(format_args!("{name} is given twice: nothing was changed")));
        }
    }
    client.post("/v1/settings", &SetSettings { by: common.by(), set }, PATIENCE)
}

fn tell(page: &SettingsPage) -> Result<(), Failure> {
    let mut table = Table::new(&["SETTING", "VALUE", "WHAT IT IS"]);
    for key in KEYS {
        let value = page.settings.get(key.name).map_or_else(String::new, |value| told(key.unit, value));
        table.row(vec![key.name.to_owned(), value, key.meaning.to_owned()]);
    }
    print::text(&table.text())?;
    let others: Vec<String> = page
        .partitions
        .iter()
        .filter(|one| one.version != Some(page.version))
        .map(|one| {
            let version = one.version.map_or_else(|| "is not open".to_owned(), |version| format!("has {version}"));
            format!("inbox partition {} {version}", one.partition)
        })
        .collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", print::red(&others.join(", "))) };
    print::line(format_args!("version {}{others}", page.version))
}

fn told(unit: Unit, value: &Json) -> String {
    match (unit, value.as_i64()) {
        (Unit::Duration, Some(millis)) => format!("{millis} ({})", print::span(millis)),
        (Unit::Bytes | Unit::Count | Unit::Duration | Unit::Word, _) => {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        }
    }
}

//! `upgrade`: which version of the rules is in force, who knows which, and raising it.

use std::time::Duration;

use sagaline_node::api::model::{PartitionRules, Raise as Wanted, UpgradePage};

use crate::args::{Common, Raise, Upgrade, UpgradeCommand};
use crate::client::Client;
use crate::exit::Failure;
use crate::print::{self, Table};

/// How long all partitions may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// `sagaline upgrade`
pub fn upgrade(upgrade: &Upgrade, common: &Common, client: &Client) -> Result<(), Failure> {
    let page: UpgradePage = client.get("/v1/upgrade", &[])?;
    match &upgrade.what {
        None | Some(UpgradeCommand::Status) => shown(&page, common),
        Some(UpgradeCommand::Raise(raise)) if raise.yes => {
            let wanted = Wanted { by: common.by(), to: raise.to.unwrap_or(page.newest) };
            shown(&client.post("/v1/upgrade", &wanted, PATIENCE)?, common)
        }
        Some(UpgradeCommand::Raise(raise)) => would(raise, &page, common),
    }
}

fn shown(page: &UpgradePage, common: &Common) -> Result<(), Failure> {
    if common.json {
        return print::json(page);
    }
    let mut table = Table::new(&["PARTITION", "RULES", "PUBLISHED BY"]);
    for one in &page.partitions {
        table.row(vec![one.partition.to_string(), rules_of(one), one.published_by.clone()]);
    }
    print::text(&table.text())?;
    for one in &page.partitions {
        if let Some(reason) = &one.halted {
            print::line(format_args!(
                "{}: {reason}",
                print::red(&format!("inbox partition {} is halted", one.partition))
            ))?;
        }
    }
    print::line(format_args!("{} knows {}", page.node, known(page)))?;
    print::line(match page.raise_to {
        Some(to) => format!("the rules can be raised to version {to} once every node knows it"),
        None => "nothing is to be raised here".to_owned(),
    })?;
    print::line(ask_others(page))
}

fn rules_of(one: &PartitionRules) -> String {
    one.version.map_or_else(|| print::red("not open"), |version| version.to_string())
}

fn known(page: &UpgradePage) -> String {
    let (oldest, newest) = (page.oldest, page.newest);
    if oldest == newest { format!("version {newest}") } else { format!("versions {oldest} to {newest}") }
}

/// Nodes know nothing of each other.
fn ask_others(page: &UpgradePage) -> String {
    let named = match page.others.is_empty() {
        true => String::new(),
        false => format!(": {}, and whoever stands by", page.others.join(", ")),
    };
    format!("what other nodes know is not known here{named}. Ask each: sagaline upgrade status --api URL")
}

/// What `--yes` would do.
fn would(raise: &Raise, page: &UpgradePage, common: &Common) -> Result<(), Failure> {
    let to = raise.to.unwrap_or(page.newest);
    let lack = page.partitions.iter().filter(|one| one.version.is_none_or(|version| version < to));
    let lack: Vec<String> = lack.map(|one| one.partition.to_string()).collect();
    if common.json {
        return print::json(page);
    }
    if lack.is_empty() {
        return print::line(format_args!(
            "version {to} or a higher one is in force in every partition: nothing is to be done"
        ));
    }
    print::line(format_args!(
        "{} would have the rules of inbox partitions {} raised to version {to}",
        page.node,
        lack.join(", ")
    ))?;
    print::line(
        "a node whose build does not know that version refuses its partitions from then on, and no way leads back",
    )?;
    print::line(ask_others(page))?;
    print::line("nothing was changed: with --yes it is done")
}

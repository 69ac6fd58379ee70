//! `calendars`: when work is done somewhere, as `sleep` counts it.

use std::collections::{BTreeMap, BTreeSet};

use sagaline_definition::model::Calendar;

use super::world::{Use, World};
use crate::fields::{self, Fields, Keys, did_you_mean, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Kind, Node};

pub const CALENDAR: Keys = Keys { what: "a calendar", known: &["zone", "days", "hours", "holidays"] };

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads `calendars`. One that is wrong keeps its name, so that its users get no second complaint.
pub fn named(node: &Node, problems: &mut Problems) -> BTreeMap<String, Option<Calendar>> {
    let mut calendars = BTreeMap::new();
    for entry in fields::map(node, "`calendars`", problems).unwrap_or_default() {
        if let Err(help) = lexical::name(&entry.key) {
            problems.error(entry.key_span, format!("`{}` is no name of a calendar", entry.key), help);
        }
        calendars.insert(entry.key.clone(), calendar(&entry.value, problems));
    }
    calendars
}

/// The calendar that a place names. None: there is none; reported.
pub fn named_at(node: &Node, world: &World<'_>, problems: &mut Problems) -> Option<String> {
    let name = fields::text(node, "a calendar's name", problems)?;
    world.note(Use::Calendar(name.to_owned()));
    if !world.calendars.contains_key(name) {
        let names: Vec<&String> = world.calendars.keys().collect();
        let help = fields::or_else(did_you_mean(name, &names), "declare it: `calendars: { office: { ... } }`");
        problems.error(node.span, format!("there is no calendar `{name}`"), help);
        return None;
    }
    Some(name.to_owned())
}

fn calendar(node: &Node, problems: &mut Problems) -> Option<Calendar> {
    let fields = Fields::read(node, &CALENDAR, problems)?;
    let zone = fields.required("zone", "zone: Europe/Berlin", problems);
    let zone = zone.and_then(|node| parsed(node, "time zone", lexical::zone, problems));
    let days = fields.required("days", "days: mon-fri", problems).and_then(|node| days(node, problems));
    let hours = fields.required("hours", "hours: 09:00-17:00", problems);
    let hours = hours.and_then(|node| parsed(node, "span of hours", lexical::hours, problems));
    let holidays = fields.get("holidays").map_or(Some(Vec::new()), |node| holidays(node, problems));
    Some(Calendar { zone: zone?.to_owned(), days: days?, hours: hours?, holidays: holidays? })
}

/// `mon-fri`, one day, or a list of days.
fn days(node: &Node, problems: &mut Problems) -> Option<Vec<u8>> {
    if let Kind::List(items) = &node.kind {
        let read: Vec<_> = items.iter().map(|item| parsed(item, "day of the week", day, problems)).collect();
        let days: BTreeSet<u8> = read.into_iter().collect::<Option<_>>()?;
        if days.is_empty() {
            problems.error(node.span, "no work is ever done in this calendar", "name the days: mon-fri, or [mon, tue]");
            return None;
        }
        return Some(days.into_iter().collect());
    }
    parsed(node, "span of days", day_range, problems)
}

fn day(text: &str) -> Result<u8, String> {
    let found = DAYS.iter().position(|day| *day == text).and_then(|at| u8::try_from(at + 1).ok());
    found.ok_or_else(|| format!("a day is one of {}", DAYS.join(", ")))
}

fn day_range(text: &str) -> Result<Vec<u8>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (day(first)?, day(last)?) {
        (first, last) if first <= last => Ok((first..=last).collect()),
        _ => Err("the earlier day of the week stands first: mon-fri; else write a list: [sun, mon]".to_owned()),
    }
}

fn holidays(node: &Node, problems: &mut Problems) -> Option<Vec<String>> {
    let items = fields::list(node, "`holidays`", problems)?;
    let mut days = BTreeSet::new();
    let mut complete = true;
    for item in items {
        match parsed(item, "date", lexical::date, problems) {
            Some(day) if !days.insert(day.to_owned()) => {
                problems.error(item.span, format!("`{day}` stands twice"), "keep one of the two");
                complete = false;
            }
            Some(_) => {}
            None => complete = false,
        }
    }
    complete.then(|| days.into_iter().collect())
}

//! The settings that lie in the log, by name: what each means, in which unit and bounds, and how a person writes it. What is in force is the
//! fold's to say; nothing here reads a file.

pub mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sagaline_definition::spelling::closest;
use sagaline_schemas::settings::{Events, Settings};
use serde_json::{Value as Json, json};

/// What a record needs beyond its payload.
const AROUND_PAYLOAD: i64 = 64 * 1024;
const KIB: i64 = 1024;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WORDS: [(&str, Events); 3] = [("nothing", Events::Nothing), ("ends", Events::Ends), ("steps", Events::Steps)];

/// In what a setting is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `262144`, `256KiB`, `1MiB`.
    Bytes,
    /// A number.
    Count,
    /// Milliseconds: `30000`, `30s`, `90d`.
    Duration,
    /// One of a few words.
    Word,
}

/// One setting.
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// How it is counted.
    pub unit: Unit,
    /// Least and greatest value.
    pub bounds: (i64, i64),
    /// What it is, for people.
    pub meaning: &'static str,
    get: fn(&Settings) -> i64,
    set: fn(&mut Settings, i64),
}

/// A setting that is a number; values within the bounds given here fit its type.
macro_rules! number {
    ($name:ident: $type:ty, $unit:ident, $least:expr, $most:expr, $meaning:literal) => {
        Key {
            name: stringify!($name),
            unit: Unit::$unit,
            bounds: ($least, $most),
            meaning: $meaning,
            get: |settings| i64::from(settings.$name),
            set: |settings, value| settings.$name = value as $type,
        }
    };
}

/// Every setting.
pub const KEYS: [Key; 11] = [
    number!(max_payload: u32, Bytes, KIB, 8 * KIB * KIB, "largest payload: an event, an input, a result"),
    number!(max_record: u32, Bytes, 256 * KIB, 16 * KIB * KIB, "largest record on any topic; at least `max_payload` and 64 KiB more"),
    number!(max_effects: u32, Count, 1, 1_000_000, "most effects of one saga"),
    number!(max_outbox: u32, Count, 1, 100_000_000, "outputs that one channel may hold before starts that need it are refused"),
    number!(keep_ended: i64, Duration, MINUTE, 3_650 * DAY, "how long an ended saga's key, report and history are kept"),
    number!(keep_requests: i64, Duration, MINUTE, 365 * DAY, "how long a request's id and result are kept; an older request is refused"),
    number!(keep_early_events: i64, Duration, 0, 365 * DAY, "how long an event that nobody waits for yet is kept"),
    number!(max_mailbox: u32, Count, 0, 1_000_000, "most such events of one saga"),
    number!(activation_delay: i64, Duration, 0, HOUR, "how long a definition is known before new sagas use it; with several nodes at least 10s"),
    Key {
        name: "events",
        unit: Unit::Word,
        bounds: (0, 2),
        meaning: "what is written to the topic `events`: `nothing`, `ends` (starts, ends, stuck) or `steps`",
        get: |settings| WORDS.iter().position(|(_, events)| *events == settings.events).map_or(0, |index| index as i64),
        set: |settings, value| settings.events = WORDS[value as usize].1,
    },
    number!(max_parked: u32, Bytes, 0, 8 * KIB * KIB, "most bytes of a parked record's body that are copied"),
];

/// Why settings are not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is no such setting.
    #[error("there is no setting {name:?}{}", near.map_or_else(|| format!(": they are {}", names()), |near| format!(": did you mean {near:?}?")))]
    Unknown {
        /// What was given.
        name: String,
        /// One with nearly that name.
        near: Option<&'static str>,
    },
    /// The value is not one of such a setting.
    #[error("{name} is {value}: it must be {wanted}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        wanted: String,
    },
    /// The record would have no room for the payload.
    #[error("{what} is {value} and max_record {max_record}: max_record must be at least {} more", AROUND_PAYLOAD)]
    Room {
        /// `max_payload` or `max_parked`.
        what: &'static str,
        /// Its value.
        value: u32,
        /// That of `max_record`.
        max_record: u32,
    },
    /// Nothing is to be changed.
    #[error("nothing is to be set: name settings and values, as in max_payload=512KiB")]
    Nothing,
}

/// The settings after a change, each value as a person writes it.
///
/// # Errors
/// The first name or value that is wrong, or that does not fit the others.
pub fn changed(settings: &Settings, changes: &BTreeMap<String, Json>) -> Result<Settings, SettingsError> {
    if changes.is_empty() {
        return Err(SettingsError::Nothing);
    }
    let mut changed = settings.clone();
    for (name, value) in changes {
        let key = KEYS.iter().find(|key| key.name == name).ok_or_else(|| unknown(name))?;
        (key.set)(&mut changed, key.read(value)?);
    }
    for (what, value) in [("max_payload", changed.max_payload), ("max_parked", changed.max_parked)] {
        if i64::from(changed.max_record) < i64::from(value) + AROUND_PAYLOAD {
            return Err(SettingsError::Room { what, value, max_record: changed.max_record });
        }
    }
    Ok(changed)
}

/// Every setting by its name, as JSON.
pub fn shown(settings: &Settings) -> BTreeMap<String, Json> {
    KEYS.iter().map(|key| (key.name.to_owned(), key.show(settings))).collect()
}

fn names() -> String {
    KEYS.map(|key| key.name).join(", ")
}

fn unknown(name: &str) -> SettingsError {
    let near = closest(name, KEYS.iter().map(|key| key.name));
    let near = KEYS.iter().map(|key| key.name).find(|known| Some(*known) == near);
    SettingsError::Unknown { name: name.to_owned(), near }
}

impl Key {
    fn show(&self, settings: &Settings) -> Json {
        let value = (self.get)(settings);
        match self.unit {
            Unit::Word => json!(WORDS[value as usize].0),
            Unit::Bytes | Unit::Count | Unit::Duration => json!(value),
        }
    }

    fn read(&self, value: &Json) -> Result<i64, SettingsError> {
        let number = match value {
            Json::String(text) => self.parse(text.trim()),
            other => other.as_i64().filter(|_| self.unit != Unit::Word),
        };
        let (least, most) = self.bounds;
        number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
            let value = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
            SettingsError::Value { name: self.name, value, wanted: self.wanted() }
        })
    }

    fn parse(&self, text: &str) -> Option<i64> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = match (self.unit, unit) {
            (Unit::Word, _) => return WORDS.iter().position(|(word, _)| *word == text).map(|index| index as i64),
            (Unit::Bytes | Unit::Count | Unit::Duration, "") | (Unit::Duration, "ms") => 1,
            (Unit::Bytes, "KiB") => KIB,
            (Unit::Bytes, "MiB") => KIB * KIB,
            (Unit::Duration, "s") => 1_000,
            (Unit::Duration, "m") => MINUTE,
            (Unit::Duration, "h") => HOUR,
            (Unit::Duration, "d") => DAY,
            (Unit::Bytes | Unit::Count | Unit::Duration, _) => return None,
        };
        number.parse::<i64>().ok()?.checked_mul(factor)
    }

    /// What it may be, for people.
    pub fn wanted(&self) -> String {
        let (least, most) = self.bounds;
        match self.unit {
            Unit::Bytes => format!("a number of bytes from {least} to {most}, as in 65536, 64KiB or 1MiB"),
            Unit::Count => format!("a number from {least} to {most}"),
            Unit::Duration => format!("a duration from {least} to {most} ms, as in 500ms, 30s, 5m, 2h or 3d"),
            Unit::Word => WORDS.map(|(word, _)| word).join(", "),
        }
    }
}

/// The table for people, as `docs/operations.md` prints it.
pub fn markdown() -> String {
    let settings = Settings::default();
    let mut out = String::from("| setting | default | what it is |\n|---|---|---|\n");
    for key in KEYS {
        let unit = match key.unit {
            Unit::Bytes => " bytes",
            Unit::Duration => " ms",
            Unit::Count | Unit::Word => "",
        };
        let default = key.show(&settings);
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        out.push_str(&format!("| `{}` | {default}{unit} | {} |\n", key.name, key.meaning));
    }
    out
}

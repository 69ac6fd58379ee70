//! Values by key, with the place where each was said: what comes later overrules. What keys there are stands in `keys.rs`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use super::keys::{self, PROPERTY_VARIABLE};
use super::{Config, ConfigError};

/// One value as it was written.
struct Said {
    /// A scalar's text.
    text: String,
    /// The file, or the environment.
    place: String,
    /// What a relative path is relative to.
    folder: PathBuf,
}

/// What was said so far.
#[derive(Default)]
pub(super) struct Values {
    said: BTreeMap<&'static str, Said>,
    properties: BTreeMap<String, String>,
}

impl Values {
    pub(super) fn add_file(&mut self, place: &str, folder: &Path, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| no_toml(place, text, &error))?;
        self.add_table(place, folder, "", &table)
    }

    fn add_table(&mut self, place: &str, folder: &Path, above: &str, table: &Table) -> Result<(), ConfigError> {
        for (name, value) in table {
            let name = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match (name.as_str(), value) {
                ("kafka.properties", Value::Table(properties)) => self.add_properties(place, properties)?,
                ("api" | "checkpoints" | "kafka" | "topics", Value::Table(inner)) => {
                    self.add_table(place, folder, &name, inner)?
                }
                _ => self.add_value(place, folder, &name, value)?,
            }
        }
        Ok(())
    }

    fn add_value(&mut self, place: &str, folder: &Path, name: &str, value: &Value) -> Result<(), ConfigError> {
        let key = keys::named(name).ok_or_else(|| keys::unknown(place, name))?;
        let wanted = if key.name == "kafka.properties" { "a table" } else { "a text, a number, true or false" };
        let text = scalar(value).filter(|_| key.name != "kafka.properties");
        let text = text.ok_or_else(|| wrong(place, name, wanted))?;
        self.said.insert(key.name, Said { text, place: place.to_owned(), folder: folder.to_owned() });
        Ok(())
    }

    fn add_properties(&mut self, place: &str, properties: &Table) -> Result<(), ConfigError> {
        for (name, value) in properties {
            // `a.b = 1` is a table in TOML, and a name with a dot in Kafka.
            if let Value::Table(inner) = value {
                let dotted = inner.iter().map(|(last, value)| (format!("{name}.{last}"), value.clone())).collect();
                self.add_properties(place, &dotted)?;
                continue;
            }
            let wanted = "a text, a number, true or false";
            let text = scalar(value).ok_or_else(|| wrong(place, &format!("kafka.properties.{name}"), wanted))?;
            self.properties.insert(name.clone(), text);
        }
        Ok(())
    }

    pub(super) fn add_environment(
        &mut self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in environment.filter(|(variable, _)| variable.starts_with("SAGALINE_")) {
            if let Some(property) = variable.strip_prefix(PROPERTY_VARIABLE) {
                self.properties.insert(property.to_lowercase().replace('_', "."), text);
            } else if let Some(key) = keys::of_variable(&variable)? {
                let place = format!("the environment ({variable})");
                self.said.insert(key.name, Said { text, place, folder: PathBuf::new() });
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Config, ConfigError> {
        let checkpoints = Some(self.text("checkpoints.url")).filter(|url| !url.is_empty());
        let trim_inbox = self.parsed("checkpoints.trim_inbox", "true or false")?;
        if trim_inbox && checkpoints.is_none() {
            return Err(keys::missing("checkpoints.url"));
        }
        Ok(Config {
            checkpoints,
            checkpoints_every: self.every("checkpoints.every")?,
            checkpoints_kept: self.at_least("checkpoints.keep", 2, "a whole number from 2 on")?,
            trim_inbox,
            node: self.text("node"),
            data: self.path("data"),
            key_file: self.path("key_file"),
            prefix: self.text("prefix"),
            skip_poison: self.skip_poison()?,
            api_port: self.parsed("api.port", "a port: 0 to 65535")?,
            bootstrap: Some(self.text("kafka.bootstrap")).filter(|bootstrap| !bootstrap.is_empty()),
            single_broker: self.parsed("kafka.single_broker", "true or false")?,
            partitions: self.at_least("topics.partitions", 1, "a whole number from 1 on")?,
            replicas: self.at_least("topics.replicas", 1, "a whole number from 1 on")?,
            activation_delay: self.parsed("topics.activation_delay", "a whole number of milliseconds")?,
            properties: self.properties,
        })
    }

    fn text(&self, name: &'static str) -> String {
        match self.said.get(name) {
            Some(said) => said.text.clone(),
            None => keys::named(name).expect("asked for by a name of the table").default.to_owned(),
        }
    }

    fn path(&self, name: &'static str) -> PathBuf {
        let folder = self.said.get(name).map(|said| said.folder.as_path());
        folder.unwrap_or(Path::new("")).join(self.text(name))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &'static str, wanted: &'static str) -> Result<T, ConfigError> {
        self.text(name).parse().map_err(|_| wrong(self.place(name), name, wanted))
    }

    fn skip_poison(&self) -> Result<Option<NonZeroU32>, ConfigError> {
        const NAME: &str = "skip_poison";
        let text = self.text(NAME);
        let after = text.strip_prefix("after ").and_then(|count| count.parse().ok());
        if after.is_some() || text == "never" {
            return Ok(after);
        }
        Err(wrong(self.place(NAME), NAME, "`never`, or `after N` with a whole number from 1 on"))
    }

    fn at_least(&self, name: &'static str, least: u32, wanted: &'static str) -> Result<u32, ConfigError> {
        let number: u32 = self.parsed(name, wanted)?;
        if number >= least { Ok(number) } else { Err(wrong(self.place(name), name, wanted)) }
    }

    /// None: never.
    fn every(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        const WANTED: &str = "a duration from 1s on, as in 10m, 1h or 1d, or `never`";
        let text = self.text(name);
        if text == "never" {
            return Ok(None);
        }
        let every = duration(&text).ok().filter(|every| *every >= Duration::from_secs(1));
        every.map(Some).ok_or_else(|| wrong(self.place(name), name, WANTED))
    }

    /// Where it was said.
    fn place(&self, name: &'static str) -> &str {
        self.said.get(name).map_or("the defaults", |said| said.place.as_str())
    }
}

/// A duration as people write it: `500ms`, `30s`, `5m`, `2h`, `3d`.
///
/// # Errors
/// What would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: 500ms, 30s, 5m, 2h, 3d");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// The text of a value that has one form only.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

fn wrong(place: &str, key: &str, wanted: &'static str) -> ConfigError {
    ConfigError::Wrong { place: place.to_owned(), key: key.to_owned(), wanted }
}

fn no_toml(place: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    ConfigError::NoToml { place: place.to_owned(), line, detail: error.message().to_owned() }
}

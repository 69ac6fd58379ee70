//! A node's own configuration: a TOML file, then `SAGALINE_*` from the environment. Nothing here reaches a fold: what the fold reads of
//! people's wishes lies in the log (design section 2). Values may be secrets: no error and no `Debug` tells one.

mod keys;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use keys::{KEYS, Key, markdown};
use values::Values;
pub use values::duration;

use crate::checkpoint::{CheckpointError, Keeping, Vault};

/// A node's own configuration. One field per entry of [`KEYS`].
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// `node`
    pub node: String,
    /// `data`
    pub data: PathBuf,
    /// `key_file`
    pub key_file: PathBuf,
    /// `prefix`
    pub prefix: String,
    /// `skip_poison`; none: never.
    pub skip_poison: Option<NonZeroU32>,
    /// `api.port`
    pub api_port: u16,
    /// `kafka.bootstrap`; none: there is no Kafka.
    pub bootstrap: Option<String>,
    /// `kafka.single_broker`
    pub single_broker: bool,
    /// `kafka.properties.*`
    pub properties: BTreeMap<String, String>,
    /// `topics.partitions`
    pub partitions: u32,
    /// `topics.replicas`
    pub replicas: u32,
    /// `topics.activation_delay`
    pub activation_delay: u32,
    /// `checkpoints.url`; none: none are kept.
    pub checkpoints: Option<String>,
    /// `checkpoints.every`; none: only when asked.
    pub checkpoints_every: Option<Duration>,
    /// `checkpoints.keep`
    pub checkpoints_kept: u32,
    /// `checkpoints.trim_inbox`
    pub trim_inbox: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("Config")
            .field("node", &self.node)
            .field("data", &self.data)
            .field("prefix", &self.prefix)
            .field("bootstrap", &self.bootstrap)
            .field("properties", &properties)
            .finish_non_exhaustive()
    }
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {place} can't be read: {detail}")]
    Unreadable {
        /// The file.
        place: String,
        /// What the system says.
        detail: String,
    },
    /// The file is no TOML.
    #[error("{place}:{line}: no TOML: {detail}")]
    NoToml {
        /// The file.
        place: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// There is no such key.
    #[error("{place}: there is no key `{key}`{}", hint.map_or_else(String::new, |hint| format!(": did you mean `{hint}`?")))]
    Unknown {
        /// The file, or the environment.
        place: String,
        /// What stands there.
        key: String,
        /// What may have been meant.
        hint: Option<&'static str>,
    },
    /// The value is not what the key wants. The value itself is not told.
    #[error("{place}: `{key}` must be {wanted}")]
    Wrong {
        /// The file, or the environment.
        place: String,
        /// The key.
        key: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// A key that is needed is not there.
    #[error("the configuration lacks `{key}`: {meaning}. Set it in the file or as {variable}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What it is.
        meaning: &'static str,
        /// Its name in the environment.
        variable: String,
    },
}

impl Config {
    /// Reads the file, if one is given, and lets the environment overrule it. Paths in the file are relative to its folder.
    ///
    /// # Errors
    /// At the first key that is unknown or has a wrong value.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut values = Values::default();
        if let Some(path) = file {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError::Unreadable { place: place.clone(), detail: error.to_string() })?;
            values.add_file(&place, path.parent().unwrap_or(Path::new("")), &text)?;
        }
        values.add_environment(environment)?;
        values.finish()
    }

    /// How checkpoints are kept; none: they are not.
    ///
    /// # Errors
    /// When they can't lie where they are to.
    pub fn keeping(&self) -> Result<Option<Keeping>, CheckpointError> {
        let Some(url) = &self.checkpoints else { return Ok(None) };
        let vault = Arc::new(Vault::open(url)?);
        let (every, keep, trim) = (self.checkpoints_every, self.checkpoints_kept as usize, self.trim_inbox);
        Ok(Some(Keeping { vault, every, keep, trim }))
    }

    /// The bootstrap addresses, for what can't do without a Kafka.
    ///
    /// # Errors
    /// When the configuration has none.
    pub fn kafka(&self) -> Result<&str, ConfigError> {
        self.bootstrap.as_deref().ok_or_else(|| keys::missing("kafka.bootstrap"))
    }
}

#[cfg(test)]
mod tests;

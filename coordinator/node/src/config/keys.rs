//! The keys of the configuration, each said once: what the file may hold, what the environment calls it, what the pages print.

use sagaline_definition::spelling::closest;

use super::ConfigError;

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file, tables joined by dots.
    pub name: &'static str,
    /// What holds unless said; empty: nothing.
    pub default: &'static str,
    /// What it is.
    pub meaning: &'static str,
}

/// Every key. `kafka.properties` is a table of Kafka's own.
pub const KEYS: [Key; 16] = [
    Key { name: "node", default: "node-1", meaning: "this node's name, as claims and messages tell it" },
    Key { name: "data", default: "sagaline-data", meaning: "the folder of the stores: a cache, it may be deleted" },
    Key {
        name: "key_file",
        default: "sagaline.key",
        meaning: "the file with the log's key: NAME:64 hexadecimal digits, readable by its owner only",
    },
    Key { name: "prefix", default: "", meaning: "what stands before the name of every topic and group" },
    Key {
        name: "skip_poison",
        default: "never",
        meaning: "`after N`: an input at which the fold panics on N stores opened anew is passed over without a person, where it is certain that no node has published what it would decide",
    },
    Key { name: "api.port", default: "7410", meaning: "the API's port on 127.0.0.1" },
    Key { name: "kafka.bootstrap", default: "", meaning: "brokers: HOST:PORT[,HOST:PORT]" },
    Key {
        name: "kafka.single_broker",
        default: "false",
        meaning: "accept topics that live on one broker only: for trying things out",
    },
    Key {
        name: "kafka.properties",
        default: "",
        meaning: "a table of the Kafka client's own properties: security.protocol and the like",
    },
    Key {
        name: "topics.partitions",
        default: "16",
        meaning: "partitions of the inbox, when `topics create` makes it: for ever",
    },
    Key { name: "topics.replicas", default: "3", meaning: "replicas of every topic that Sagaline makes" },
    Key {
        name: "topics.activation_delay",
        default: "30000",
        meaning: "milliseconds between a definition's becoming known and new sagas' using it, when `topics create` makes the inbox; with several nodes never less than 10000",
    },
    Key {
        name: "checkpoints.url",
        default: "",
        meaning: "where checkpoints of the stores lie: file:///FOLDER that all nodes see, s3://BUCKET/FOLDER, gs:// or az://; empty: none are kept",
    },
    Key {
        name: "checkpoints.every",
        default: "1h",
        meaning: "how often one of each inbox partition is taken: 10m, 1h, 1d; `never`: only when asked",
    },
    Key {
        name: "checkpoints.keep",
        default: "3",
        meaning: "how many verified checkpoints of each partition are kept, two at least",
    },
    Key {
        name: "checkpoints.trim_inbox",
        default: "false",
        meaning: "delete the inbox's records that two verified checkpoints have made needless",
    },
];

/// What the environment calls one of Kafka's properties begins with this.
pub(super) const PROPERTY_VARIABLE: &str = "SAGALINE_KAFKA_PROPERTIES_";
/// Variables that are not the node's: other programs' and the command line's own.
const OTHER_VARIABLES: [&str; 5] =
    ["SAGALINE_API", "SAGALINE_BY", "SAGALINE_CONFIG", "SAGALINE_FAIL_POINT", "SAGALINE_LOG"];

impl Key {
    /// Its name in the environment.
    pub fn variable(&self) -> String {
        format!("SAGALINE_{}", self.name.to_uppercase().replace('.', "_"))
    }
}

/// The key of that name in the file.
pub(super) fn named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The key that a variable sets; an error where it is nearly one of ours. Anything else is somebody else's variable.
pub(super) fn of_variable(variable: &str) -> Result<Option<&'static Key>, ConfigError> {
    let key = KEYS.iter().find(|key| key.variable() == variable);
    if key.is_some() || OTHER_VARIABLES.contains(&variable) {
        return Ok(key);
    }
    let variables: Vec<String> = KEYS.iter().map(Key::variable).collect();
    match closest(variable, variables.iter().map(String::as_str)) {
        None => Ok(None),
        Some(near) => {
            let hint = KEYS.iter().find(|key| key.variable() == near).map(|key| key.name);
            Err(ConfigError::Unknown { place: "the environment".to_owned(), key: variable.to_owned(), hint })
        }
    }
}

/// An unknown key of the file.
pub(super) fn unknown(place: &str, name: &str) -> ConfigError {
    let hint = closest(name, KEYS.iter().map(|key| key.name));
    ConfigError::Unknown {
        place: place.to_owned(),
        key: name.to_owned(),
        hint: hint.and_then(named).map(|key| key.name),
    }
}

/// A key that something can't do without.
pub(super) fn missing(name: &'static str) -> ConfigError {
    let key = named(name).expect("asked for by a name of the table");
    ConfigError::Missing { key: key.name, meaning: key.meaning, variable: key.variable() }
}

/// The table for people, as `docs/operations.md` prints it.
pub fn markdown() -> String {
    let mut out = String::from("| key | environment | default | what it is |\n|---|---|---|---|\n");
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let variable = match key.name {
            "kafka.properties" => format!("{PROPERTY_VARIABLE}*"),
            _ => key.variable(),
        };
        out.push_str(&format!("| `{}` | `{variable}` | {default} | {} |\n", key.name, key.meaning));
    }
    out
}

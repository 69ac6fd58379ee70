//! Where a run's topics lie, and how the processes of a run find them.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Result;
use sagaline_log::{Log, loopback};

use crate::cpu;

/// A log to be measured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The cluster at HOST:PORT.
    Kafka(String),
    /// In one process of a run, the others reach it over loopback.
    Embedded,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("kafka://") {
            Some(bootstrap) => Ok(Self::Kafka(bootstrap.to_owned())),
            None if text == "embedded" => Ok(Self::Embedded),
            None => Err("a log is `embedded` or kafka://HOST:PORT".to_owned()),
        }
    }
}

/// As people call it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kafka(_) => "Kafka",
            Self::Embedded => "the embedded log",
        })
    }
}

impl Place {
    /// The broker's process, where it runs here.
    pub fn broker(&self) -> Option<u32> {
        match self {
            Self::Kafka(bootstrap) => cpu::broker(bootstrap),
            Self::Embedded => None,
        }
    }

    /// The address for the process that holds it; an embedded one lies in `dir`.
    pub fn address(&self, dir: &Path) -> String {
        match self {
            Self::Kafka(bootstrap) => format!("kafka://{bootstrap}"),
            Self::Embedded => format!("embedded:{}", dir.display()),
        }
    }
}

/// A log as others find it: served over loopback where it is this process's own. To be held as long as they need it.
pub struct Served {
    /// Where the others find it.
    pub address: String,
    _server: Option<loopback::Server>,
}

impl Served {
    /// # Errors
    /// When the system gives no port.
    pub fn new(address: &str, log: &Arc<dyn Log>) -> Result<Self> {
        if !address.starts_with("embedded:") {
            return Ok(Self { address: address.to_owned(), _server: None });
        }
        let server = loopback::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, Arc::clone(log))?;
        Ok(Self { address: format!("loopback://{}", server.address()), _server: Some(server) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_by_its_address() {
        assert_eq!("embedded".parse(), Ok(Place::Embedded));
        assert_eq!("kafka://127.0.0.1:9092".parse(), Ok(Place::Kafka("127.0.0.1:9092".to_owned())));
        assert_eq!("localhost:9092".parse::<Place>().unwrap_err(), "a log is `embedded` or kafka://HOST:PORT");
    }
}

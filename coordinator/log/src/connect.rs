//! One address for any log: the one switch between `dev` and Kafka.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::embedded::EmbeddedLog;
use crate::kafka::KafkaLog;
use crate::loopback::LoopbackLog;
use crate::{Log, LogError};

/// Opens the log at an address: `kafka://HOST:PORT[,HOST:PORT]`, `embedded:DIRECTORY`, or `loopback://127.0.0.1:PORT`.
/// `properties` are Kafka's own (`security.protocol` and the like).
///
/// # Errors
/// `Address` when it is none of these or properties are given where there is no Kafka; otherwise what the log says.
pub fn connect(address: &str, properties: &BTreeMap<String, String>) -> Result<Arc<dyn Log>, LogError> {
    if let Some(bootstrap) = address.strip_prefix("kafka://") {
        return Ok(Arc::new(KafkaLog::connect(bootstrap, properties)?));
    }
    let refuse = |detail: &str| Err(LogError::Address { address: address.to_owned(), detail: detail.to_owned() });
    if let Some(property) = properties.keys().next() {
        return refuse(&format!("{property} is a property of Kafka, and this is no address of one"));
    }
    match address.split_once(':') {
        Some(("embedded", "")) => refuse("the directory is missing: embedded:DIRECTORY"),
        Some(("embedded", dir)) => Ok(Arc::new(EmbeddedLog::open(Path::new(dir))?)),
        Some(("loopback", rest)) => Ok(Arc::new(LoopbackLog::connect(rest.trim_start_matches('/'))?)),
        _ => refuse("a log is at kafka://HOST:PORT, embedded:DIRECTORY or loopback://127.0.0.1:PORT"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(address: &str, properties: &[(&str, &str)]) -> String {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        connect(address, &properties).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_address_is_told_what_would_be_right() {
        let forms = "a log is at kafka://HOST:PORT, embedded:DIRECTORY or loopback://127.0.0.1:PORT";
        for address in ["", "localhost:9092", "http://127.0.0.1:80", "embedded"] {
            assert_eq!(error(address, &[]), format!("{address:?} is not the address of a log: {forms}"));
        }
        assert_eq!(
            error("embedded:", &[]),
            "\"embedded:\" is not the address of a log: the directory is missing: embedded:DIRECTORY"
        );
        assert_eq!(
            error("embedded:x", &[("acks", "1")]),
            "\"embedded:x\" is not the address of a log: acks is a property of Kafka, and this is no address of one"
        );
        for address in ["loopback://10.0.0.1:80", "loopback://example.org:80", "loopback://127.0.0.1"] {
            let detail = "a loopback log is at 127.0.0.1:PORT or [::1]:PORT";
            let address = address.trim_start_matches("loopback://");
            assert_eq!(
                error(&format!("loopback://{address}"), &[]),
                format!("{address:?} is not the address of a log: {detail}")
            );
        }
    }

    #[test]
    fn a_directory_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("embedded:{}", dir.path().display());
        let log = connect(&address, &BTreeMap::new()).unwrap();
        assert_eq!(log.name(), format!("embedded in {}", dir.path().display()));
        assert!(matches!(connect(&address, &BTreeMap::new()), Err(LogError::InUse { .. })));
    }
}

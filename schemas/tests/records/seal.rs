//! A sealed record opens and proves itself; with any byte changed it does neither.

use proptest::prelude::*;
use sagaline_schemas::proof::{Key, OpenError, open, open_command, seal, unsealed, write_single_object};
use sagaline_schemas::record::{Body, Inbox};
use sagaline_schemas::schema::{COMMAND, INBOX};
use sagaline_schemas::wire::Wire;
use sagaline_schemas::{LogId, command::Command};

use super::arbitrary;

const LOG: LogId = LogId([7; 16]);

fn key() -> Key {
    Key::new("k", [9; 32])
}

fn body() -> impl Strategy<Value = Body> {
    let schema = arbitrary::parsed(&INBOX);
    arbitrary::value(&schema).prop_map(move |value| Inbox::from_bytes(&arbitrary::write(&schema, value)).unwrap().body)
}

fn command() -> impl Strategy<Value = Command> {
    let schema = arbitrary::parsed(&COMMAND);
    arbitrary::value(&schema).prop_map(move |value| Command::from_bytes(&arbitrary::write(&schema, value)).unwrap())
}

/// Opens, and proves itself for this log and partition.
fn proven(key: &Key, log: LogId, partition: u32, value: &[u8]) -> Option<Body> {
    let opened = open(INBOX.fingerprint, value).ok()?;
    let mac = key.mac(log, partition, &value[..opened.covered]);
    (opened.inbox.mac == Some(mac)).then_some(opened.inbox.body)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sealed_records_prove_themselves_where_they_belong(body in body()) {
        let value = seal(INBOX.fingerprint, &key(), LOG, 3, &body);
        prop_assert_eq!(proven(&key(), LOG, 3, &value), Some(body));
        prop_assert_eq!(proven(&key(), LOG, 4, &value), None);
        prop_assert_eq!(proven(&key(), LogId([8; 16]), 3, &value), None);
        prop_assert_eq!(proven(&Key::new("k", [8; 32]), LOG, 3, &value), None);
    }

    #[test]
    fn any_changed_byte_breaks_the_proof(body in body(), flip in 1..=255_u8) {
        let value = seal(INBOX.fingerprint, &key(), LOG, 3, &body);
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= flip;
            prop_assert_eq!(proven(&key(), LOG, 3, &changed), None, "byte {}", at);
        }
    }

    #[test]
    fn unsealed_records_open_without_proof(body in body()) {
        let value = unsealed(INBOX.fingerprint, &body);
        let opened = open(INBOX.fingerprint, &value).unwrap();
        prop_assert_eq!(opened.inbox, Inbox { body, mac: None });
        prop_assert_eq!(opened.covered, value.len() - 1);
    }

    #[test]
    fn commands_open(command in command()) {
        let value = write_single_object(COMMAND.fingerprint, &command);
        prop_assert_eq!(open_command(&value), Ok(command));
        prop_assert!(open_command(&value[..value.len() - 1]).is_err());
    }

    #[test]
    fn any_bytes_behind_the_header_end_in_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let header = write_single_object(INBOX.fingerprint, &true);
        let _ = open(INBOX.fingerprint, &[&header[..10], &bytes[..]].concat());
        let _ = open(INBOX.fingerprint, &bytes);
    }
}

#[test]
fn what_is_no_record_says_why() {
    assert_eq!(open(INBOX.fingerprint, b"{}"), Err(OpenError::NoMarker));
    let mut value = write_single_object(INBOX.fingerprint, &true);
    value[2] ^= 1;
    assert_eq!(open(INBOX.fingerprint, &value), Err(OpenError::UnknownSchema(INBOX.fingerprint ^ 1)));
    assert!(matches!(open(INBOX.fingerprint, &value[..5]), Err(OpenError::Wire(_))));
}

#[test]
fn a_key_keeps_its_secret() {
    let key: Key = format!("main:{}", "ab".repeat(32)).parse().unwrap();
    assert_eq!(key.to_hex().parse::<Key>().unwrap(), key);
    assert!(!format!("{key:?}").contains("abab"));
    for wrong in ["", "main", ":ab", "main:ab", &format!("main:{}", "zz".repeat(32))] {
        assert!(wrong.parse::<Key>().is_err(), "{wrong}");
    }
}

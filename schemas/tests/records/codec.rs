//! Our direct codec and apache-avro are two readings of the same schemas, on every kind of record.

use std::fmt::Debug;

use apache_avro::Schema;
use apache_avro::types::Value;
use proptest::prelude::*;
use sagaline_schemas::command::Command;
use sagaline_schemas::output::{Notice, Parked};
use sagaline_schemas::record::Inbox;
use sagaline_schemas::schema::{COMMAND, EVENT, INBOX, PARKED, TopicSchema};
use sagaline_schemas::wire::{Reader, Wire, put_long};

use super::arbitrary;

/// Theirs reads as ours, ours writes the same bytes, and those read as theirs again.
fn agrees<T: Wire + PartialEq + Debug>(topic: &TopicSchema, value: Value) -> Result<(), TestCaseError> {
    let schema = arbitrary::parsed(topic);
    let theirs = arbitrary::write(&schema, value.clone());
    let ours = T::from_bytes(&theirs).unwrap();
    prop_assert_eq!(&ours.to_bytes(), &theirs);
    prop_assert_eq!(arbitrary::read(&schema, &ours.to_bytes()), value);
    Ok(())
}

/// Bytes that may be anything end in a record or an error; a record means what it says.
fn survives<T: Wire + PartialEq + Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(record) = T::from_bytes(bytes) {
        prop_assert_eq!(T::from_bytes(&record.to_bytes()).unwrap(), record);
    }
    Ok(())
}

/// A value of the topic in bytes, with one byte changed, cut off or put in.
fn damaged(topic: &TopicSchema) -> impl Strategy<Value = Vec<u8>> {
    let schema = arbitrary::parsed(topic);
    let bytes = arbitrary::value(&schema).prop_map(move |value| arbitrary::write(&schema, value));
    (bytes, any::<prop::sample::Index>(), any::<u8>(), 0..3).prop_map(|(mut bytes, at, byte, how)| {
        bytes.push(byte);
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, byte),
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn inbox_agrees(value in arbitrary::value(&arbitrary::parsed(&INBOX))) {
        agrees::<Inbox>(&INBOX, value)?;
    }

    #[test]
    fn command_agrees(value in arbitrary::value(&arbitrary::parsed(&COMMAND))) {
        agrees::<Command>(&COMMAND, value)?;
    }

    #[test]
    fn event_agrees(value in arbitrary::value(&arbitrary::parsed(&EVENT))) {
        agrees::<Notice>(&EVENT, value)?;
    }

    #[test]
    fn parked_agrees(value in arbitrary::value(&arbitrary::parsed(&PARKED))) {
        agrees::<Parked>(&PARKED, value)?;
    }

    #[test]
    fn longs_agree(n in any::<i64>()) {
        let theirs = arbitrary::write(&Schema::Long, Value::Long(n));
        let mut ours = Vec::new();
        put_long(&mut ours, n);
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(Reader::new(&theirs).long(), Ok(n));
    }

    #[test]
    fn any_bytes_end_in_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives::<Inbox>(&bytes)?;
        survives::<Command>(&bytes)?;
        survives::<Notice>(&bytes)?;
        survives::<Parked>(&bytes)?;
    }

    #[test]
    fn damaged_inbox_records_end_in_a_record_or_an_error(bytes in damaged(&INBOX)) {
        survives::<Inbox>(&bytes)?;
    }

    #[test]
    fn damaged_commands_end_in_a_record_or_an_error(bytes in damaged(&COMMAND)) {
        survives::<Command>(&bytes)?;
    }
}

#[test]
fn longs_at_their_ends() {
    for n in [0, -1, 1, 63, 64, -64, -65, i64::from(u32::MAX), i64::MAX, i64::MIN] {
        let mut bytes = Vec::new();
        put_long(&mut bytes, n);
        assert_eq!(bytes, arbitrary::write(&Schema::Long, Value::Long(n)));
        assert_eq!(Reader::new(&bytes).long(), Ok(n));
    }
}

#[test]
fn a_count_that_lies_makes_no_room() {
    // An array that claims 2^40 items, in a record that ends behind the claim.
    let mut bytes = Vec::new();
    put_long(&mut bytes, 1 << 40);
    assert!(Vec::<String>::from_bytes(&bytes).is_err());
    assert!(String::from_bytes(&bytes).is_err());
    put_long(&mut bytes, i64::MIN);
    assert!(Vec::<i64>::from_bytes(&bytes[6..]).is_err());
}

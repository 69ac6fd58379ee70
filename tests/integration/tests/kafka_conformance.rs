//! The suite that every log must pass, on a real Kafka broker.

use std::collections::BTreeMap;
use std::sync::Arc;

use sagaline_integration::kafka::{Broker, unique};
use sagaline_log::conformance::{SecondMember, Subject};
use sagaline_log::kafka::KafkaLog;

fn subject() -> Subject {
    let log = KafkaLog::connect(Broker::shared().bootstrap(), &BTreeMap::new()).expect("the broker answers");
    Subject {
        log: Arc::new(log),
        prefix: unique("conformance"),
        second_member: SecondMember::Shares,
        tick: Box::new(|| {}),
    }
}

sagaline_log::conformance_tests!(subject);

//! The simulated log does what every log must, without faults and with delays.
#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

use std::sync::Arc;

use sagaline_log::conformance::{SecondMember, Subject};
use sagaline_log::simulated::{Faults, Simulation};

fn subject_of(faults: Faults) -> Subject {
    let simulation = Simulation::new(1);
    simulation.set_faults(faults);
    Subject {
        log: Arc::new(simulation.log()),
        prefix: "t".to_owned(),
        second_member: SecondMember::Shares,
        tick: Box::new(move || simulation.advance(10)),
    }
}

mod at_once {
    sagaline_log::conformance_tests!(|| super::subject_of(super::Faults::default()));
}

mod with_delays {
    sagaline_log::conformance_tests!(|| super::subject_of(super::Faults {
        landing_ms: 0..=30,
        acknowledgement_ms: 0..=30,
        ..super::Faults::default()
    }));
}

//! A run that was never measured, for the tests of what is made of runs.

use super::Run;
use crate::raw::consume::Consumed;
use crate::raw::{self, pipe::Client};
use crate::refold::Refold;
use crate::slice::{self, Level};
use crate::timers::Timers;
use crate::waiting::Waiting;

/// One with so many steps a second at 512 in flight, beside 40,000 of the raw pass-through.
pub fn run(steps_per_second: f64) -> Run {
    Run {
        levels: vec![level(1, 1_000.0, 664.0), level(512, 40_000.0, steps_per_second)],
        every_step: Some(slice(512, steps_per_second)),
        refold: Some(Refold {
            records: 200_000,
            seconds: 10.0,
            cpu_seconds: 9.0,
            raw: Consumed { records: 200_000, seconds: 0.5 },
        }),
        waiting: Waiting {
            sagas: 100_000,
            table_bytes: 56_400_000,
            resident_before: 60 << 20,
            resident_after: 400 << 20,
            restart_seconds: 0.6,
        },
        timers: Timers { due_a_second: 1_000, count: 10_000, seconds: 10.0, p50_us: 9_000, p99_us: 25_000 },
        sanity: None,
    }
}

fn level(in_flight: u32, raw: f64, steps_per_second: f64) -> Level {
    let raw = raw::Figures {
        client: Client::Rdkafka,
        in_flight,
        steps_per_second: raw,
        latency_p50_us: 685,
        latency_p99_us: 1_809,
        cpu: raw::Cpu { relay: 0.007, participant: 0.006, driver: 0.002, broker: Some(0.015) },
    };
    Level { raw, slice: slice(in_flight, steps_per_second) }
}

fn slice(in_flight: u32, steps_per_second: f64) -> slice::Figures {
    slice::Figures {
        in_flight,
        steps_per_second,
        saga_p50_us: 6_512,
        saga_p99_us: 25_991,
        step_p50_us: 893,
        step_p99_us: 3_435,
        records_per_step: 2.06,
        records_per_step_with_events: 2.46,
        cpu: slice::Cpu { coordinator: 0.059, participant: 0.0096, driver: 0.0056, broker: Some(0.056) },
    }
}

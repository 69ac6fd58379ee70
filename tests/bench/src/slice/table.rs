//! The figures for people: a line for the slice, above it the raw pass-through's, and below what they are to each other.

use super::{Figures, Level};
use crate::raw;

pub fn head() {
    println!(
        "          in flight   steps/s   step p50 us  p99 us   saga p50 us   p99 us   \
         CPU-s per 1,000 steps: coordinator  participant  driver  broker   records a step  with events"
    );
}

pub fn print(level: &Level) {
    print_slice(&level.slice);
    let raw = &level.raw;
    println!(
        "slice/raw {:>9} {:>9.2} {:>13.2} {:>7.2}",
        raw.in_flight,
        level.slice.steps_per_second / raw.steps_per_second,
        f64::from(level.slice.step_p50_us) / f64::from(raw.latency_p50_us),
        f64::from(level.slice.step_p99_us) / f64::from(raw.latency_p99_us),
    );
}

/// At once: the slice's line comes half a minute later.
pub fn print_raw(raw: &raw::Figures) {
    println!(
        "raw       {:>9} {:>9.0} {:>13} {:>7} {:>13} {:>8} {:>36.4} {:>12.4} {:>7.4} {:>7}",
        raw.in_flight,
        raw.steps_per_second,
        raw.latency_p50_us,
        raw.latency_p99_us,
        "-",
        "-",
        raw.cpu.relay,
        raw.cpu.participant,
        raw.cpu.driver,
        or_dash(raw.cpu.broker),
    );
}

fn print_slice(slice: &Figures) {
    println!(
        "slice     {:>9} {:>9.0} {:>13} {:>7} {:>13} {:>8} {:>36.4} {:>12.4} {:>7.4} {:>7} {:>16.2} {:>12.2}",
        slice.in_flight,
        slice.steps_per_second,
        slice.step_p50_us,
        slice.step_p99_us,
        slice.saga_p50_us,
        slice.saga_p99_us,
        slice.cpu.coordinator,
        slice.cpu.participant,
        slice.cpu.driver,
        or_dash(slice.cpu.broker),
        slice.records_per_step,
        slice.records_per_step_with_events,
    );
}

fn or_dash(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.4}"))
}

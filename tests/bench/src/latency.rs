//! Latencies of one process between the orders `begin` and `end`, and their percentiles.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::process::{Orders, Phase};

/// What was seen between `begin` and `end`.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// Steps that were carried out.
    pub steps: u32,
    /// Latencies that were taken.
    pub count: usize,
    pub seconds: f64,
    pub p50_us: u32,
    pub p99_us: u32,
}

impl Measured {
    pub fn of(steps: u32, mut latencies: Vec<u32>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let percentile = |p: usize| latencies.get(latencies.len() * p / 100).copied().unwrap_or_default();
        let (count, seconds) = (latencies.len(), elapsed.as_secs_f64());
        Self { steps, count, seconds, p50_us: percentile(50), p99_us: percentile(99) }
    }

    pub fn steps_per_second(&self) -> f64 {
        f64::from(self.steps) / self.seconds
    }
}

/// Collects as it is ordered.
pub struct Latencies {
    orders: Orders,
    seen: Phase,
    begin: Instant,
    steps: u32,
    micros: Vec<u32>,
}

impl Latencies {
    pub fn new(orders: Orders) -> Self {
        Self { orders, seen: Phase::WarmUp, begin: Instant::now(), steps: 0, micros: Vec::new() }
    }

    /// Looks for orders; tells the parent what was seen when it is over.
    ///
    /// # Errors
    /// When the figures have no text.
    pub fn turn(&mut self) -> Result<()> {
        let phase = self.orders.phase();
        if phase == self.seen {
            return Ok(());
        }
        self.seen = phase;
        let (steps, seen) = (std::mem::take(&mut self.steps), std::mem::take(&mut self.micros));
        match phase {
            Phase::Over => println!("{}", serde_json::to_string(&Measured::of(steps, seen, self.begin.elapsed()))?),
            Phase::WarmUp | Phase::Measured => self.begin = Instant::now(),
        }
        Ok(())
    }

    /// A step was carried out.
    pub fn step(&mut self) {
        self.steps += 1;
    }

    pub fn add(&mut self, latency: Duration) {
        self.micros.push(micros(latency));
    }
}

/// What is beyond an hour and some minutes counts as that.
pub fn micros(latency: Duration) -> u32 {
    u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_seen_in_whatever_order() {
        let measured = Measured::of(300, (1..=200).rev().collect(), Duration::from_secs(2));
        assert_eq!((measured.count, measured.p50_us, measured.p99_us), (200, 101, 199));
        assert!((measured.steps_per_second() - 150.0).abs() < 1e-9);
    }

    #[test]
    fn of_nothing_there_is_nothing() {
        let measured = Measured::of(0, Vec::new(), Duration::from_secs(1));
        assert_eq!((measured.count, measured.p50_us, measured.p99_us), (0, 0, 0));
        assert_eq!(micros(Duration::from_secs(7_200)), u32::MAX);
    }
}

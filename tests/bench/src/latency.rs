//! Latencies of one process between the orders `begin` and `end`, and their percentiles.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::process::{Orders, Phase};

/// What was seen between `begin` and `end`.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    pub count: usize,
    pub seconds: f64,
    pub p50_us: u32,
    pub p99_us: u32,
}

impl Measured {
    pub fn of(mut latencies: Vec<u32>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let percentile = |p: usize| latencies.get(latencies.len() * p / 100).copied().unwrap_or_default();
        Self { count: latencies.len(), seconds: elapsed.as_secs_f64(), p50_us: percentile(50), p99_us: percentile(99) }
    }
}

/// Collects as it is ordered.
pub struct Latencies {
    orders: Orders,
    seen: Phase,
    begin: Instant,
    micros: Vec<u32>,
}

impl Latencies {
    pub fn new(orders: Orders) -> Self {
        Self { orders, seen: Phase::WarmUp, begin: Instant::now(), micros: Vec::new() }
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
        let seen = std::mem::take(&mut self.micros);
        match phase {
            Phase::Over => println!("{}", serde_json::to_string(&Measured::of(seen, self.begin.elapsed()))?),
            Phase::WarmUp | Phase::Measured => self.begin = Instant::now(),
        }
        Ok(())
    }

    pub fn add(&mut self, latency: Duration) {
        self.micros.push(micros(latency));
    }
}

/// What is beyond an hour and some minutes counts as that.
pub fn micros(latency: Duration) -> u32 {
    u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)
}

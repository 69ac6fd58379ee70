//! The figures R1 to R7: what each means, what is wanted of it, and how it is read off a run. Where there are several runs, the middle one counts.

use serde::Serialize;

use super::Run;
use super::words::{grouped, millis};
use crate::slice::Level;

const MIB: f64 = (1 << 20) as f64;

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

/// A figure of all runs.
#[derive(Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub meaning: String,
    pub unit: &'static str,
    /// Behind the point, where people read it.
    #[serde(skip)]
    pub decimals: usize,
    pub target: Target,
    /// One of each run.
    pub measured: Vec<Measurement>,
    pub median: f64,
    pub met: bool,
}

/// A figure of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    pub value: f64,
    /// What it was made of.
    pub of: String,
}

impl Measurement {
    fn new(value: f64, of: String) -> Self {
        Self { value, of }
    }
}

impl Figure {
    /// The run whose value counts: the middle one; of an even number the one below the middle.
    pub fn middle(&self) -> &Measurement {
        middle(&self.measured)
    }

    /// Its lowest and highest value.
    pub fn range(&self) -> (f64, f64) {
        let values = self.measured.iter().map(|measured| measured.value);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    }
}

fn middle(measured: &[Measurement]) -> &Measurement {
    let mut sorted: Vec<&Measurement> = measured.iter().collect();
    sorted.sort_by(|a, b| a.value.total_cmp(&b.value));
    sorted[(sorted.len() - 1) / 2]
}

/// How a figure is read off a run; none: that run did not measure it.
struct Kind {
    name: &'static str,
    unit: &'static str,
    decimals: usize,
    target: Target,
    meaning: fn(&Run) -> String,
    measure: fn(&Run) -> Option<Measurement>,
}

const KINDS: [Kind; 11] = [
    Kind {
        name: "R1",
        unit: "",
        decimals: 2,
        target: Target::AtLeast(0.4),
        meaning: |run| format!("steps a second / raw pass-through's, {} in flight", run.most_in_flight()),
        measure: |run| throughput(run.at(run.most_in_flight())?),
    },
    Kind {
        name: "R2",
        unit: "",
        decimals: 2,
        target: Target::AtMost(1.2),
        meaning: |_| "p50 of a step / raw pass-through's, 1 in flight".to_owned(),
        measure: |run| latency(run.at(1)?),
    },
    Kind {
        name: "R3",
        unit: "s",
        decimals: 4,
        target: Target::AtMost(0.03),
        meaning: |run| format!("coordinator's CPU for 1,000 steps, {} in flight", run.most_in_flight()),
        measure: |run| cpu(run.at(run.most_in_flight())?),
    },
    Kind {
        name: "R4",
        unit: "",
        decimals: 2,
        target: Target::AtMost(2.2),
        meaning: |_| "records a step, without the topic events".to_owned(),
        measure: |run| {
            let slice = &run.at(run.most_in_flight())?.slice;
            Some(Measurement::new(slice.records_per_step, "commands, replies, Progress".to_owned()))
        },
    },
    Kind {
        name: "R4",
        unit: "",
        decimals: 2,
        target: Target::AtMost(3.2),
        meaning: |_| "the same with events: starts and ends, which is the default".to_owned(),
        measure: |run| {
            let slice = &run.at(run.most_in_flight())?.slice;
            Some(Measurement::new(slice.records_per_step_with_events, "for orders of 5 steps".to_owned()))
        },
    },
    Kind {
        name: "R4",
        unit: "",
        decimals: 2,
        target: Target::AtMost(3.2),
        meaning: |_| "the same with events: every step too".to_owned(),
        measure: |run| {
            let slice = run.every_step.as_ref()?;
            Some(Measurement::new(slice.records_per_step_with_events, "the setting `events: steps`".to_owned()))
        },
    },
    Kind {
        name: "R5",
        unit: "B",
        decimals: 0,
        target: Target::AtMost(1024.0),
        meaning: |run| format!("RocksDB's bytes a waiting saga, of {}", grouped(run.waiting.sagas.into())),
        measure: |run| {
            let waiting = &run.waiting;
            Some(Measurement::new(
                waiting.bytes_each(),
                format!("{:.1} MiB of tables", waiting.table_bytes as f64 / MIB),
            ))
        },
    },
    Kind {
        name: "R5",
        unit: "MiB",
        decimals: 0,
        target: Target::AtMost(256.0),
        meaning: |run| format!("growth of resident memory, {} sagas waiting", grouped(run.waiting.sagas.into())),
        measure: |run| {
            let (before, after) = (run.waiting.resident_before as f64 / MIB, run.waiting.resident_after as f64 / MIB);
            Some(Measurement::new(run.waiting.growth() as f64 / MIB, format!("from {before:.0} to {after:.0} MiB")))
        },
    },
    Kind {
        name: "R6",
        unit: "",
        decimals: 3,
        target: Target::AtLeast(0.15),
        meaning: |_| "refold from an empty store / raw consume, records a second".to_owned(),
        measure: |run| {
            let refold = run.refold.as_ref()?;
            let (rate, raw) = (refold.rate(), refold.raw_rate());
            let us = refold.cpu_seconds * 1e6 / refold.records as f64;
            let of = format!(
                "{} / {} a second of {}, {us:.0} us of CPU each",
                grouped(rate),
                grouped(raw),
                grouped(refold.records as f64)
            );
            Some(Measurement::new(rate / raw, of))
        },
    },
    Kind {
        name: "R6",
        unit: "s",
        decimals: 1,
        target: Target::AtMost(5.0),
        meaning: |run| format!("restart with the store kept, {} sagas alive", grouped(run.waiting.sagas.into())),
        measure: |run| Some(Measurement::new(run.waiting.restart_seconds, "until every partition is live".to_owned())),
    },
    Kind {
        name: "R7",
        unit: "ms",
        decimals: 1,
        target: Target::AtMost(20.0),
        meaning: |run| format!("lateness of timers, p99, {} due a second", grouped(run.timers.due_a_second.into())),
        measure: |run| {
            let timers = &run.timers;
            let fired = grouped(timers.count as f64 / timers.seconds);
            let of = format!("p50 {} ms; {fired} fired a second", millis(timers.p50_us));
            Some(Measurement::new(f64::from(timers.p99_us) / 1000.0, of))
        },
    },
];

fn throughput(level: &Level) -> Option<Measurement> {
    let (slice, raw) = (level.slice.steps_per_second, level.raw.steps_per_second);
    Some(Measurement::new(slice / raw, format!("{} / {} steps a second", grouped(slice), grouped(raw))))
}

fn latency(level: &Level) -> Option<Measurement> {
    let (slice, raw) = (level.slice.step_p50_us, level.raw.latency_p50_us);
    Some(Measurement::new(f64::from(slice) / f64::from(raw), format!("{} / {} ms", millis(slice), millis(raw))))
}

fn cpu(level: &Level) -> Option<Measurement> {
    let (cpu, raw) = (&level.slice.cpu, &level.raw.cpu);
    let broker = cpu.broker.map_or_else(String::new, |broker| format!(", broker {broker:.4}"));
    let of =
        format!("participant {:.4}, driver {:.4}{broker}; raw relay {:.4}", cpu.participant, cpu.driver, raw.relay);
    Some(Measurement::new(cpu.coordinator, of))
}

/// Every figure that was measured in each of these runs.
pub fn of(runs: &[Run]) -> Vec<Figure> {
    let Some(first) = runs.first() else { return Vec::new() };
    let figure = |kind: &Kind| {
        let measured: Vec<Measurement> = runs.iter().map(kind.measure).collect::<Option<_>>()?;
        let median = middle(&measured).value;
        let Kind { name, unit, decimals, target, .. } = *kind;
        Some(Figure {
            name,
            meaning: (kind.meaning)(first),
            unit,
            decimals,
            target,
            measured,
            median,
            met: target.is_met(median),
        })
    };
    KINDS.iter().filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all::tests::run;

    #[test]
    fn a_bound_that_is_reached_is_met() {
        assert!(Target::AtLeast(0.4).is_met(0.4) && !Target::AtLeast(0.4).is_met(0.39));
        assert!(Target::AtMost(20.0).is_met(20.0) && !Target::AtMost(20.0).is_met(20.1));
        assert!(!Target::AtMost(20.0).is_met(f64::NAN) && !Target::AtLeast(0.4).is_met(f64::NAN));
    }

    #[test]
    fn the_middle_run_counts_and_says_what_it_was_made_of() {
        let of = |steps| of(&[run(100.0), run(steps), run(20_000.0)]).swap_remove(0);
        let figure = of(12_249.0);
        assert_eq!((figure.name, figure.median, figure.met), ("R1", 0.306_225, false));
        assert_eq!(figure.middle().of, "12,249 / 40,000 steps a second");
        assert_eq!(figure.range(), (0.0025, 0.5));
        assert!(of(16_000.0).met);
    }

    #[test]
    fn each_of_the_seven_has_its_line() {
        let figures = of(&[run(12_249.0)]);
        let names: Vec<&str> = figures.iter().map(|figure| figure.name).collect();
        assert_eq!(names, ["R1", "R2", "R3", "R4", "R4", "R4", "R5", "R5", "R6", "R6", "R7"]);
    }

    #[test]
    fn what_a_run_did_not_measure_has_no_line() {
        let mut without = run(12_249.0);
        (without.refold, without.every_step) = (None, None);
        assert_eq!(of(&[run(1.0), without]).len(), 9);
        assert!(of(&[]).is_empty());
    }
}

//! What is drawn of the runs: latency against load and throughput, and what a step costs as work grows.

use super::Run;
use super::growth::{Grown, Growth};
use crate::chart::{Axis, Chart, Kind, Line, Panel, Point, Series, short};
use crate::slice::Level;

const RAW: &str = "#57606a";
const SLICE: &str = "#d1480a";
const COST: &str = "#0969da";
/// Microseconds of the coordinator's CPU for a step: R3.
const COST_WANTED: f64 = 30.0;

/// A line of the latency's plot.
struct Curve {
    name: &'static str,
    colour: &'static str,
    dashed: bool,
    /// Steps a second, and their latency in microseconds.
    of: fn(&Level) -> (f64, u32),
}

const CURVES: [Curve; 4] = [
    Curve {
        name: "raw pass-through, p50",
        colour: RAW,
        dashed: false,
        of: |level| (level.raw.steps_per_second, level.raw.latency_p50_us),
    },
    Curve {
        name: "raw pass-through, p99",
        colour: RAW,
        dashed: true,
        of: |level| (level.raw.steps_per_second, level.raw.latency_p99_us),
    },
    Curve {
        name: "Sagaline, p50",
        colour: SLICE,
        dashed: false,
        of: |level| (level.slice.steps_per_second, level.slice.step_p50_us),
    },
    Curve {
        name: "Sagaline, p99",
        colour: SLICE,
        dashed: true,
        of: |level| (level.slice.steps_per_second, level.slice.step_p99_us),
    },
];

impl Curve {
    fn line(&self) -> Line {
        Line { name: self.name.to_owned(), colour: self.colour, dashed: self.dashed }
    }

    fn series(&self, levels: &[Level], against: Against) -> Series {
        let point = |level: &Level| {
            let (rate, micros) = (self.of)(level);
            let in_flight = level.slice.in_flight;
            let (x, tag) = match against {
                Against::Load => (f64::from(in_flight), String::new()),
                // Both lines of a kind have the same throughput.
                Against::Throughput if self.dashed => (rate, String::new()),
                Against::Throughput => (rate, in_flight.to_string()),
            };
            Point { x, y: f64::from(micros) / 1000.0, tag }
        };
        Series { line: self.line(), points: levels.iter().map(point).collect() }
    }
}

#[derive(Clone, Copy)]
enum Against {
    Load,
    Throughput,
}

/// Of one run.
pub fn latency(run: &Run, place: &str, note: &str) -> Chart {
    let axis = |label: &str, ticks| Axis { label: label.to_owned(), kind: Kind::Log, ticks };
    let panel = |title: &str, x, against| Panel {
        title: title.to_owned(),
        x,
        y: axis("latency of a step, milliseconds", Vec::new()),
        series: CURVES.iter().map(|curve| curve.series(&run.levels, against)).collect(),
        target: None,
    };
    let levels = run.levels.iter().map(|level| f64::from(level.slice.in_flight)).collect();
    let throughput = axis("steps a second (the number beside a point: sagas in flight)", Vec::new());
    Chart {
        title: format!("Latency of a step on {place}"),
        note: note.to_owned(),
        columns: 2,
        panels: vec![
            panel("against load", axis("sagas in flight", levels), Against::Load),
            panel("against throughput", throughput, Against::Throughput),
        ],
        legend: CURVES.iter().map(Curve::line).collect(),
    }
}

/// Above, what a step costs the coordinator; below, how many there are a second.
pub fn growth(growth: &Growth, place: &str, note: &str) -> Chart {
    let line = Line { name: format!("Sagaline, {} sagas in flight", growth.in_flight), colour: COST, dashed: false };
    let panel = |title: &str, label: &str, grown: &[Grown], y: &str, of: fn(&Grown) -> f64, target| Panel {
        title: title.to_owned(),
        x: Axis {
            label: label.to_owned(),
            kind: Kind::Log,
            ticks: grown.iter().map(|one| f64::from(one.size)).collect(),
        },
        y: Axis { label: y.to_owned(), kind: Kind::Linear, ticks: Vec::new() },
        series: vec![Series {
            line: line.clone(),
            points: grown.iter().map(|one| Point { x: f64::from(one.size), y: of(one), tag: short(of(one)) }).collect(),
        }],
        target,
    };
    let grown = [
        ("more partitions", "inbox partitions", &growth.partitions),
        ("more sagas that live beside", "sagas that wait", &growth.live),
        ("more steps in a saga", "steps", &growth.steps),
    ];
    let cost = grown.iter().map(|(title, label, grown)| {
        panel(title, label, grown, "CPU of a step, microseconds", Grown::cost, Some(COST_WANTED))
    });
    let rate = grown
        .iter()
        .map(|(_, label, grown)| panel("", label, grown, "steps a second", |one| one.figures.steps_per_second, None));
    Chart {
        title: format!("What a step costs the coordinator as work grows, on {place}"),
        note: note.to_owned(),
        columns: 3,
        panels: cost.chain(rate).collect(),
        legend: vec![line.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all::tests::run;

    #[test]
    fn both_panels_draw_each_level_of_all_four_lines() {
        let svg = latency(&run(12_249.0), "Kafka", "a note").svg();
        // Two panels of four lines of two levels, and four in the legend.
        assert_eq!(svg.matches("<circle").count(), 2 * 4 * 2 + 4);
        for wanted in
            ["sagas in flight", "steps a second", "milliseconds", "raw pass-through, p99", "Sagaline, p50", ">512<"]
        {
            assert!(svg.contains(wanted), "no {wanted} in {svg}");
        }
    }
}

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

/// Of one run: the one whose throughput is the middle one.
pub fn latency(run: &Run, place: &str, note: &str) -> Chart {
    let figures: [(&str, &'static str, bool, fn(&Level) -> (f64, u32)); 4] = [
        ("raw pass-through, p50", RAW, false, |level| (level.raw.steps_per_second, level.raw.latency_p50_us)),
        ("raw pass-through, p99", RAW, true, |level| (level.raw.steps_per_second, level.raw.latency_p99_us)),
        ("Sagaline, p50", SLICE, false, |level| (level.slice.steps_per_second, level.slice.step_p50_us)),
        ("Sagaline, p99", SLICE, true, |level| (level.slice.steps_per_second, level.slice.step_p99_us)),
    ];
    let line = |name: &str, colour, dashed| Line { name: name.to_owned(), colour, dashed };
    let millis = |micros: u32| f64::from(micros) / 1000.0;
    let series = |x: fn(&Level, f64) -> f64, tags: bool| {
        let of = |(name, colour, dashed, figure): &(&str, &'static str, bool, fn(&Level) -> (f64, u32))| Series {
            line: line(name, colour, *dashed),
            points: run
                .levels
                .iter()
                .map(|level| {
                    let (rate, latency) = figure(level);
                    // Both lines of a kind have the same throughput.
                    let tag = if tags && !dashed { level.slice.in_flight.to_string() } else { String::new() };
                    Point { x: x(level, rate), y: millis(latency), tag }
                })
                .collect(),
        };
        figures.iter().map(of).collect::<Vec<Series>>()
    };
    let levels = run.levels.iter().map(|level| f64::from(level.slice.in_flight)).collect();
    let axis = |label: &str, ticks| Axis { label: label.to_owned(), kind: Kind::Log, ticks };
    let y = || axis("latency of a step, milliseconds", Vec::new());
    Chart {
        title: format!("Latency of a step on {place}"),
        note: note.to_owned(),
        columns: 2,
        panels: vec![
            Panel {
                title: "against load".to_owned(),
                x: axis("sagas in flight", levels),
                y: y(),
                series: series(|level, _| f64::from(level.slice.in_flight), false),
                target: None,
            },
            Panel {
                title: "against throughput".to_owned(),
                x: axis("steps a second (the number beside a point: sagas in flight)", Vec::new()),
                y: y(),
                series: series(|_, rate| rate, true),
                target: None,
            },
        ],
        legend: figures.iter().map(|(name, colour, dashed, _)| line(name, colour, *dashed)).collect(),
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

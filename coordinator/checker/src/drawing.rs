//! The graph of a definition as SVG: layers from top to bottom, a box for each step, the pivot marked, and the way back if one is given.

use std::collections::BTreeMap;
use std::fmt::Write;

use sagaline_definition::model::{Definition, Sleep, Step, StepIndex, Verb};

use crate::plan::Plan;

const WIDTH: f64 = 190.0;
const HEIGHT: f64 = 54.0;
const GAP: (f64, f64) = (36.0, 46.0);
const MARGIN: f64 = 32.0;
const TITLE: f64 = 64.0;

const STYLE: &str = "\
text{font-family:'DejaVu Sans',Verdana,sans-serif;fill:#1b2733}\
.name{font-size:14px;font-weight:600}.verb{font-size:11px;fill:#55636f}.title{font-size:17px;font-weight:600}\
.note{font-size:12px;fill:#55636f}.box{fill:#fff;stroke:#8a99a8;stroke-width:1.4}\
.effect{fill:#eef5fb;stroke:#3a76a8}.people{fill:#fdf6e3;stroke:#b58a1f}.pivot{stroke-width:3.5;stroke:#1b2733}\
.failed{fill:#fbe3e1;stroke:#b3261e;stroke-width:2.4}.undone{fill:#fdeee0;stroke:#c8671a;stroke-width:2.4}\
.edge{fill:none;stroke:#8a99a8;stroke-width:1.5}.back{fill:none;stroke:#c8671a;stroke-width:2.4;stroke-dasharray:7 4}\
.badge{fill:#c8671a}.number{font-size:12px;font-weight:700;fill:#fff}.mark{font-size:10px;font-weight:700}";

/// Draws it. With a plan, what is undone is numbered in its order.
pub fn draw(definition: &Definition, plan: Option<&Plan>) -> String {
    let places = places(definition);
    let (columns, rows) = places.values().fold((0, 0), |(x, y), at| (x.max(at.of), y.max(at.row + 1)));
    let width = MARGIN * 2.0 + columns as f64 * (WIDTH + GAP.0) - GAP.0 + 60.0;
    let width = width.max(460.0);
    let height = TITLE + MARGIN * 2.0 + rows as f64 * (HEIGHT + GAP.1) - GAP.1 + 26.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n\
         <defs><marker id=\"a\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0L10 5L0 10z\" fill=\"#8a99a8\"/></marker>\
         <marker id=\"b\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 0L10 5L0 10z\" fill=\"#c8671a\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let middle = |at: &Place| (at.x(columns, width), at.y());
    title(&mut svg, definition, plan);
    for (number, step) in definition.steps.iter().enumerate() {
        for before in &step.after {
            edge(&mut svg, middle(&places[before]), middle(&places[&number]));
        }
    }
    if let Some(plan) = plan {
        let mut from = middle(&places[&plan.failed]);
        for (_, step, _) in &plan.undone {
            let to = middle(&places[step]);
            way_back(&mut svg, from, to);
            from = to;
        }
    }
    for (number, step) in definition.steps.iter().enumerate() {
        draw_step(&mut svg, step, number, middle(&places[&number]), plan);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a step stands: its row, and its column of so many in that row.
struct Place {
    row: usize,
    column: usize,
    of: usize,
}

impl Place {
    fn x(&self, _columns: usize, width: f64) -> f64 {
        let row = self.of as f64 * (WIDTH + GAP.0) - GAP.0;
        (width - row) / 2.0 + self.column as f64 * (WIDTH + GAP.0) + WIDTH / 2.0
    }

    fn y(&self) -> f64 {
        TITLE + MARGIN + self.row as f64 * (HEIGHT + GAP.1) + HEIGHT / 2.0
    }
}

/// A row for each longest way from the start; within a row in the order of what comes before.
fn places(definition: &Definition) -> BTreeMap<StepIndex, Place> {
    let mut rows: BTreeMap<StepIndex, usize> = BTreeMap::new();
    for _ in 0..definition.steps.len() {
        for (number, step) in definition.steps.iter().enumerate() {
            let row = step.after.iter().map(|before| rows.get(before).copied().unwrap_or(0) + 1).max().unwrap_or(0);
            rows.insert(number, row);
        }
    }
    let mut placed: BTreeMap<StepIndex, Place> = BTreeMap::new();
    let last = rows.values().max().copied().unwrap_or(0);
    for row in 0..=last {
        let mut here: Vec<StepIndex> = rows.iter().filter(|(_, of)| **of == row).map(|(step, _)| *step).collect();
        let pull = |step: &StepIndex| {
            let before = &definition.steps[*step].after;
            let columns = before.iter().filter_map(|before| placed.get(before));
            let sum: f64 = columns.map(|place| (place.column as f64 + 0.5) / place.of as f64).sum();
            (sum / before.len().max(1) as f64 * 1_000.0) as i64
        };
        here.sort_by_key(|step| (pull(step), *step));
        let of = here.len();
        placed.extend(here.into_iter().enumerate().map(|(column, step)| (step, Place { row, column, of })));
    }
    placed
}

fn title(svg: &mut String, definition: &Definition, plan: Option<&Plan>) {
    let name = escaped(&format!("{} {}", definition.saga, definition.version));
    let _ = writeln!(svg, "<text class=\"title\" x=\"{MARGIN}\" y=\"34\">{name}</text>");
    if let Some(plan) = plan {
        let step = &definition.steps[plan.failed].step;
        let text = match plan.undone.len() {
            0 => format!("If {step} fails, nothing is undone. End: {}", plan.end),
            count => format!("If {step} fails, {count} are undone in this order. End: {}", plan.end),
        };
        let _ = writeln!(svg, "<text class=\"note\" x=\"{MARGIN}\" y=\"56\">{}</text>", escaped(&text));
    }
}

fn edge(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let (a, b) = (from.1 + HEIGHT / 2.0, to.1 - HEIGHT / 2.0 - 2.0);
    let bend = (b - a) / 2.0;
    let _ = writeln!(
        svg,
        "<path class=\"edge\" marker-end=\"url(#a)\" d=\"M{} {a}C{} {} {} {} {} {b}\"/>",
        from.0,
        from.0,
        a + bend,
        to.0,
        b - bend,
        to.0
    );
}

/// From one step to the next that is undone: along the right side of the boxes, or from side to side within a row.
fn way_back(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    if from == to {
        return;
    }
    let side = if to.0 < from.0 { -1.0 } else { 1.0 };
    let (start, through, end) = if from.1 == to.1 && (from.0 - to.0).abs() < WIDTH + GAP.0 + 1.0 {
        let (a, b) = (from.0 + side * WIDTH / 2.0, to.0 - side * (WIDTH / 2.0 + 3.0));
        ((a, from.1), [(a, from.1), (b, to.1)], (b, to.1))
    } else if from.1 == to.1 {
        // Below the boxes between the two.
        let (a, low) = (from.1 + HEIGHT / 2.0, from.1 + HEIGHT / 2.0 + GAP.1 * 0.6);
        ((from.0, a), [(from.0, low), (to.0, low)], (to.0, a + 3.0))
    } else {
        let (a, b) = (from.0 + WIDTH / 2.0, to.0 + WIDTH / 2.0 + 3.0);
        let out = a.max(b) + 34.0;
        ((a, from.1), [(out, from.1), (out, to.1)], (b, to.1))
    };
    let [first, second] = through;
    let _ = writeln!(
        svg,
        "<path class=\"back\" marker-end=\"url(#b)\" d=\"M{} {}C{} {} {} {} {} {}\"/>",
        start.0, start.1, first.0, first.1, second.0, second.1, end.0, end.1
    );
}

fn draw_step(svg: &mut String, step: &Step, number: StepIndex, at: (f64, f64), plan: Option<&Plan>) {
    let (x, y) = (at.0 - WIDTH / 2.0, at.1 - HEIGHT / 2.0);
    let order: Vec<usize> = plan
        .iter()
        .flat_map(|plan| &plan.undone)
        .enumerate()
        .filter(|(_, (_, step, _))| *step == number)
        .map(|(order, _)| order + 1)
        .collect();
    let mut class = String::from(kind(step));
    if step.pivot {
        class.push_str(" pivot");
    }
    if plan.is_some_and(|plan| plan.failed == number) {
        class.push_str(" failed");
    } else if !order.is_empty() {
        class.push_str(" undone");
    }
    let _ = writeln!(
        svg,
        "<rect class=\"box {class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"7\"/>"
    );
    let _ = writeln!(
        svg,
        "<text class=\"name\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text>",
        at.0,
        at.1 - 4.0,
        escaped(&fitting(&step.step, 21))
    );
    let _ = writeln!(
        svg,
        "<text class=\"verb\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text>",
        at.0,
        at.1 + 15.0,
        escaped(&fitting(&verb(step), 30))
    );
    let mark = [(step.pivot, "PIVOT"), (step.condition.is_some(), "IF"), (step.for_each.is_some(), "EACH")];
    let marks: Vec<&str> = mark.into_iter().filter(|(has, _)| *has).map(|(_, mark)| mark).collect();
    if !marks.is_empty() {
        let _ = writeln!(
            svg,
            "<text class=\"mark\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{}</text>",
            x + WIDTH - 4.0,
            y - 4.0,
            marks.join(" · ")
        );
    }
    if let (Some(first), Some(last)) = (order.first(), order.last()) {
        let label = if first == last { first.to_string() } else { format!("{first}–{last}") };
        let wide = 20.0 + 7.0 * label.len().saturating_sub(1) as f64;
        let _ = writeln!(
            svg,
            "<rect class=\"badge\" x=\"{}\" y=\"{}\" width=\"{wide}\" height=\"20\" rx=\"10\"/>",
            x - 10.0,
            y - 9.0
        );
        let _ = writeln!(
            svg,
            "<text class=\"number\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{label}</text>",
            x - 10.0 + wide / 2.0,
            y + 5.0
        );
    }
}

fn kind(step: &Step) -> &'static str {
    match &step.verb {
        Verb::Call(_) | Verb::Saga(_) => "effect",
        Verb::Approve(_) => "people",
        Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Decide(_) => "",
    }
}

fn verb(step: &Step) -> String {
    match &step.verb {
        Verb::Call(call) => format!("{}.{}", call.participant, call.operation),
        Verb::Saga(child) => format!("saga {}", child.saga),
        Verb::Sleep(Sleep::Window(calendar) | Sleep::Workdays { calendar, .. }) => format!("sleep: {calendar}"),
        Verb::Sleep(_) => "sleep".to_owned(),
        Verb::Wait(wait) => format!("wait: {}", wait.topic),
        Verb::Until(until) => format!("until {}", until.condition),
        Verb::Approve(approve) => format!("approve: {}", approve.by.join(", ")),
        Verb::Decide(_) => "decide".to_owned(),
    }
}

fn fitting(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

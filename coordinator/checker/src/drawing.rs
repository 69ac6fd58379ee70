//! The graph of a definition as SVG: rows from top to bottom, a box for each step, the pivot marked, and the way back if one is given. Where
//! boxes stand says `layout.rs`, where the way back runs `way_back.rs`; here is only drawn.

mod layout;
mod way_back;

use std::fmt::Write;

use sagaline_definition::model::{Definition, Sleep, Step, StepIndex, Verb};

use crate::plan::Plan;
use layout::{HEIGHT, Layout, Of, layout};
use way_back::{Frame, WayBack};

/// Least room between two rows.
const GAP: f64 = 46.0;
const MARGIN: f64 = 32.0;
const TITLE: f64 = 56.0;
/// A box is as wide as its name, and within these as its verb.
const WIDTHS: (f64, f64) = (150.0, 300.0);
/// Left and right of a box's texts.
const PADDING: f64 = 16.0;
const NAME: f64 = 14.0;
const VERB: f64 = 11.0;
const MARK: f64 = 10.0;

const STYLE: &str = "\
text{font-family:'DejaVu Sans',Verdana,sans-serif;fill:#1b2733}\
.name{font-size:14px;font-weight:600}.verb{font-size:11px;fill:#55636f}.title{font-size:17px;font-weight:600}\
.note{font-size:12px;fill:#55636f}.box{fill:#fff;stroke:#8a99a8;stroke-width:1.4}\
.effect{fill:#eef5fb;stroke:#3a76a8}.people{fill:#fdf6e3;stroke:#b58a1f}.pivot{stroke-width:3.5;stroke:#1b2733}\
.failed{fill:#fbe3e1;stroke:#b3261e;stroke-width:2.4}.undone{fill:#fdeee0;stroke:#c8671a;stroke-width:2.4}\
.edge{fill:none;stroke:#8a99a8;stroke-width:1.5}\
.back{fill:none;stroke:#c8671a;stroke-width:2;stroke-dasharray:6 4;stroke-linejoin:round}\
.badge{fill:#c8671a}.number{font-size:12px;font-weight:700;fill:#fff}.mark{font-size:10px;font-weight:700}";

/// Draws it. With a plan, what is undone is numbered in its order.
pub fn draw(definition: &Definition, plan: Option<&Plan>) -> String {
    let labels: Vec<Label> =
        definition.steps.iter().enumerate().map(|(number, step)| Label::of(step, number, plan)).collect();
    let mut layout = layout(definition, |step| labels[step].width());
    layout.places.iter_mut().for_each(|place| place.x += MARGIN);
    let undone = plan.into_iter().flat_map(|plan| plan.undone.iter().map(|(_, step, _)| *step));
    let path: Vec<StepIndex> = plan.into_iter().map(|plan| plan.failed).chain(undone).collect();
    let way = WayBack::through(&layout, &path);
    let title = title(definition, plan);
    let (rows, bottom) = rows(&way, layout.rows.len());
    let right = layout.right();
    let texts = width(&title.0, 17.0).max(width(&title.1, 12.0) * 0.9) + 2.0 * MARGIN;
    let size = ((right + way.beside() + MARGIN).max(texts).ceil(), (bottom + MARGIN).ceil());
    let mut svg = String::new();
    opening(&mut svg, size, &title);
    edges(&mut svg, &layout, &rows);
    let frame = Frame { rows: &rows, top: TITLE, right };
    for hop in &way.hops {
        let corners: Vec<String> = hop.corners(&layout, &frame).iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        let _ = writeln!(svg, "<path class=\"back\" marker-end=\"url(#b)\" d=\"M{}\"/>", corners.join("L"));
    }
    for (number, (step, label)) in definition.steps.iter().zip(&labels).enumerate() {
        let place = &layout.places[number];
        draw_step(&mut svg, (step, label), (place.x, rows[place.row].0, place.width));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Top and bottom of each row, and where the last gap ends.
fn rows(way: &WayBack, count: usize) -> (Vec<(f64, f64)>, f64) {
    let (mut rows, mut y) = (Vec::new(), TITLE);
    for row in 0..count {
        let gap = if row == 0 { MARGIN } else { GAP };
        let top = y + gap + way.room(row);
        y = top + HEIGHT;
        rows.push((top, y));
    }
    (rows, y + way.room(count))
}

/// The name, and what fails.
fn title(definition: &Definition, plan: Option<&Plan>) -> (String, String) {
    let name = format!("{} {}", definition.saga, definition.version);
    let Some(plan) = plan else { return (name, String::new()) };
    let step = &definition.steps[plan.failed].step;
    let undone = match plan.undone.len() {
        0 => "nothing is undone".to_owned(),
        1 => "one effect is undone".to_owned(),
        count => format!("{count} effects are undone, in the order of the numbers"),
    };
    (name, format!("If {step} fails, {undone}. Then: {}", plan.end))
}

fn opening(svg: &mut String, (width, height): (f64, f64), (name, note): &(String, String)) {
    let arrow = |id: &str, colour: &str| {
        format!(
            "<marker id=\"{id}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
             <path d=\"M0 0L10 5L0 10z\" fill=\"{colour}\"/></marker>"
        )
    };
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n<defs>{}{}</defs>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"34\">{}</text>\n",
        arrow("a", "#8a99a8"),
        arrow("b", "#c8671a"),
        escaped(name)
    );
    if !note.is_empty() {
        let _ = writeln!(svg, "<text class=\"note\" x=\"{MARGIN}\" y=\"56\">{}</text>", escaped(note));
    }
}

/// From the bottom of a box to the top of the next, straight through the rows between.
fn edges(svg: &mut String, layout: &Layout, rows: &[(f64, f64)]) {
    for (from, to) in &layout.links {
        let (from, to) = (&layout.places[*from], &layout.places[*to]);
        let (a, top) = (rows[from.row].1, rows[to.row].0);
        let (b, end) = match to.of {
            Of::Step(_) => (top - 2.0, " marker-end=\"url(#a)\""),
            Of::Edge => (top, ""),
        };
        let bend = (b - a) / 2.0;
        let through = if to.of == Of::Edge { format!("L{:.1} {:.1}", to.x, rows[to.row].1) } else { String::new() };
        let _ = writeln!(
            svg,
            "<path class=\"edge\"{end} d=\"M{0:.1} {a:.1}C{0:.1} {1:.1} {2:.1} {3:.1} {2:.1} {b:.1}{through}\"/>",
            from.x,
            a + bend,
            to.x,
            b - bend,
        );
    }
}

/// What stands in a box, and how it is marked.
struct Label {
    name: String,
    verb: String,
    marks: String,
    class: String,
    /// Its numbers on the way back.
    numbers: String,
}

impl Label {
    fn of(step: &Step, number: StepIndex, plan: Option<&Plan>) -> Self {
        let undone = plan.into_iter().flat_map(|plan| &plan.undone);
        let order: Vec<usize> = (1..).zip(undone).filter(|(_, (_, step, _))| *step == number).map(|(n, _)| n).collect();
        let fails = plan.is_some_and(|plan| plan.failed == number);
        let marks = [
            (fails, "FAILS"),
            (step.pivot, "PIVOT"),
            (step.condition.is_some(), "IF"),
            (step.for_each.is_some(), "FOR EACH"),
        ];
        let classes = [(step.pivot, " pivot"), (fails, " failed"), (!fails && !order.is_empty(), " undone")];
        Self {
            name: step.step.clone(),
            verb: fitting(&verb(step), VERB, WIDTHS.1 - PADDING),
            marks: said(&marks).join(" · "),
            class: format!("{}{}", kind(step), said(&classes).concat()),
            numbers: numbers(&order),
        }
    }

    fn width(&self) -> f64 {
        let texts = [(&self.name, NAME), (&self.verb, VERB), (&self.marks, MARK)];
        let widest = texts.map(|(text, size)| width(text, size)).into_iter().fold(0.0, f64::max);
        (widest + PADDING).max(WIDTHS.0).ceil()
    }
}

fn said<'a>(words: &[(bool, &'a str)]) -> Vec<&'a str> {
    words.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect()
}

/// `2`, `2–5`, or `2, 5` where others lie between.
fn numbers(order: &[usize]) -> String {
    match order {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] if last - first + 1 == order.len() => format!("{first}–{last}"),
        many => many.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// In a group of its own, whose first text lies in its first rectangle, as all but the number does.
fn draw_step(svg: &mut String, (step, label): (&Step, &Label), (x, y, width): (f64, f64, f64)) {
    let left = x - width / 2.0;
    let Label { name, verb: short, marks, class, numbers } = label;
    let whole = escaped(&format!("{}: {}", step.step, verb(step)));
    let _ = writeln!(
        svg,
        "<g class=\"step\"><title>{whole}</title>\n\
         <rect class=\"box {class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"7\"/>"
    );
    let lines = if marks.is_empty() { [29.0, 48.0, 0.0] } else { [22.0, 39.0, 56.0] };
    for ((kind, text), down) in [("name", name), ("verb", short), ("mark", marks)].into_iter().zip(lines) {
        if !text.is_empty() {
            let (y, text) = (y + down, escaped(text));
            let _ =
                writeln!(svg, "<text class=\"{kind}\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
        }
    }
    if !numbers.is_empty() {
        let wide = 14.0 + self::width(numbers, 12.0);
        let _ = writeln!(
            svg,
            "<rect class=\"badge\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"20\" rx=\"10\"/>\n\
             <text class=\"number\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{numbers}</text>",
            left - 10.0,
            y - 10.0,
            left - 10.0 + wide / 2.0,
            y + 4.0
        );
    }
    svg.push_str("</g>\n");
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

/// At least as wide as it will be drawn, in the bold letters of the fonts that are asked for.
fn width(text: &str, size: f64) -> f64 {
    let letter = |letter: char| match letter {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.42,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '-' => 0.52,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' => 1.1,
        'A'..='Z' | '=' | '+' | '<' | '>' | '&' => 0.86,
        _ => 0.74,
    };
    text.chars().map(letter).sum::<f64>() * size
}

/// As much of a text as fits.
fn fitting(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut cut = String::new();
    for letter in text.chars() {
        if width(&cut, size) + width("M…", size) > most {
            break;
        }
        cut.push(letter);
    }
    format!("{}…", cut.trim_end())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! Charts as SVG: panels side by side, each with two axes, lines with points, and one legend for all. It knows numbers and words, nothing of what
//! was measured; the same values give the same bytes.

mod scale;

use std::fmt::Write as _;

pub use scale::{Kind, Scale, short};

/// Of a panel, pixels: the drawn field, and the room around it for words.
const FIELD: (f64, f64) = (400.0, 280.0);
const LEFT: f64 = 78.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 58.0;
/// Above all panels, and below them.
const HEAD: f64 = 66.0;
const FOOT: f64 = 44.0;
const RADIUS: f64 = 4.0;

const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:13px;fill:#24292f}\
    .title{font-size:19px;font-weight:600}.note{fill:#57606a}.panel{font-size:14px;font-weight:600}\
    .grid{stroke:#d8dee4;stroke-width:1}.frame{fill:none;stroke:#8c959f;stroke-width:1}\
    .tag{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\
    .target{stroke:#1a7f37;stroke-width:1.5;stroke-dasharray:2 4}";

/// A whole picture.
pub struct Chart {
    pub title: String,
    /// Under the title: where and when.
    pub note: String,
    /// How many stand side by side.
    pub columns: usize,
    pub panels: Vec<Panel>,
    /// Explained once for all panels.
    pub legend: Vec<Line>,
}

/// Two axes and what is drawn between them.
pub struct Panel {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    /// A value of y that is wanted.
    pub target: Option<f64>,
}

pub struct Axis {
    /// With its unit.
    pub label: String,
    pub kind: Kind,
    /// Where it is marked; none: at round values.
    pub ticks: Vec<f64>,
}

/// How a line looks, and what it is.
#[derive(Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub colour: &'static str,
    /// Broken, with hollow points.
    pub dashed: bool,
}

pub struct Series {
    pub line: Line,
    /// In the order in which they are joined.
    pub points: Vec<Point>,
}

pub struct Point {
    pub x: f64,
    pub y: f64,
    /// Said beside it.
    pub tag: String,
}

impl Chart {
    pub fn svg(&self) -> String {
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let rows = self.panels.len().div_ceil(columns);
        let (wide, high) = (LEFT + FIELD.0 + RIGHT, TOP + FIELD.1 + BOTTOM);
        let (width, height) = (wide * columns as f64, HEAD + high * rows as f64 + FOOT);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
             role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            escaped(&self.title)
        );
        text(&mut svg, (24.0, 32.0), "title", "start", &self.title);
        text(&mut svg, (24.0, 54.0), "note", "start", &self.note);
        for (number, panel) in self.panels.iter().enumerate() {
            let (column, row) = ((number % columns) as f64, (number / columns) as f64);
            panel.draw(&mut svg, (wide * column + LEFT, HEAD + high * row + TOP));
        }
        self.draw_legend(&mut svg, height - FOOT / 2.0);
        svg.push_str("</svg>\n");
        svg
    }

    fn draw_legend(&self, svg: &mut String, y: f64) {
        let mut x = LEFT;
        for line in &self.legend {
            stroke(svg, line, &[(x, y), (x + 34.0, y)]);
            dot(svg, line, (x + 17.0, y));
            text(svg, (x + 42.0, y + 4.5), "", "start", &line.name);
            // Letters are about so wide; the rest is room.
            x += 42.0 + 7.2 * line.name.chars().count() as f64 + 28.0;
        }
    }
}

impl Panel {
    /// `at`: the upper left corner of its field.
    fn draw(&self, svg: &mut String, at: (f64, f64)) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = self.x.scale(points().map(|point| point.x));
        let y = self.y.scale(points().map(|point| point.y).chain(self.target));
        let place = |px: f64, py: f64| (at.0 + FIELD.0 * x.at(px), at.1 + FIELD.1 * (1.0 - y.at(py)));

        text(svg, (at.0, at.1 - 16.0), "panel", "start", &self.title);
        for tick in self.x.marks(&x) {
            let (px, bottom) = (place(tick, y.low).0, at.1 + FIELD.1);
            line(svg, "grid", (px, at.1), (px, bottom));
            text(svg, (px, bottom + 19.0), "", "middle", &short(tick));
        }
        for tick in self.y.marks(&y) {
            let py = place(x.low, tick).1;
            line(svg, "grid", (at.0, py), (at.0 + FIELD.0, py));
            text(svg, (at.0 - 8.0, py + 4.5), "", "end", &short(tick));
        }
        let _ = writeln!(
            svg,
            "<rect class=\"frame\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            at.0, at.1, FIELD.0, FIELD.1
        );
        text(svg, (at.0 + FIELD.0 / 2.0, at.1 + FIELD.1 + 42.0), "note", "middle", &self.x.label);
        let (lx, ly) = (at.0 - 56.0, at.1 + FIELD.1 / 2.0);
        let _ = writeln!(
            svg,
            "<text class=\"note\" x=\"{lx:.1}\" y=\"{ly:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 {lx:.1} {ly:.1})\">{}</text>",
            escaped(&self.y.label)
        );
        if let Some(target) = self.target {
            let py = place(x.low, target).1;
            line(svg, "target", (at.0, py), (at.0 + FIELD.0, py));
            text(svg, (at.0 + FIELD.0 - 6.0, py - 6.0), "tag", "end", &format!("target {}", short(target)));
        }
        for series in &self.series {
            let places: Vec<(f64, f64)> = series.points.iter().map(|point| place(point.x, point.y)).collect();
            stroke(svg, &series.line, &places);
            for (point, at) in series.points.iter().zip(&places) {
                dot(svg, &series.line, *at);
                text(svg, (at.0 + 7.0, at.1 - 7.0), "tag", "start", &point.tag);
            }
        }
    }
}

impl Axis {
    fn scale(&self, values: impl Iterator<Item = f64>) -> Scale {
        Scale::covering(self.kind, values.chain(self.ticks.iter().copied()))
    }

    fn marks(&self, scale: &Scale) -> Vec<f64> {
        if self.ticks.is_empty() { scale.ticks() } else { self.ticks.clone() }
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, words: &str) {
    if words.is_empty() {
        return;
    }
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(svg, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let (x1, y1) = from;
    let (x2, y2) = to;
    let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
}

fn stroke(svg: &mut String, line: &Line, points: &[(f64, f64)]) {
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dashes = if line.dashed { " stroke-dasharray=\"7 4\"" } else { "" };
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dashes}/>",
        path.join(" "),
        line.colour
    );
}

fn dot(svg: &mut String, line: &Line, (x, y): (f64, f64)) {
    let fill = if line.dashed { "#fff" } else { line.colour };
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\" fill=\"{fill}\" stroke=\"{}\" stroke-width=\"2\"/>",
        line.colour
    );
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let line = Line { name: "p50 < p99 & \"more\"".to_owned(), colour: "#123456", dashed: false };
        let point = |x, y| Point { x, y, tag: format!("{x}") };
        let axis = |label: &str| Axis { label: label.to_owned(), kind: Kind::Log, ticks: Vec::new() };
        let panel = Panel {
            title: "A panel".to_owned(),
            x: axis("sagas in flight"),
            y: axis("milliseconds"),
            series: vec![Series { line: line.clone(), points: vec![point(1.0, 0.7), point(512.0, 24.0)] }],
            target: Some(1.0),
        };
        Chart { title: "T".to_owned(), note: "N".to_owned(), columns: 2, panels: vec![panel], legend: vec![line] }
    }

    #[test]
    fn everything_that_is_given_is_drawn_with_its_words_escaped() {
        let svg = chart().svg();
        for wanted in ["sagas in flight", "milliseconds", "A panel", "target 1", "p50 &lt; p99 &amp; &quot;more&quot;"]
        {
            assert!(svg.contains(wanted), "no {wanted} in {svg}");
        }
        assert!(!svg.contains("p50 < p99"));
        // Two points, and one in the legend.
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("<polyline").count(), 2);
    }

    #[test]
    fn nothing_lies_outside_of_the_picture() {
        let svg = chart().svg();
        let width: f64 = svg.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        for circle in svg.split("cx=\"").skip(1) {
            let x: f64 = circle.split('"').next().unwrap().parse().unwrap();
            assert!((0.0..=width).contains(&x), "{x} of {width}");
        }
    }

    #[test]
    fn a_chart_without_points_is_still_a_picture() {
        let mut empty = chart();
        empty.panels[0].series.clear();
        empty.panels[0].target = None;
        let svg = empty.svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

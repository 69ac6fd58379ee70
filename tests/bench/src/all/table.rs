//! The table of figures: in colours on a terminal, plain where it is read by something else.

use anstyle::{AnsiColor, Style};

use super::figures::{Figure, Target};

const MET: Style = AnsiColor::Green.on_default();
const MISSED: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// With its heading; each line ends with a newline.
pub fn table(figures: &[Figure]) -> String {
    let rows: Vec<[String; 4]> = figures.iter().map(row).collect();
    let head = ["", "figure", "target", "measured"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let cells = |row: &[String; 4]| {
        let [name, meaning, target, measured] = row;
        let [first, second, third, fourth] = widths;
        format!("{name:<first$}  {meaning:<second$}  {target:>third$}  {measured:>fourth$}")
    };
    let mut table = format!("{FAINT}{}{FAINT:#}\n", cells(&head).trim_end());
    for (figure, row) in figures.iter().zip(&rows) {
        let (style, word) = if figure.met { (MET, "met   ") } else { (MISSED, "missed") };
        let of = &figure.middle().of;
        table.push_str(&format!("{}  {style}{word}{style:#}  {FAINT}{of}{FAINT:#}\n", cells(row)));
    }
    table
}

fn row(figure: &Figure) -> [String; 4] {
    let number = |value: f64| format!("{value:.*}", figure.decimals);
    let unit = if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) };
    let target = match figure.target {
        Target::AtLeast(bound) => format!(">= {bound}{unit}"),
        Target::AtMost(bound) => format!("<= {bound}{unit}"),
    };
    let (low, high) = figure.range();
    let range = match figure.measured.len() {
        1 => String::new(),
        _ => format!(" ({} to {})", number(low), number(high)),
    };
    [figure.name.to_owned(), figure.meaning.clone(), target, format!("{}{unit}{range}", number(figure.median))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all::figures;
    use crate::all::tests::run;

    fn plain(table: &str) -> String {
        anstream::adapter::strip_str(table).to_string()
    }

    #[test]
    fn every_line_has_target_measure_and_verdict_in_its_column() {
        let table = plain(&table(&figures::of(&[run(12_249.0)])));
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].contains("target") && lines[0].contains("measured"), "{table}");
        assert!(lines[1].starts_with("R1  steps a second / raw pass-through's, 512 in flight"), "{table}");
        assert!(
            lines[1].contains(">= 0.4") && lines[1].ends_with("0.31  missed  12,249 / 40,000 steps a second"),
            "{table}"
        );
        let verdicts: Vec<Option<usize>> =
            lines[1..].iter().map(|line| line.find("met   ").or_else(|| line.find("missed"))).collect();
        assert!(verdicts.iter().all(|at| at.is_some() && *at == verdicts[0]), "{table}");
    }

    #[test]
    fn several_runs_show_how_far_they_lie_apart() {
        let table = plain(&table(&figures::of(&[run(8_000.0), run(12_000.0), run(20_000.0)])));
        assert!(table.lines().nth(1).unwrap().contains("0.30 (0.20 to 0.50)"), "{table}");
    }
}

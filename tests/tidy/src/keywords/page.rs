//! The page docs/keywords.md, as text.

use super::{CASES, Cell, RESTARTING, Tables, Test};

/// The whole page.
pub fn page(tables: &Tables) -> String {
    let sections = tables.language.sections.iter().map(|section| {
        let rows = section.keywords.iter().map(|keyword| row(keyword, &cells_of(tables, keyword)));
        format!(
            "\n## {}\n\n{}{}",
            section.title,
            header("", CASES.iter().map(|(case, _)| *case)),
            rows.collect::<String>()
        )
    });
    let sections: String = sections.collect();
    format!("{}{sections}\n{}", head(tables), words(tables))
}

fn head(tables: &Tables) -> String {
    let cases: String = CASES.iter().map(|(case, means)| format!("| {case} | {means} |\n")).collect();
    let mut stages: Vec<String> = Vec::new();
    for rule in RESTARTING {
        stages.push(format!(
            "- [{}](../{}), by [its stage](../{}): {}.\n",
            rule.folder, rule.folder, rule.stage, rule.how
        ));
    }
    let of = |fits: fn(&Cell) -> bool| tables.cells.values().filter(|cell| fits(cell)).count();
    let (shown, nothing) = (of(|cell| matches!(cell, Cell::Shown(_))), of(|cell| matches!(cell, Cell::Nothing(_))));
    format!(
        "# Every keyword, and the test that shows it

Made by `UPDATE=1 cargo test -p sagaline-tidy` from the published schemas, from marks above tests (`// shows: KEYWORD x CASE`), and from
[the reasons](../tests/tidy/keywords.json) why a case can't be; `cargo test -p sagaline-tidy` fails when it is stale or has an empty cell.
A mark is made where the test's assertions fail if the keyword is broken in that case. Where several tests show a cell, the one that shows
least besides is named, and how many more there are.

{} keywords in {} cases: {shown} cells are shown, {nothing} can't be. Keywords that only hold others (`start`, `wait` ...) have no row of
their own.

| case | means |
|---|---|
{cases}
Whatever a test shows on a stage that goes on from stored bytes, it shows of a restart, too. These stages do:

{}",
        tables.language.keywords().count(),
        CASES.len(),
        stages.concat()
    )
}

fn cells_of<'a>(tables: &'a Tables, keyword: &str) -> Vec<&'a Cell> {
    CASES.iter().map(|(case, _)| &tables.cells[&(keyword.to_owned(), *case)]).collect()
}

fn header<'a>(first: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("| {first} | {} |\n|---{}|\n", names.join(" | "), "|---".repeat(names.len()))
}

fn row(name: &str, cells: &[&Cell]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| said(cell)).collect();
    format!("| `{name}` | {} |\n", cells.join(" | "))
}

fn said(cell: &Cell) -> String {
    match cell {
        Cell::Shown(tests) => match tests.as_slice() {
            [] => String::new(),
            [test] => link(test),
            [test, more @ ..] => format!("{} +{}", link(test), more.len()),
        },
        Cell::Nothing(reason) => format!("n/a: {reason}"),
        Cell::Open => String::new(),
    }
}

fn link(test: &Test) -> String {
    // The page lies in docs/.
    let path = test.path.strip_prefix("docs/").map_or_else(|| format!("../{}", test.path), str::to_owned);
    format!("[{}]({path})", test.name.replace('|', "\\|"))
}

fn words(tables: &Tables) -> String {
    let header = header("place", tables.language.six().into_iter());
    let rows = tables.language.places().map(|place| {
        let cells = tables.language.six().map(|word| match tables.words.get(&(place, word)) {
            Some(cell) => said(cell),
            None => "-".to_owned(),
        });
        format!("| {place} | {} |\n", cells.join(" | "))
    });
    format!(
        "## The six words at their places

`-`: the word may not stand there, or reads `continue` where nothing is to be made void. That the parser refuses it is shown by
[language::definition::words::each_word_stands_where_the_table_says](../coordinator/language/src/definition/tests/words.rs).

{header}{}",
        rows.collect::<String>()
    )
}

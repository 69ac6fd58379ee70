//! The checks, run over this project. Never softened for a violation: the code is mended, not the rule.

use sagaline_test_sources::root;
use sagaline_tidy::tree::expect_none;
use sagaline_tidy::{Tree, code, docs, keywords, layers, places};

const LOCKED: &str = "tests/tidy/locked-dependencies.txt";
const KEYWORDS: &str = "docs/keywords.md";

fn workspace() -> layers::Graph {
    layers::Graph::of_workspace(&root())
}

#[test]
fn every_crate_keeps_to_its_layer() {
    expect_none(layers::layers(&workspace()));
}

#[test]
fn the_fold_is_built_from_what_is_locked() {
    let graph = workspace();
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(root().join(LOCKED), layers::fold_dependencies(&graph)).expect("the lock's file can be written");
    }
    let locked = std::fs::read_to_string(root().join(LOCKED))
        .expect("tests/tidy/locked-dependencies.txt is there: UPDATE=1 writes it");
    expect_none(layers::locked(&graph, &locked));
}

#[test]
fn no_feature_changes_the_bytes_of_values() {
    expect_none(layers::features(&workspace()));
}

#[test]
fn every_source_opens_with_what_it_is() {
    expect_none(code::fronts(&Tree::of_this_project()));
}

#[test]
fn functions_fit_a_screen_and_files_a_head() {
    expect_none(code::sizes(&Tree::of_this_project()));
}

#[test]
fn the_fold_is_pure() {
    expect_none(code::purity(&Tree::of_this_project()));
}

#[test]
fn nothing_is_left_for_later() {
    expect_none(code::leftovers(&Tree::of_this_project()));
}

#[test]
fn tests_do_not_sleep() {
    expect_none(code::sleeps(&Tree::of_this_project()));
}

#[test]
fn no_test_holds_the_place_where_it_was_compiled() {
    expect_none(code::sources(&Tree::of_this_project()));
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    expect_none(places::machine_places(&Tree::of_this_project()));
}

#[test]
fn links_lead_somewhere() {
    expect_none(docs::links(&Tree::of_this_project()));
}

#[test]
fn quotes_are_what_they_quote() {
    expect_none(docs::quotes(&Tree::of_this_project()));
}

#[test]
fn decisions_are_numbered_and_whole() {
    expect_none(docs::decisions(&Tree::of_this_project()));
}

#[test]
fn every_keyword_is_shown_in_every_case() {
    let tree = Tree::of_this_project();
    let tables = match keywords::tables(&tree) {
        Ok(tables) => tables,
        Err(wrong) => return expect_none(wrong),
    };
    let page = keywords::page(&tables);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(root().join(KEYWORDS), &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(root().join(KEYWORDS)).unwrap_or_default();
    assert!(written == page, "docs/keywords.md is stale: UPDATE=1 cargo test -p sagaline-tidy writes it");
    let open = tables.open();
    assert!(open.is_empty(), "{} cells that nobody shows:\n{}", open.len(), open.join("\n"));
}

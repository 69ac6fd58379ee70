//! Each check meets a violation planted in a project of its own, and finds that one and nothing else. A check that can't fail is a defect.

use std::path::Path;
use std::process::Command;

use sagaline_tidy::layers::{Graph, features, fold_dependencies, layers, locked};
use sagaline_tidy::{Finding, Tree, code, docs, places};
use serde_json::json;

type Check = fn(&Tree) -> Vec<Finding>;

/// Writes the files into a fresh git work tree and tells where the check finds something.
fn check(check: Check, files: &[(&str, &str)]) -> Vec<String> {
    let project = tempfile::tempdir().expect("a folder for the planted project");
    let made = Command::new("git").args(["init", "-q"]).current_dir(project.path()).status().expect("git runs");
    assert!(made.success());
    files.iter().for_each(|(path, text)| write(&project.path().join(path), text));
    check(&Tree::read(project.path())).into_iter().map(|finding| finding.place).collect()
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("folders can be made");
    std::fs::write(path, text).expect("files can be written");
}

fn function_of(lines: usize) -> String {
    format!("//! Front.\nfn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

#[test]
fn a_source_without_a_front() {
    assert_eq!(
        check(code::fronts, &[("a/src/lib.rs", "pub fn a() {}\n"), ("a/src/b.rs", "//! Front.\n")]),
        ["a/src/lib.rs:1"]
    );
}

#[test]
fn a_stub_and_a_front_too_long() {
    let long = "//! A line.\n".repeat(6);
    let table = format!("{}//!\n{}", "//! A line.\n".repeat(5), "//! | a | b |\n".repeat(9));
    assert_eq!(
        check(code::fronts, &[("a/src/lib.rs", "//! Being built.\n"), ("a/src/b.rs", &long), ("a/src/c.rs", &table)]),
        ["a/src/b.rs:1", "a/src/lib.rs:1"]
    );
}

#[test]
fn a_function_longer_than_a_screen() {
    assert_eq!(
        check(code::sizes, &[("a/src/lib.rs", &function_of(71)), ("a/src/b.rs", &function_of(70))]),
        ["a/src/lib.rs:2"]
    );
}

#[test]
fn a_long_function_whose_texts_hold_braces() {
    let text = function_of(71).replacen("    step();", "    let x = ('}', '\\'', \"}\", r#\"}\"#, b'{'); // }", 1);
    assert_eq!(check(code::sizes, &[("a/src/lib.rs", &text)]), ["a/src/lib.rs:2"]);
}

#[test]
fn a_file_longer_than_a_head_tests_aside() {
    let code = "const A: u8 = 0;\n".repeat(499);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    const B: u8 = 0;\n".repeat(300));
    let fits = format!("//! Front.\n{code}{tests}");
    let bursts = format!("//! Front.\n{code}const C: u8 = 0;\n{tests}");
    let files = [
        ("a/src/b.rs", bursts.as_str()),
        ("a/src/lib.rs", fits.as_str()),
        ("a/src/x/tests.rs", &function_of(900)),
        ("a/tests/t.rs", &function_of(900)),
    ];
    assert_eq!(check(code::sizes, &files), ["a/src/b.rs:1"]);
}

#[test]
fn a_clock_in_the_fold() {
    let clock = "//! Front.\nuse std::time::Instant;\n// HashMap\nlet x = \"tokio\";\n#[cfg(test)]\nmod tests {\n    use std::thread;\n}\n";
    let files = [
        ("coordinator/engine/src/lib.rs", clock),
        ("coordinator/node/src/lib.rs", clock),
        ("coordinator/engine/src/a/tests.rs", clock),
    ];
    assert_eq!(check(code::purity, &files), ["coordinator/engine/src/lib.rs:2"]);
}

#[test]
fn each_impure_thing_in_each_crate_of_the_fold() {
    for folder in ["schemas", "coordinator/definition", "coordinator/engine", "coordinator/partition"] {
        for thing in [
            "HashMap::new()",
            "HashSet<u8>",
            "SystemTime::now()",
            "rand::random()",
            "tokio::spawn(x)",
            "std::thread::spawn(x)",
            "Uuid::new_v4()",
        ] {
            let path = format!("{folder}/src/lib.rs");
            assert_eq!(
                check(code::purity, &[(&path, &format!("//! Front.\n{thing}\n"))]),
                [format!("{path}:2")],
                "{thing}"
            );
        }
    }
}

#[test]
fn things_left_for_later() {
    let mark = concat!("// TO", "DO: this");
    let text = format!(
        "//! Front.\nfn a() {{ todo!() }}\nfn b() {{ unimplemented!() }}\nfn c() {{ dbg!(1); }}\n#[ignore = \"slow\"]\n{mark}\n// says todo!\n"
    );
    assert_eq!(check(code::leftovers, &[("a.rs", &text)]), ["a.rs:2", "a.rs:3", "a.rs:4", "a.rs:5", "a.rs:6"]);
}

#[test]
fn a_sleep_in_a_test() {
    let text = "//! Front.\nfn run() { sleep(x); }\nfn wait_for() { sleep(x); }\n#[cfg(test)]\nmod tests {\n    fn t() { std::thread::sleep(x); }\n}\n";
    let files = [("a/src/lib.rs", text), ("tests/integration/src/lib.rs", text)];
    assert_eq!(
        check(code::sleeps, &files),
        ["a/src/lib.rs:6", "tests/integration/src/lib.rs:2", "tests/integration/src/lib.rs:6"]
    );
}

#[test]
fn a_place_that_was_compiled_in() {
    let text = concat!("//! Front.\nfn t() { read(concat!(env!(\"CARGO_MANIFEST", "_DIR\"), \"/x\")); }\n");
    let files = [("a/src/lib.rs", text), ("a/tests/t.rs", text), ("tests/sources/src/lib.rs", text)];
    assert_eq!(check(code::sources, &files), ["a/src/lib.rs:2", "a/tests/t.rs:2"]);
}

#[test]
fn a_path_of_one_machine() {
    let path = concat!("see /ho", "me/someone/x");
    let files = [("a.md", path), ("b.sh", concat!("cd \"$HOME/wo", "rk/x\"; ls a/ho", "me/b"))];
    assert_eq!(check(places::machine_places, &files), ["a.md:1"]);
}

#[test]
fn a_host_of_a_registry() {
    let host = concat!("url = https://repo1.ma", "ven.org/maven2");
    let lock =
        "source = \"registry+https://github.com/rust-lang/crates.io-index\"\nsource = \"git+https://example.com/x\"\n";
    assert_eq!(
        check(places::machine_places, &[("Cargo.lock", lock), ("settings.xml", host)]),
        ["Cargo.lock:2", "settings.xml:1"]
    );
}

#[test]
fn a_link_that_leads_nowhere() {
    let page = "# A page\n[one](docs/b.md) [two](docs/c.md)\n[three](docs/b.md#part-one) [four](docs/b.md#part-two) [five](#a-page) [web](https://example.com)\n```\n[six](gone.md)\n```\n";
    assert_eq!(
        check(docs::links, &[("README.md", page), ("docs/b.md", "## Part: one\n[up](../README.md)\n")]),
        ["README.md:2", "README.md:3"]
    );
}

#[test]
fn a_quote_that_is_not_what_it_quotes() {
    let page = "```yaml a.yaml\na: 1\nb: 2\n```\n```yaml a.yaml\na: 1\n```\n```yaml gone.yaml\n```\n```\nfree\n```\n";
    assert_eq!(check(docs::quotes, &[("README.md", page), ("a.yaml", "a: 1\nb: 2\n")]), ["README.md:5", "README.md:8"]);
}

#[test]
fn a_decision_out_of_order_or_without_a_part() {
    let whole = "# 0001. One\n## Context\n## Decision\n## Consequences\n";
    let files = [("docs/adr/0001-one.md", whole), ("docs/adr/0003-two.md", "# 0002. Two\n## Context\n## Decision\n")];
    assert_eq!(check(docs::decisions, &files), ["docs/adr/0003-two.md:1", "docs/adr/0003-two.md:1"]);
}

/// A workspace of an engine that needs `needs`, with serde_json's features.
fn graph(needs: &[(&str, &str)], kind: Option<&str>, features: &[&str]) -> Graph {
    let mut packages = vec![json!({"id": "engine", "name": "sagaline-engine", "version": "0.1.0"})];
    packages.extend(needs.iter().map(|(name, version)| json!({"id": name, "name": name, "version": version})));
    let deps: Vec<_> = needs.iter().map(|(name, _)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]})).collect();
    let mut nodes = vec![json!({"id": "engine", "deps": deps, "features": []})];
    nodes.extend(needs.iter().map(|(name, _)| json!({"id": name, "deps": [], "features": features})));
    Graph::from_metadata(&json!({"packages": packages, "resolve": {"nodes": nodes}}))
}

fn told(findings: Vec<Finding>) -> Vec<String> {
    findings.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn an_engine_that_knows_the_store() {
    for other in [
        "sagaline-partition",
        "sagaline-store",
        "sagaline-log",
        "sagaline-node",
        "sagaline-language",
        "tokio",
        "rdkafka",
        "rocksdb",
    ] {
        let found = told(layers(&graph(&[(other, "1.0.0")], None, &[])));
        assert_eq!(found.len(), 1, "{other}: {found:?}");
        assert!(found[0].contains(other));
    }
    assert_eq!(
        told(layers(&graph(&[("sagaline-store", "1.0.0")], Some("dev"), &[]))),
        Vec::<String>::new(),
        "tests may know more"
    );
}

#[test]
fn a_dependency_that_is_not_locked() {
    let was = graph(&[("blake3", "1.8.0"), ("uuid", "1.0.0")], None, &[]);
    assert_eq!(told(locked(&was, &fold_dependencies(&was))), Vec::<String>::new());
    let is = graph(&[("blake3", "1.9.0"), ("uuid", "1.0.0")], None, &[]);
    let found = told(locked(&is, &fold_dependencies(&was)));
    assert_eq!(found.len(), 2);
    assert!(
        found[0].contains("no longer built from blake3 1.8.0") && found[1].contains("now built from blake3 1.9.0"),
        "{found:?}"
    );
}

#[test]
fn a_feature_that_changes_bytes() {
    for feature in ["preserve_order", "arbitrary_precision", "float_roundtrip"] {
        assert_eq!(features(&graph(&[("serde_json", "1.0.0")], None, &["std", feature])).len(), 1, "{feature}");
    }
    assert_eq!(told(features(&graph(&[("serde_json", "1.0.0")], None, &["std"]))), Vec::<String>::new());
}

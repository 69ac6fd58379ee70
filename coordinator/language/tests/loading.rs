//! Definitions and contracts from folders: what is found, what is not, and whose mistakes are shown.

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use sagaline_language::load;
use tempfile::TempDir;

const CONTRACT: &str = "participant: payment\nversion: 1.0.0\nowner: team\ntypes: { Pay: { type: record, fields: [] } }\noperations: { pay: { in: Pay, idempotent: by_key } }\n";
const DEFINITION: &str = "saga: s\nversion: 1.0.0\nowner: team\nuse: [payment]\ndeadline: { after: 1d }\nstart: {}\nsteps: [{ step: pay, call: payment.pay, pivot: true }]\n";

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

/// What was loaded, or what is wrong; paths from the folder on.
fn check(files: &[(&str, &str)], names: &[&str], expected: Expect) {
    let folder = folder(files);
    let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
    let shown = match load(&paths) {
        Ok(loaded) => {
            let definitions = loaded.definitions.values().map(|definition| format!("definition {}\n", definition.saga));
            let contracts = loaded.contracts.iter().map(|contract| format!("contract {}\n", contract.participant));
            definitions.chain(contracts).collect::<String>() + &loaded.warnings.plain()
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&shown.replace(&folder_name(folder.path()), "FOLDER"));
}

fn folder_name(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_definition_finds_its_contracts_beside_it() {
    let files =
        [("s.yaml", DEFINITION), ("contracts/payment.yaml", CONTRACT), ("notes.txt", "x"), ("contracts/x.yml", "x")];
    check(
        &files,
        &["s.yaml"],
        expect![[r#"
        definition s
        contract payment
    "#]],
    );
    check(
        &files,
        &["."],
        expect![[r#"
        definition s
        contract payment
    "#]],
    );
    check(
        &files,
        &["contracts/payment.yaml"],
        expect![[r#"
        contract payment
    "#]],
    );
}

#[test]
fn contracts_may_be_named_one_by_one() {
    check(
        &[("a/s.yaml", DEFINITION), ("b/payment.yaml", CONTRACT)],
        &["a/s.yaml", "b/payment.yaml"],
        expect![[r#"
        definition s
        contract payment
    "#]],
    );
}

#[test]
fn mistakes_of_all_files_come_at_once() {
    let broken = CONTRACT.replace("by_key", "always");
    let wrong = DEFINITION.replace("owner: team\n", "");
    check(
        &[("a.yaml", &wrong), ("b.yaml", "saga: [\n"), ("contracts/payment.yaml", &broken)],
        &["."],
        expect![[r#"
        FOLDER/./contracts/payment.yaml:5:43: error: `always` is no idempotence
            help: write by_key (safe to repeat), transaction (one with the effect store) or none
        FOLDER/./a.yaml:1:1: error: a definition needs `owner`
            help: write `owner: team-fulfilment`
        FOLDER/./b.yaml:2:1: error: this is not YAML: while parsing a node, did not find expected node content
            help: look at the line above, too: an open quote or bracket shows only where the next thing begins
    "#]],
    );
}

#[test]
fn a_participant_has_one_contract() {
    let other = CONTRACT.replace("1.0.0", "1.1.0");
    let files = [
        ("s.yaml", DEFINITION),
        ("contracts/a.yaml", CONTRACT),
        ("contracts/b.yaml", &other),
        ("contracts/c.yaml", &other),
    ];
    check(
        &files,
        &["."],
        expect![[r#"
        FOLDER/./contracts/b.yaml:1:1: error: `payment` has another contract in FOLDER/./contracts/a.yaml
            help: keep one of the two: a participant has one contract
    "#]],
    );
    check(
        &[("s.yaml", DEFINITION), ("contracts/a.yaml", CONTRACT), ("contracts/b.yaml", CONTRACT)],
        &["."],
        expect![[r#"
            definition s
            contract payment
        "#]],
    );
}

#[test]
fn what_can_not_be_read_is_named() {
    check(
        &[],
        &["nothing.yaml"],
        expect![
            "FOLDER/nothing.yaml: No such file or directory (os error 2): give the path of a definition, or of a folder with definitions"
        ],
    );
    check(
        &[("a.txt", "")],
        &["."],
        expect![
            "FOLDER/.: no definition lies here: a definition is a file NAME.yaml, its contracts lie in contracts/ beside it"
        ],
    );
    check(
        &[("s.yaml", &"x".repeat(3 << 20))],
        &["s.yaml"],
        expect![
            "FOLDER/s.yaml: the file is larger than 1 MiB: give the path of a definition, or of a folder with definitions"
        ],
    );
    check(
        &[("s.yaml", &"x: y\n".repeat(300_000))],
        &["s.yaml"],
        expect![[r#"
        FOLDER/s.yaml:1:1: error: the file is larger than 1 MiB
            help: split it: nothing readable is that long
    "#]],
    );
}

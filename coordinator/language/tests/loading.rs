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

const PARENT: &str = "saga: parent\nversion: 1.0.0\nowner: team\nuse: []\ndeadline: { after: 1d }\nstart: {}\nsteps: [{ step: one, saga: child, with: { id: x } }, { step: two, decide: [{ if: \"one.n > 1\", is: a }, { is: b }] }]\n";
const CHILD: &str = "saga: child\nversion: 1.0.0\nowner: team\nuse: []\ntypes: { Id: { type: record, fields: [{ name: id, type: string }] } }\ndeadline: { after: 1d }\nstart: { type: Id }\nsteps: [{ step: one, sleep: 1h }]\nresult: { n: 7 }\n";

#[test]
fn a_parent_pins_its_child() {
    let folder = folder(&[("a.yaml", PARENT), ("z.yaml", CHILD)]);
    let loaded = load(&[folder.path()]).unwrap_or_else(|error| panic!("{error}"));
    let digest = |saga: &str| loaded.definitions.values().find(|d| d.saga == saga).map(|d| d.digest());
    let parent = loaded.definitions.values().find(|d| d.saga == "parent").expect("it was loaded");
    let sagaline_definition::model::Verb::Saga(child) = &parent.steps[0].verb else { panic!("a saga") };
    assert_eq!(Some(child.definition), digest("child"));
    assert!(child.compensate);
}

// shows: saga x static error
#[test]
fn a_child_is_held_against_its_definition() {
    let wrong = PARENT.replace("{ id: x }", "{ id: 7 }").replace("one.n", "one.m");
    check(
        &[("a.yaml", &wrong), ("z.yaml", CHILD)],
        &["."],
        expect![[r#"
        FOLDER/./a.yaml:7:47: error: this must be string, and is int
            help: quote it, or write string(...)
        FOLDER/./a.yaml:7:83: error: this map has no member `m`
    "#]],
    );
    check(
        &[("a.yaml", &PARENT.replace("saga: child", "saga: chlid")), ("z.yaml", CHILD)],
        &["."],
        expect![[r#"
            FOLDER/./a.yaml:7:28: error: there is no definition `chlid`
                help: did you mean `child`? Or check its file together with this one
        "#]],
    );
    check(
        &[("a.yaml", PARENT), ("z.yaml", &CHILD.replace("owner: team\n", ""))],
        &["."],
        expect![[r#"
        FOLDER/./z.yaml:1:1: error: a definition needs `owner`
            help: write `owner: team-fulfilment`
    "#]],
    );
    check(
        &[("a.yaml", PARENT), ("y.yaml", CHILD), ("z.yaml", CHILD)],
        &["."],
        expect![[r#"
        FOLDER/./a.yaml:7:28: error: `child` is defined in `FOLDER/./y.yaml` and in `FOLDER/./z.yaml`
            help: check one of the two together with this definition
    "#]],
    );
}

/// A parent of this step, after `first` and before `last`, which may go back to it.
fn with_key(step: &str) -> String {
    let steps = format!(
        "steps:
  - {{ step: first, sleep: 1h }}
  - {{ step: one, saga: child, with: {{ id: x }}, {step} }}
  - {{ step: last, expect: {{ if: one.n == 7, else: {{ back_to: first, at_most: 2, else: stuck }} }} }}
"
    );
    let (head, _) = PARENT.split_once("steps:").expect("there are steps");
    head.replace(
        "start: {}",
        "start: { type: In }\ntypes: { In: { type: record, fields: [{ name: id, type: string }] } }",
    ) + &steps
}

// shows: saga x static error
#[test]
fn a_child_that_may_begin_again_needs_a_key_for_each_time() {
    let check_with =
        |step: &str, child: &str, expected| check(&[("a.yaml", &with_key(step)), ("z.yaml", child)], &["."], expected);
    let again = CHILD.replace("start: { type: Id }", "start: { type: Id, again: ended }");
    check_with(
        "key: \"${input.id}\"",
        CHILD,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:10:53: warning: `one` may have to begin again (`last` may go back to `first`), and no second saga begins under its key
            help: let `child` say `again: ended` in its `start`, or leave out `key`: the one that is made counts the rounds
    "#]],
    );
    check_with(
        "key: \"${input.id}\"",
        &again,
        expect![[r#"
        definition parent
        definition child
    "#]],
    );
    check_with(
        "key: \"${input.id}\", compensate: never",
        &again,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:10:53: warning: `one` may have to begin again (`last` may go back to `first`), and no second saga begins under its key
            help: leave out `key`: the one that is made counts the rounds, and what says `compensate: never` stays
    "#]],
    );
    // Derived, or made of what each round brings.
    check_with(
        "failed: stuck",
        CHILD,
        expect![[r#"
        definition parent
        definition child
    "#]],
    );
    check_with(
        "key: \"${input.id}/${now}\", failed: stuck",
        CHILD,
        expect![[r#"
        definition parent
        definition child
    "#]],
    );
    // No loop; a person may retry what rests.
    let alone =
        |failed: &str| PARENT.replace("with: { id: x }", &format!("key: k, with: {{ id: x }}, failed: {failed}"));
    let check_alone =
        |failed: &str, child: &str, expected| check(&[("a.yaml", &alone(failed)), ("z.yaml", child)], &["."], expected);
    check_alone(
        "compensate",
        CHILD,
        expect![[r#"
        definition parent
        definition child
    "#]],
    );
    check_alone(
        "stuck",
        CHILD,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:7:40: warning: `one` may have to begin again (where it did not complete, a person may retry it), and no second saga begins under its key
            help: let `child` say `again: ended` in its `start`, or leave out `key`: the one that is made counts the rounds
    "#]],
    );
    check_alone(
        "{ back_to: one, at_most: 1, else: compensate }",
        CHILD,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:7:40: warning: `one` may have to begin again (`one` may go back to `one`), and no second saga begins under its key
            help: let `child` say `again: ended` in its `start`, or leave out `key`: the one that is made counts the rounds
    "#]],
    );
    check_alone(
        "hold",
        &again,
        expect![[r#"
        definition parent
        definition child
    "#]],
    );
}

// shows: saga x static error
#[test]
fn items_need_a_key_each() {
    let check_with = |each: &str, key: &str, child: &str, expected| {
        let step =
            format!("{{ step: one, for_each: {{ n: \"['a', 'b']\"{each} }}, saga: child, with: {{ id: x }}, {key} }}");
        let (head, _) = PARENT.split_once("steps:").expect("there are steps");
        check(&[("a.yaml", &format!("{head}steps: [{step}]\n")), ("z.yaml", child)], &["."], expected);
    };
    let again = CHILD.replace("start: { type: Id }", "start: { type: Id, again: ended }");
    check_with(
        "",
        "key: same",
        CHILD,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:7:88: warning: all items of `one` have one key, and one saga begins under it: the others count as failed
            help: name the item: `key: "...-${n}"`, or leave out `key`: the one that is made does
    "#]],
    );
    check_with(
        "",
        "key: \"${string(now)}\"",
        &again,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:7:88: warning: all items of `one` have one key, and one saga begins under it: the others count as failed
            help: name the item: `key: "...-${n}"`, or leave out `key`: the one that is made does
    "#]],
    );
    check_with(
        ", at_once: 2",
        "key: same, compensate: never",
        &again,
        expect![[r#"
        definition parent
        definition child
        FOLDER/./a.yaml:7:100: warning: all items of `one` have one key, and one saga begins under it: the others count as failed
            help: name the item: `key: "...-${n}"`, or leave out `key`: the one that is made does
    "#]],
    );
    // The item is named, or the key is derived, or there is one item, or each child is over before the next begins.
    for (each, key, child) in [
        ("", "key: \"${n}\"", CHILD),
        ("", "failed: compensate", CHILD),
        (", most: 1", "key: same", CHILD),
        ("", "key: same, compensate: never", &again),
    ] {
        check_with(
            each,
            key,
            child,
            expect![[r#"
            definition parent
            definition child
        "#]],
        );
    }
}

#[test]
fn no_saga_is_its_own_child() {
    let saga = |name: &str, child: &str| {
        format!(
            "saga: {name}\nversion: 1.0.0\nowner: team\nuse: []\ndeadline: {{ after: 1d }}\nstart: {{}}\nsteps: [{{ step: one, saga: {child} }}]\n"
        )
    };
    let (a, b, c) = (saga("a", "b"), saga("b", "c"), saga("c", "a"));
    check(
        &[("a.yaml", &a), ("b.yaml", &b), ("c.yaml", &c), ("d.yaml", &saga("d", "d"))],
        &["."],
        expect![[r#"
        FOLDER/./a.yaml:7:28: error: a circle: a starts b starts c starts a
            help: a saga can't be its own child
        FOLDER/./b.yaml:7:28: error: a circle: b starts c starts a starts b
            help: a saga can't be its own child
        FOLDER/./c.yaml:7:28: error: a circle: c starts a starts b starts c
            help: a saga can't be its own child
        FOLDER/./d.yaml:7:28: error: a circle: d starts d
            help: a saga can't be its own child
    "#]],
    );
}

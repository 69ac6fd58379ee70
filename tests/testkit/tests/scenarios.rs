//! Files of tests and scenarios in code, played through the engine in virtual time.

use std::path::PathBuf;
use std::time::Instant;

use expect_test::expect;
use sagaline_definition::Definition;
use sagaline_language::load;
use sagaline_schemas::Value;
use sagaline_testkit::{FileError, Reply, Says, Stage, What, difference, ok, refused, run_file};

/// A file of the example, by what its name ends with.
fn example(ending: &str) -> PathBuf {
    sagaline_test_sources::root().join(format!("docs/examples/order-fulfilment/order-fulfilment{ending}"))
}

fn order() -> Definition {
    let path = example(".yaml");
    let mut loaded = load(&[&path]).expect("the example is right");
    loaded.definitions.remove(&path).expect("the definition")
}

fn value(json: &str) -> Value {
    Value::parse(json.as_bytes()).expect("JSON")
}

fn input() -> Value {
    value(
        r#"{"order_id":"o","account":"a","sku":"s","quantity":1,"total":5,"currency":"EUR","address":{"street":"x","country":"DE"}}"#,
    )
}

#[test]
fn the_examples_tests_hold() {
    for outcome in run_file(&example(".test.yaml")).expect("the file is right") {
        if let Some(difference) = outcome.difference {
            panic!("{}\n{difference}{}", outcome.name, outcome.account);
        }
    }
}

#[test]
fn an_authors_own_participants_answer() {
    let definition = order();
    let mut left = 10;
    let account = Stage::new(&definition)
        .input(input())
        .on("reserve", |command| {
            left -= 1;
            if command.attempt < 3 { Reply { says: Says::Silent, after: 0, times: 1 } } else { ok(value("{}")) }
        })
        .on("charge", |command| match command.input.get("amount") {
            Some(Value::Int(amount)) if *amount > 3 => refused("InsufficientFunds"),
            _ => ok(Value::Null),
        })
        .play();
    assert_eq!(left, 7);
    assert_eq!(account.command_names(), ["reserve", "reserve #2", "reserve #3", "charge", "undo reserve"]);
    assert_eq!((account.end.as_str(), account.world_of("reserve")), ("compensated", Some("void")));
}

#[test]
fn an_outage_uses_no_attempts_up() {
    let definition = order();
    let account = Stage::new(&definition)
        .input(input())
        .on("charge", |command| match command.attempt {
            1..=20 => Reply { says: Says::Outage("the bank is down".to_owned()), after: 0, times: 1 },
            _ => ok(Value::Null),
        })
        .play();
    assert_eq!(account.end, "completed");
    let charges: Vec<i64> = account
        .commands
        .iter()
        .filter(|command| command.name.starts_with("charge"))
        .map(|command| command.at)
        .collect();
    assert_eq!(charges[..8], [0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000]);
    assert_eq!(charges.len(), 21);
}

#[test]
fn a_cancellation_in_the_middle() {
    let definition = order();
    let account = Stage::new(&definition)
        .input(input())
        .on("charge", |_| Reply { says: Says::Ok(Value::Null), after: 3_000, times: 1 })
        .at(1_000, What::Cancel("changed my mind".to_owned()))
        .play();
    expect![[r#"
        0  reserve
        0  charge
        1s  goes back: somebody asked: changed my mind
        1s  undo charge
        1s  undo reserve
        1s  cancelled: somebody asked: changed my mind
        reserve: void
        charge: void
    "#]]
    .assert_eq(&account.to_string().lines().map(|line| format!("{}\n", line.trim_start())).collect::<String>());
}

#[test]
fn weeks_take_no_time() {
    let definition = order();
    let began = Instant::now();
    let account = Stage::new(&definition)
        .input(input())
        .at(0, What::Down { participant: "payment".to_owned(), lasts: 13 * 86_400_000 })
        .play();
    assert_eq!((account.after, account.end.as_str()), (13 * 86_400_000, "completed"), "{account}");
    assert!(began.elapsed().as_secs() < 1, "{:?}", began.elapsed());
}

#[test]
fn differences_are_readable() {
    let text = std::fs::read_to_string(example(".test.yaml")).expect("the example");
    let file = sagaline_language::scenario::scenarios(
        "x",
        &text.replace("[reserve, charge, undo reserve,", "[charge, undo charge,"),
    );
    let file = file.expect("right").value;
    let definition = order();
    let account = Stage::of(&definition, &file.scenarios[1]).expect("a scenario").play();
    expect![[r#"
        --- expected
        +++ found
         commands:
        +  - reserve
           - charge
        -  - undo charge
        +  - undo reserve
           - undo reserve #2
           - undo reserve #3
         end: compensated
         world: charge: void
         world: reserve: void
    "#]]
    .assert_eq(&difference(&file.scenarios[1].expected, &account).unwrap_or_default());
}

#[test]
fn names_that_mean_nothing_are_refused() {
    let folder = std::env::temp_dir().join(format!("sagaline-testkit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("x.test.yaml");
    let text = format!(
        "definition: {}\ntests:\n  - {{ test: t, replies: {{ chrge: ok }}, expect: {{ end: completed }} }}\n",
        example(".yaml").display()
    );
    std::fs::write(&file, text).expect("a file");
    let error = run_file(&file).expect_err("`chrge` is no step");
    assert!(matches!(&error, FileError::Unknown { line: 3, .. }), "{error}");
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

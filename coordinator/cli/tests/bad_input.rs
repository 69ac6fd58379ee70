//! What is wrong outside of Sagaline, what a person is told, how the program ends, and what happens after it: the table of
//! docs/bad-input.md is made here. Nothing stands in it that the program did not say, and no good saga that did not complete.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;
#[path = "bad_input/kept.rs"]
mod kept;
#[path = "bad_input/live.rs"]
mod live;
#[path = "bad_input/simulated.rs"]
mod simulated;
#[path = "bad_input/still.rs"]
mod still;

use std::process::Output;
use std::thread;

use common::{ok, text};

/// `dev` at free ports.
const NO_PORTS: [&str; 5] = ["dev", "--port", "0", "--log-port", "0"];
/// What happens after most of it.
const GOES_ON: &str = "a good saga completes";

/// A row of the table.
struct Row {
    what: &'static str,
    ends: Ends,
    told: String,
    /// What was seen afterwards in the same inbox partition.
    then: &'static str,
}

/// How it ends.
enum Ends {
    /// The program ends with this code.
    Code(i32),
    /// The coordinator goes on; the record is set aside.
    SetAside,
    /// The coordinator goes on; the record is taken.
    Taken,
    /// The coordinator goes on without that partition.
    Halts,
    /// The coordinator goes on, and publishes nothing of that partition for now.
    Waits,
}

#[test]
fn the_table_is_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        ok(dir.path(), &["init", name]);
        dir.path().join(name)
    };
    let (one, other, third) = (made("one"), made("other"), made("third"));
    let rows: Vec<Row> = thread::scope(|scope| {
        let live = scope.spawn(|| live::rows(&one));
        let still = scope.spawn(|| still::rows(&other));
        let kept = scope.spawn(|| kept::rows(&third));
        let simulated = simulated::rows(&one);
        live.join()
            .unwrap()
            .into_iter()
            .chain(still.join().unwrap())
            .chain(kept.join().unwrap())
            .chain(simulated)
            .collect()
    });
    expect_test::expect_file!["../../../docs/bad-input.md"].assert_eq(&page(&rows));
}

fn page(rows: &[Row]) -> String {
    let row = |Row { what, ends, told, then }: &Row| {
        let ends = match ends {
            Ends::Code(code) => code.to_string(),
            Ends::SetAside | Ends::Taken => "goes on".to_owned(),
            Ends::Waits => "goes on, the partition waits".to_owned(),
            Ends::Halts => "goes on without the partition".to_owned(),
        };
        format!("| {what} | {ends} | {} | {then} |\n", told.replace('|', "\\|"))
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "# Bad input\n\nWhat is wrong, how `sagaline` ends, what it tells, and what is then seen in the same inbox partition. \
         `coordinator/cli/tests/bad_input.rs` makes all of it happen\nand prints this table. The codes: \
         [operations.md](operations.md#exit-codes); `sagaline parked` shows what is parked.\n\n\
         | what is wrong | exit code | what is told | then |\n|---|---|---|---|\n{rows}"
    )
}

/// The code and the line that says why.
fn why(output: &Output) -> (i32, String) {
    let stderr = text(&output.stderr);
    let why = stderr.lines().rfind(|line| line.starts_with("sagaline: ") || line.starts_with("error: "));
    (output.status.code().unwrap(), why.unwrap_or_else(|| panic!("nothing says why: {stderr}")).to_owned())
}

/// Ids, ports, offsets and durations differ from run to run.
fn masked(text: &str) -> String {
    let text = text.split(" (after ").next().unwrap_or_default();
    let mut before = "";
    let words = text.split(' ').map(|word| {
        let after = std::mem::replace(&mut before, word);
        let bare = word.trim_end_matches([',', ':', '.', ';']);
        mask(after, bare).map_or_else(|| word.to_owned(), |mask| word.replace(bare, mask))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What stands in the table for a word that differs from run to run.
fn mask(before: &str, word: &str) -> Option<&'static str> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = word.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Some("ID");
    }
    if word.strip_prefix("127.0.0.1:").is_some_and(|port| port.len() > 1 && number(port)) {
        return Some("127.0.0.1:PORT");
    }
    if word.strip_prefix("0..").is_some_and(number) {
        return Some("0..N");
    }
    (before == "offset" && number(word)).then_some("N")
}

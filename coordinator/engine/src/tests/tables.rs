//! The ledger's tables, cell by cell: what stands at the head of `ledger.rs` is what the code does.

use expect_test::expect;
use sagaline_schemas::wire::Bytes;

use crate::ledger::{Change, News, Outcome, Undo, UndoChange, UndoNews, next, next_undo};

fn outcomes() -> Vec<(&'static str, Outcome)> {
    let result = Bytes::from("1");
    vec![
        ("DECIDED", Outcome::Decided),
        ("SENT", Outcome::Sent),
        ("UNKNOWN", Outcome::Unknown { error: String::new() }),
        ("SUCCEEDED", Outcome::Succeeded { result: result.clone() }),
        ("REFUSED", Outcome::Refused { code: String::new(), detail: String::new() }),
        ("CONTRADICTED", Outcome::Contradicted { code: String::new(), result }),
    ]
}

fn name(outcome: &Outcome) -> &'static str {
    outcomes().into_iter().find(|(_, o)| std::mem::discriminant(o) == std::mem::discriminant(outcome)).unwrap().0
}

#[test]
fn ledger() {
    let news = || {
        vec![
            News::Sent,
            News::Succeeded(Bytes::from("1")),
            News::Refused { code: String::new(), detail: String::new() },
            News::Failed,
            News::Forgotten,
            News::UsedUp { error: String::new() },
        ]
    };
    let mut table = String::new();
    for (is, outcome) in outcomes() {
        let cells: Vec<&str> = news()
            .into_iter()
            .map(|news| match next(&outcome, news) {
                Change::Counted => "-",
                Change::ClockBegins => "SENT",
                Change::NextAttempt => "next attempt",
                Change::Became(outcome) => name(&outcome),
            })
            .collect();
        table += &format!("{is} | {}\n", cells.join(" | "));
    }
    expect![[r#"
        DECIDED | SENT | SUCCEEDED | REFUSED | next attempt | UNKNOWN | UNKNOWN
        SENT | SENT | SUCCEEDED | REFUSED | next attempt | UNKNOWN | UNKNOWN
        UNKNOWN | - | SUCCEEDED | REFUSED | - | - | -
        SUCCEEDED | - | - | CONTRADICTED | - | - | -
        REFUSED | - | CONTRADICTED | - | - | - | -
        CONTRADICTED | - | - | - | - | - | -
    "#]]
    .assert_eq(&table);
}

#[test]
fn undoing() {
    let undos = [
        ("NO", Undo::No),
        ("LISTED", Undo::Listed),
        ("DECIDED", Undo::Decided),
        ("SENT", Undo::Sent),
        ("COMPENSATED", Undo::Compensated { result: None }),
        ("NOTHING_THERE", Undo::NothingThere),
        ("USED_UP", Undo::UsedUp),
    ];
    let news =
        || [UndoNews::Sent, UndoNews::Compensated(None), UndoNews::NothingThere, UndoNews::Failed, UndoNews::UsedUp];
    let mut table = String::new();
    for (is, undo) in &undos {
        let cells = news().map(|news| match next_undo(undo, news) {
            UndoChange::Counted => "-",
            UndoChange::ClockBegins => "SENT",
            UndoChange::NextAttempt => "next attempt",
            UndoChange::Became(undo) => undos.iter().find(|(_, u)| *u == undo).unwrap().0,
        });
        table += &format!("{is} | {}\n", cells.join(" | "));
    }
    expect![[r#"
        NO | - | - | - | - | -
        LISTED | - | - | - | - | -
        DECIDED | SENT | COMPENSATED | NOTHING_THERE | next attempt | USED_UP
        SENT | SENT | COMPENSATED | NOTHING_THERE | next attempt | USED_UP
        COMPENSATED | - | - | - | - | -
        NOTHING_THERE | - | COMPENSATED | - | - | -
        USED_UP | - | COMPENSATED | NOTHING_THERE | - | -
    "#]]
    .assert_eq(&table);
}

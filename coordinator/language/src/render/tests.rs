//! The three forms of a report.

use expect_test::expect;

use crate::{Contracts, Report};

fn report() -> Report {
    let text = "saga: s\nversion: 1.0.0\nowner: team\nstart: { topic: t, key: evnt.id }\nsteps: [{ step: a, call: payment.pay }]\n";
    crate::definition("order.yaml", text, &Contracts::default()).expect_err("it is wrong")
}

#[test]
fn plain_for_pipes() {
    expect![[r#"
        order.yaml:1:1: error: a definition needs `deadline`
            help: write `deadline: { after: 14d, else: compensate }`
        order.yaml:4:25: error: `evnt` means nothing here
            help: did you mean `event`?
        order.yaml:5:26: error: `payment` is not among the contracts after `use`
            help: add it: `use: [payment]`
    "#]]
    .assert_eq(&report().plain());
    assert_eq!(report().to_string(), report().plain());
}

#[test]
fn drawn_for_terminals() {
    expect![[r#"
        terminal:
          × a definition needs `deadline`
           ╭─[order.yaml:1:1]
         1 │ saga: s
           · ──┬─
           ·   ╰── here
         2 │ version: 1.0.0
           ╰────
          help: write `deadline: { after: 14d, else: compensate }`
          × `evnt` means nothing here
           ╭─[order.yaml:4:25]
         3 │ owner: team
         4 │ start: { topic: t, key: evnt.id }
           ·                         ──┬─
           ·                           ╰── here
         5 │ steps: [{ step: a, call: payment.pay }]
           ╰────
          help: did you mean `event`?
          × `payment` is not among the contracts after `use`
           ╭─[order.yaml:5:26]
         4 │ start: { topic: t, key: evnt.id }
         5 │ steps: [{ step: a, call: payment.pay }]
           ·                          ─────┬─────
           ·                               ╰── here
           ╰────
          help: add it: `use: [payment]`
    "#]]
    .assert_eq(&format!("terminal:\n{}", report().graphical(false, 100)));
    assert!(report().graphical(true, 100).contains("\u{1b}["), "colours are escape sequences");
}

#[test]
fn json_for_programs() {
    expect![[r#"
        [
          {
            "column": 1,
            "file": "order.yaml",
            "help": "write `deadline: { after: 14d, else: compensate }`",
            "line": 1,
            "message": "a definition needs `deadline`",
            "severity": "error"
          },
          {
            "column": 25,
            "file": "order.yaml",
            "help": "did you mean `event`?",
            "line": 4,
            "message": "`evnt` means nothing here",
            "severity": "error"
          },
          {
            "column": 26,
            "file": "order.yaml",
            "help": "add it: `use: [payment]`",
            "line": 5,
            "message": "`payment` is not among the contracts after `use`",
            "severity": "error"
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&report().json()).expect("it is JSON"));
}

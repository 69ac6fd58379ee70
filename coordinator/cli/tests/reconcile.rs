//! `sagaline reconcile` as people and scripts meet it: what it prints, how it ends, and what `--note` leaves behind. The participant is a mock, which
//! remembers nothing: it says of everything that it stands.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use std::path::Path;
use std::process::Output;

use common::{Coordinator, failed, ok, text, wait_until};
use serde_json::Value as Json;

const CONTRACT: &str = r"
participant: shop
version: 1.0.0
owner: team-shop
types:
  Sale: { type: record, fields: [{ name: sale, type: string }] }
  Sold: { type: record, fields: [{ name: receipt, type: string }] }
  EffectKey: { type: record, fields: [{ name: effect_id, type: string }] }
operations:
  sell: { in: Sale, out: Sold, idempotent: by_key, compensate: take_back, probe: look }
  take_back: { in: Sale, idempotent: by_key }
  look: { in: EffectKey, out: Sold, reads: true }
";

const DEFINITION: &str = r"
saga: sale
version: 1.0.0
owner: team-shop
use: [shop]
types:
  Sale: { type: record, fields: [{ name: sale, type: string }] }
start: { topic: sales, if: event.type == 'opened', key: event.sale, type: Sale }
deadline: { after: 7d, else: compensate }
steps:
  - { step: sold, call: shop.sell, with: { sale: '${input.sale}' } }
  - { step: paid, wait: { topic: sales, if: event.type == 'paid', key: event.sale, within: 1d, else: compensate } }
";

fn reconcile(dev: &Coordinator, dir: &Path, more: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = dev.ask(dir, &[&["reconcile"], more].concat());
    (status.code().unwrap(), text(&stdout), text(&stderr))
}

fn wait_for(dev: &Coordinator, dir: &Path, saga: &str, status: &str) {
    wait_until(|| {
        let shown = dev.ask(dir, &["show", saga, "--json"]);
        serde_json::from_slice::<Json>(&shown.stdout).is_ok_and(|shown| shown["saga"]["status"] == status)
    });
}

/// Columns that are the same in every run.
fn columns(line: &str) -> Vec<&str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    [&words[..3], &words[4..7]].concat()
}

#[test]
fn what_differs_is_1_who_is_silent_is_5_and_all_is_well_is_0() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::create_dir_all(dir.join("definitions/contracts")).unwrap();
    std::fs::write(dir.join("definitions/sale.yaml"), DEFINITION).unwrap();
    std::fs::write(dir.join("definitions/contracts/shop.yaml"), CONTRACT).unwrap();
    let mut dev = Coordinator::dev(dir, &["--mock", "shop"]);
    assert_eq!(reconcile(&dev, dir, &[]), (0, "0 ended sagas\n".to_owned(), String::new()));

    for key in ["S-1", "S-2"] {
        dev.json(dir, &["start", "sale", key, &format!(r#"{{"sale": "{key}"}}"#)]);
        wait_until(|| dev.json(dir, &["show", &format!("sale/{key}")])["saga"]["steps"][0] == "paid");
    }
    dev.json(dir, &["signal", "sale/S-1", "paid", r#"{"type": "paid", "sale": "S-1"}"#]);
    wait_for(&dev, dir, "sale/S-1", "completed");
    let (code, out, why) = reconcile(&dev, dir, &["--since", "1d"]);
    assert_eq!((code, why.as_str()), (0, ""));
    assert!(out.contains("shop         1            0        0        0       0\n1 ended sagas\n"), "{out}");

    dev.json(dir, &["cancel", "sale/S-2"]);
    wait_for(&dev, dir, "sale/S-2", "cancelled");
    let (code, out, why) = reconcile(&dev, dir, &["--participant", "shop"]);
    assert_eq!((code, why.as_str()), (1, "sagaline: 1 effects are not as their sagas' reports say\n"));
    let line = out.lines().find(|line| line.starts_with("DIFFERS")).unwrap();
    assert_eq!(columns(line), ["DIFFERS", "sale/S-2", "sold", "shop", "void", "yes"]);
    let told = dev.ask(dir, &["reconcile", "--json"]);
    let told: Json = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((&told["told"][0]["report"], &told["told"][0]["says"]), (&"void".into(), &"yes".into()), "{told}");

    for _ in 0..2 {
        assert_eq!(reconcile(&dev, dir, &["--note"]).0, 1);
    }
    let shown = dev.json(dir, &["show", "sale/S-2"]);
    let noted: Vec<&Json> =
        shown["history"].as_array().unwrap().iter().filter(|one| one.to_string().contains("reconcile:")).collect();
    assert_eq!(noted.len(), 1, "the same difference is noted once: {shown}");
    assert!(noted[0].to_string().contains("the report says that sold is void, shop says yes"), "{shown}");
    assert_eq!(dev.stop(), Some(0));

    let mut alone = Coordinator::dev(dir, &[]);
    let (code, out, why) = reconcile(&alone, dir, &["--patience", "300ms"]);
    assert_eq!((code, why.as_str()), (5, "sagaline: nobody has answered for 2 effects; nothing else differs\n"));
    assert_eq!(out.lines().filter(|line| line.starts_with("SILENT")).count(), 2, "{out}");
    assert_eq!(alone.json(dir, &["parked"])["total"], 0, "the fold met none of it");
    let near = "sagaline: there is no contract of a participant \"shap\": did you mean \"shop\"?: `sagaline contracts` lists them\n";
    assert_eq!(reconcile(&alone, dir, &["--participant", "shap"]), (1, String::new(), near.to_owned()));
    assert_eq!(alone.stop(), Some(0));
}

#[test]
fn its_help_teaches() {
    let dir = tempfile::tempdir().unwrap();
    expect_test::expect_file!["reconcile-help.txt"].assert_eq(&ok(dir.path(), &["reconcile", "--help"]));
    assert_eq!(failed(dir.path(), &["reconcile", "--patience", "2m"]).0, 2);
}

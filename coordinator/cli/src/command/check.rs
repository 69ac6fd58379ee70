//! `check` and `apply`: definitions and contracts from files, all mistakes at once; then everything that can happen to their sagas.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use sagaline_checker::{Bound, Proof, Story};
use sagaline_definition::rehearsal::Rehearsal;
use sagaline_language::{LoadError, Loaded, Report, Severity};
use sagaline_node::api::model::{Applied, Apply};
use serde_json::json;

use crate::args::{self, Check, Common};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::print;

/// Longest activation delay that is waited for, and then some.
const APPLYING: Duration = Duration::from_secs(120);
/// How wide drawings are.
const WIDTH: usize = 120;

/// `sagaline check`
pub fn check(check: &Check, common: &Common) -> Result<(), Failure> {
    let loaded = load(&check.files.files, common)?;
    let proofs = if check.only_read { Vec::new() } else { explored(check, &loaded, common)? };
    let wrong: usize = proofs.iter().map(|(_, proof)| proof.stories.len()).sum();
    if common.json {
        let definitions: Vec<_> = loaded.definitions.values().collect();
        let contracts: Vec<_> = loaded.contracts.iter().collect();
        let found = loaded.warnings.json();
        let explored: Vec<_> = proofs.iter().map(|(name, proof)| told(name, proof)).collect();
        print::json(&json!({
            "definitions": definitions, "contracts": contracts, "diagnostics": found, "explored": explored
        }))?;
    } else {
        let contracts = loaded.contracts.iter().count();
        let word = if wrong == 0 { "ok" } else { "not ok" };
        print::line(format_args!("{word}: {} definitions, {contracts} contracts", loaded.definitions.len()))?;
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Refused, "an invariant does not hold: the shortest stories are told above")),
    }
}

/// Explores each definition; tells as it goes, for that takes its time.
fn explored(check: &Check, loaded: &Loaded, common: &Common) -> Result<Vec<(String, Proof)>, Failure> {
    let contracts = loaded.contracts.iter().map(|contract| (contract.participant.clone(), contract.clone())).collect();
    let trouble = if check.deep { 3 } else { 2 };
    let bound = Bound { trouble, scenes: check.states, ..Bound::default() };
    let mut proofs = Vec::new();
    for (path, definition) in &loaded.definitions {
        let (name, version) = (&definition.saga, &definition.version);
        let steps = definition.steps.len();
        if !common.json {
            print::line(format_args!("{}: {name} {version}, {steps} steps, {}", path.display(), definition.digest()))?;
        }
        let proof = sagaline_checker::check(definition, &contracts, bound);
        if !common.json {
            print::line(format_args!("{proof}"))?;
        }
        proofs.push((name.clone(), proof));
    }
    Ok(proofs)
}

fn told(name: &str, proof: &Proof) -> serde_json::Value {
    let found = &proof.found;
    let story = |story: &Story| json!({ "rule": story.violation.rule, "what": story.violation.what, "story": story.to_string() });
    let stories: Vec<_> = proof.stories.iter().map(story).collect();
    json!({
        "definition": name, "states": found.scenes, "transitions": found.transitions, "depth": found.depth,
        "ends": found.ends, "left_out": proof.left_out, "violations": stories
    })
}

/// `sagaline apply`
pub fn apply(apply: &args::Apply, common: &Common, client: &Client) -> Result<(), Failure> {
    let mut loaded = load(&apply.files.files, common)?;
    if let Some((of, takes)) = apply.scale {
        let as_of = apply.as_of.unwrap_or_else(print::now);
        loaded = loaded.rehearsed(Rehearsal { of, takes, as_of });
    }
    let wanted = Apply {
        by: common.by(),
        contracts: loaded.contracts.iter().cloned().collect(),
        definitions: loaded.definitions.into_values().collect(),
    };
    let applied: Applied = client.post("/v1/definitions", &wanted, APPLYING)?;
    if common.json {
        return print::json(&applied);
    }
    for (name, digest) in &applied.contracts {
        print::line(format_args!("known: contract of {name}, {digest}"))?;
    }
    for (name, digest) in &applied.definitions {
        print::line(format_args!("active: {name}, {digest}"))?;
    }
    Ok(())
}

/// Reads files, and shows what is found in them.
///
/// # Errors
/// When something is wrong in them.
pub fn load(files: &[PathBuf], common: &Common) -> Result<Loaded, Failure> {
    match sagaline_language::load(files) {
        Ok(loaded) => {
            if !common.json {
                show(&loaded.warnings);
            }
            Ok(loaded)
        }
        Err(LoadError::Wrong(report)) => {
            if common.json {
                print::json(&json!({ "diagnostics": report.json() }))?;
            } else {
                show(&report);
            }
            Err(Failure::usage(summary(&report)))
        }
        Err(error @ (LoadError::Unreadable { .. } | LoadError::Empty(_))) => Err(Failure::usage(error)),
    }
}

/// Drawn on terminals, line by line in pipes.
fn show(report: &Report) {
    if std::io::stderr().is_terminal() {
        anstream::eprint!("{}", report.graphical(true, WIDTH));
    } else {
        anstream::eprint!("{}", report.plain());
    }
}

/// How many, and the first: the one line that says why.
fn summary(report: &Report) -> String {
    let mut mistakes = report.diagnostics().iter().filter(|found| found.severity() == Severity::Error);
    let Some(first) = mistakes.next() else { return "nothing is wrong".to_owned() };
    let (line, column) = first.line_column();
    let first = format!("{}:{line}:{column}: {}", first.file(), first.message());
    match mistakes.count() {
        0 => first,
        more => format!("{} mistakes, the first: {first}", more + 1),
    }
}

//! `test`: scenarios in virtual time, and what came out otherwise.

use std::path::Path;

use sagaline_testkit::{Outcome, run_file};
use serde_json::json;

use crate::args::{Common, Test};
use crate::exit::{Exit, Failure};
use crate::print;

/// `sagaline test`
pub fn test(test: &Test, common: &Common) -> Result<(), Failure> {
    let (mut played, mut wrong) = (Vec::new(), 0);
    for path in &test.files {
        let outcomes = run_file(path).map_err(Failure::usage)?;
        for outcome in outcomes {
            wrong += usize::from(outcome.difference.is_some());
            if !common.json {
                tell(path, &outcome, test.timeline)?;
            }
            played.push((path, outcome));
        }
    }
    if common.json {
        let outcomes: Vec<_> = played.iter().map(|(path, outcome)| as_json(path, outcome)).collect();
        print::json(&outcomes)?;
    } else {
        print::line(format_args!("{} scenarios, {wrong} came out otherwise", played.len()))?;
    }
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Refused, format_args!("{wrong} scenarios came out otherwise than expected"))),
    }
}

fn tell(path: &Path, outcome: &Outcome, timeline: bool) -> Result<(), Failure> {
    let word = if outcome.difference.is_some() { "otherwise" } else { "ok" };
    print::line(format_args!("{word:<9} {}:{}: {}", path.display(), outcome.line, outcome.name))?;
    if let Some(difference) = &outcome.difference {
        print::line(format_args!("{}", difference.trim_end()))?;
    }
    match timeline || outcome.difference.is_some() {
        true => print::line(format_args!("{}", outcome.account.to_string().trim_end())),
        false => Ok(()),
    }
}

fn as_json(path: &Path, outcome: &Outcome) -> serde_json::Value {
    json!({
        "file": path, "line": outcome.line, "test": outcome.name, "ok": outcome.difference.is_none(),
        "difference": outcome.difference, "commands": outcome.account.command_names(), "end": outcome.account.end,
        "after": outcome.account.after, "world": outcome.account.world
    })
}

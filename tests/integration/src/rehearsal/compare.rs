//! A rehearsal beside the virtual saga: its end, all that its history tells, the order where one thing waits for another, the world report; and the
//! participants' ledgers beside all reports. Times are not compared.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sagaline_node::api::model::SagaDetail;
use sagaline_schemas::hash::effect_id;
use sagaline_schemas::{EffectId, SagaId};
use serde_json::Value as Json;

use super::case::Case;
use super::cast::Cast;
use super::ledger;
use super::live::Live;
use super::told::{Told, counted, place, told};

/// What of an effect must be the same. Attempts are not: how many there are is a matter of real time. Nor is what an effect brought, where the
/// virtual saga never heard of it because it was undone first: really the one waits for the other, and a probe had found something else.
const OF_EFFECT: [&str; 9] =
    ["participant", "operation", "input", "stands", "outcome", "detail", "undo", "probed", "known_by"];
/// What of a fact.
const OF_FACT: [&str; 3] = ["value", "seq", "by"];

/// What is otherwise than in virtual time.
///
/// # Errors
/// When the coordinator does not answer.
pub fn differences(live: &Live, case: &Case, id: SagaId) -> Result<Vec<String>> {
    let saga = live.saga(id)?;
    let history = live.history(id)?.history;
    let real: Vec<&Json> = history.iter().map(|happening| &happening.fact).collect();
    let facts = case.account.turns.iter().flat_map(|turned| &turned.facts);
    let script: Vec<Json> = facts.map(serde_json::to_value).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    let status = saga.line.status.word();
    if status != case.account.end {
        found.push(format!("it is {status}, not {}: {:?}", case.account.end, saga.line.why));
    }
    let of = |facts: &[&Json]| told(&case.definition, facts.iter().map(|fact| (0, *fact)));
    count(&of(&script.iter().collect::<Vec<_>>()), &of(&real), &mut found);
    order(case, &real, &mut found);
    world(case, &saga, &mut found)?;
    Ok(found)
}

/// As often in both.
fn count(script: &[Told], real: &[Told], found: &mut Vec<String>) {
    let (script, real) = (counted(script), counted(real));
    for (what, wanted) in &script {
        let came = real.get(what).copied().unwrap_or(0);
        if came != *wanted {
            found.push(format!("{what}: {came} times, not {wanted}"));
        }
    }
    let more = real.iter().filter(|(what, _)| !script.contains_key(*what));
    found.extend(more.map(|(what, came)| format!("{what}: {came} times, not at all in virtual time")));
}

/// A step that waits for others begins behind them; what is undone is undone in the reverse of the order in which it was decided.
fn order(case: &Case, real: &[&Json], found: &mut Vec<String>) {
    let mut settled: Vec<bool> = vec![false; case.definition.steps.len()];
    let (mut begun, mut decided) = (settled.clone(), Vec::new());
    let mut last_undone = usize::MAX;
    for fact in real {
        let Some((word, said)) = fact.as_object().and_then(|fact| fact.iter().next()) else { continue };
        let number = said["spot"]["step"].as_u64().or(said["step"].as_u64()).unwrap_or(u64::MAX) as usize;
        let Some(step) = case.definition.steps.get(number) else {
            if matches!(word.as_str(), "stepped_aside" | "turned_back") {
                last_undone = usize::MAX;
            }
            continue;
        };
        let name = place(&case.definition, &said["spot"]);
        match word.as_str() {
            "settled" | "continued" | "voided" | "skipped" => settled[number] = true,
            "decided" if said["kind"] == "compensate" && said["attempt"] == 1 => {
                let at = decided.iter().rposition(|decided| *decided == name);
                match at {
                    Some(at) if at < last_undone => last_undone = at,
                    _ => found.push(format!("{name} was undone out of order")),
                }
            }
            "decided" | "awaits" | "people_asked" => {
                if word == "decided" && said["kind"] == "do" && said["attempt"] == 1 {
                    decided.push(name);
                }
                let first = !std::mem::replace(&mut begun[number], true);
                let waits = |after: &&usize| first && step.at_least.is_none() && !settled[**after];
                found.extend(step.after.iter().filter(waits).map(|after| {
                    format!("{} began before {} was settled", step.step, case.definition.steps[*after].step)
                }));
            }
            _ => {}
        }
    }
}

fn world(case: &Case, saga: &SagaDetail, found: &mut Vec<String>) -> Result<()> {
    let script = serde_json::to_value(case.account.report.as_ref().context("the play has a report")?)?;
    let key = |effect: &Json| format!("{} {} round {}", effect["step"], effect["items"], effect["round"]);
    let by_key = |report: &Json| -> BTreeMap<String, Json> {
        report["effects"].as_array().into_iter().flatten().map(|effect| (key(effect), effect.clone())).collect()
    };
    let (script_effects, real_effects) = (by_key(&script), by_key(&saga.report));
    for (key, wanted) in &script_effects {
        let Some(came) = real_effects.get(key) else {
            found.push(format!("there is no effect {key}"));
            continue;
        };
        let (step, items, round) = place_of(wanted);
        let same = |name: &&str| *name != "detail" || !case.is_overtaken(step, &items, round);
        fields(key, &OF_EFFECT.into_iter().filter(same).collect::<Vec<_>>(), wanted, came, found);
    }
    let more = real_effects.keys().filter(|key| !script_effects.contains_key(*key));
    found.extend(more.map(|key| format!("there is an effect {key}")));
    let facts =
        script["facts"].as_array().into_iter().flatten().zip(saga.report["facts"].as_array().into_iter().flatten());
    for (clause, (wanted, came)) in case.definition.facts.iter().zip(facts) {
        // What is asked for now and then may be asked once more.
        if clause.ask.is_none() {
            fields(&clause.fact, &OF_FACT, wanted, came, found);
        }
    }
    Ok(())
}

fn fields(what: &str, names: &[&str], wanted: &Json, came: &Json, found: &mut Vec<String>) {
    for name in names {
        if wanted[name] != came[name] {
            found.push(format!("{what}: {name} is {}, not {}", came[name], wanted[name]));
        }
    }
}

/// Where ledgers and reports do not balance, over all sagas.
///
/// # Errors
/// When the coordinator does not answer, or a ledger can't be read.
pub fn balance(live: &Live, cast: &Cast) -> Result<(usize, Vec<String>)> {
    let mut lines = BTreeMap::new();
    cast.ledgers().iter().try_for_each(|path| ledger::read(path, &mut lines))?;
    let (effects, mut found) = (lines.len(), Vec::new());
    for id in live.sagas()? {
        let saga = live.saga(id)?;
        for effect in saga.report["effects"].as_array().into_iter().flatten() {
            let text = |name: &str| effect[name].as_str().unwrap_or_default();
            let acts = lines.remove(&id_of(id, effect)).map_or((0, 0), |(done, undone, _)| (done, undone));
            let changes = text("participant") != "saga" && !cast.reads(text("participant"), text("operation"));
            if !balances(effect["stands"].as_bool(), changes, acts) {
                let stands = &effect["stands"];
                found.push(format!(
                    "{}/{} {}: stands {stands}, done {} times, undone {} times",
                    saga.line.definition,
                    saga.line.key,
                    text("step"),
                    acts.0,
                    acts.1
                ));
            }
        }
    }
    found.extend(lines.into_values().map(|(done, undone, line)| {
        format!("{} {}: done {done} times, undone {undone} times, and in no report", line.saga, line.operation)
    }));
    Ok((effects, found))
}

/// Whether so many times done and undone is what a report says of an effect that changes the world, or does not.
fn balances(stands: Option<bool>, changes: bool, acts: (u32, u32)) -> bool {
    match stands {
        _ if !changes => acts == (0, 0),
        Some(true) => acts == (1, 0),
        Some(false) => acts == (0, 0) || acts == (1, 1),
        None => acts.0 <= 1 && acts.1 <= acts.0,
    }
}

fn id_of(saga: SagaId, effect: &Json) -> EffectId {
    let (step, items, round) = place_of(effect);
    effect_id(saga, step, &items, round)
}

/// Of an effect in a report.
fn place_of(effect: &Json) -> (&str, Vec<u32>, u32) {
    let number = |json: &Json| json.as_u64().unwrap_or(0) as u32;
    let items = effect["items"].as_array().into_iter().flatten().map(number).collect();
    (effect["step"].as_str().unwrap_or_default(), items, number(&effect["round"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(words: &str) -> Vec<Told> {
        words.split(' ').map(|word| Told { what: word.to_owned(), at: 0 }).collect()
    }

    fn counts(script: &str, real: &str) -> Vec<String> {
        let mut found = Vec::new();
        count(&told_of(script), &told_of(real), &mut found);
        found
    }

    #[test]
    fn what_is_missing_twice_or_new_is_found() {
        assert_eq!(counts("a b b", "b a b"), [""; 0]);
        assert_eq!(counts("a b", "a"), ["b: 0 times, not 1"]);
        assert_eq!(counts("a b", "a b b"), ["b: 2 times, not 1"]);
        assert_eq!(counts("a", "a c"), ["c: 1 times, not at all in virtual time"]);
    }

    #[test]
    fn what_was_done_must_be_what_stands() {
        let rights = |stands, changes| {
            let all = [(0, 0), (1, 0), (1, 1), (0, 1), (2, 0)];
            all.into_iter().filter(|acts| balances(stands, changes, *acts)).collect::<Vec<_>>()
        };
        assert_eq!(rights(Some(true), true), [(1, 0)]);
        assert_eq!(rights(Some(false), true), [(0, 0), (1, 1)]);
        assert_eq!(rights(None, true), [(0, 0), (1, 0), (1, 1)]);
        assert_eq!(rights(Some(true), false), [(0, 0)], "what only reads leaves no line");
    }
}

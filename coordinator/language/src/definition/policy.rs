//! Retry policies and their defaults. A wait grows from the first of `backoff` to its last by `factor`; `jitter` leaves it to chance.

use std::collections::BTreeMap;

use sagaline_definition::model::{Jitter, Policy};

use super::world::{Use, World};
use crate::fields::{self, Fields, Keys, did_you_mean, or_else, parsed};
use crate::lexical;
use crate::report::Problems;
use crate::yaml::{Kind, Node};

/// What a step gets when it says nothing.
pub const DEFAULT: Policy = Policy {
    attempts: 5,
    backoff: 1_000,
    cap: 60_000,
    factor_percent: 200,
    jitter: Jitter::Full,
    attempt_timeout: 30_000,
    within: None,
};

/// What a compensation gets when it says nothing: it tries longer, since there is nothing behind it but a person.
pub const COMPENSATION: Policy = Policy { attempts: 20, cap: 300_000, ..DEFAULT };

/// Most attempts.
const MAX_ATTEMPTS: u32 = 1000;

pub const POLICY: Keys =
    Keys { what: "a policy", known: &["attempts", "backoff", "factor", "jitter", "attempt_timeout", "within"] };

/// Reads `policies`. A policy that is wrong keeps its name, so that its users get no second complaint.
pub fn named(node: &Node, problems: &mut Problems) -> BTreeMap<String, Option<Policy>> {
    let entries = fields::map(node, "`policies`", problems).unwrap_or_default();
    let mut policies = BTreeMap::new();
    for entry in entries {
        if let Err(help) = lexical::name(&entry.key) {
            problems.error(entry.key_span, format!("`{}` is no name of a policy", entry.key), help);
        }
        policies.insert(entry.key.clone(), inline(&entry.value, &DEFAULT, problems));
    }
    policies
}

/// Reads `retry`: the name of a policy, or a policy; what it leaves out is as in `default`.
pub fn retry(node: Option<&Node>, default: &Policy, world: &World<'_>, problems: &mut Problems) -> Option<Policy> {
    let Some(node) = node else { return Some(*default) };
    if let Kind::Map(_) = &node.kind {
        return inline(node, default, problems);
    }
    let name = fields::text(node, "a policy's name", problems)?;
    world.note(Use::Policy(name.to_owned()));
    let Some(policy) = world.policies.get(name) else {
        let names: Vec<&String> = world.policies.keys().collect();
        let help = or_else(did_you_mean(name, &names), "write it here: { attempts: 5, backoff: 1s..1m }");
        problems.error(node.span, format!("there is no policy `{name}`"), help);
        return None;
    };
    *policy
}

fn inline(node: &Node, default: &Policy, problems: &mut Problems) -> Option<Policy> {
    let fields = Fields::read(node, &POLICY, problems)?;
    let attempts = read(&fields, "attempts", default.attempts, attempts, problems);
    let backoff = read(&fields, "backoff", (default.backoff, default.cap), lexical::duration_range, problems);
    let factor_percent = read(&fields, "factor", default.factor_percent, factor, problems);
    let jitter = read(&fields, "jitter", default.jitter, jitter, problems);
    let attempt_timeout = read(&fields, "attempt_timeout", default.attempt_timeout, lexical::duration, problems);
    let within = read(&fields, "within", default.within, |text| lexical::duration(text).map(Some), problems);
    let (backoff, cap) = backoff?;
    let policy = Policy {
        attempts: attempts?,
        backoff,
        cap,
        factor_percent: factor_percent?,
        jitter: jitter?,
        attempt_timeout: attempt_timeout?,
        within: within?,
    };
    if let (Some(within), Some(node)) = (policy.within, fields.get("within"))
        && within < policy.attempt_timeout
    {
        let timeout = lexical::show_duration(policy.attempt_timeout);
        let message = format!("`within` is shorter than one attempt, which may take {timeout}");
        problems.error(node.span, message, "make `within` longer, or `attempt_timeout` shorter");
        return None;
    }
    Some(policy)
}

fn read<T>(
    fields: &Fields<'_>,
    key: &str,
    default: T,
    grammar: impl Fn(&str) -> Result<T, String>,
    problems: &mut Problems,
) -> Option<T> {
    match fields.get(key) {
        Some(node) => parsed(node, &format!("value of `{key}`"), grammar, problems),
        None => Some(default),
    }
}

fn attempts(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|n| (1..=MAX_ATTEMPTS).contains(n));
    number.ok_or_else(|| format!("write a whole number from 1 to {MAX_ATTEMPTS}"))
}

/// In per cent: two decimals are kept.
fn factor(text: &str) -> Result<u32, String> {
    let percent =
        text.parse::<f64>().ok().map(|factor| (factor * 100.0).round()).filter(|p| (100.0..=1000.0).contains(p));
    percent.map(|percent| percent as u32).ok_or_else(|| "write a number from 1 to 10: 2 doubles each wait".to_owned())
}

fn jitter(text: &str) -> Result<Jitter, String> {
    match text {
        "full" => Ok(Jitter::Full),
        "equal" => Ok(Jitter::Equal),
        "none" => Ok(Jitter::None),
        _ => Err("write full (from nothing to the whole wait), equal (from half of it) or none".to_owned()),
    }
}

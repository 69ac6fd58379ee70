//! What runs before what. Since a step waits for all of its `after`, whatever it waits for, over however many steps, is surely done before it.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{After, RawStep};
use crate::fields::did_you_mean;
use crate::report::Problems;

/// The order of the steps.
pub struct Graph {
    after: Vec<BTreeSet<usize>>,
    /// For each step, whether each other is surely done before it. Steps in a circle count as before everything, so as not to
    /// cause complaints that vanish with the circle.
    before: Vec<Vec<bool>>,
}

impl Graph {
    /// Resolves names; reports circles and what they block.
    pub fn of(steps: &[RawStep<'_>], problems: &mut Problems) -> Self {
        let after: Vec<BTreeSet<usize>> = waits(steps, problems);
        let order = order(&after);
        let blocked: BTreeSet<usize> = (0..steps.len()).filter(|step| !order.contains(step)).collect();
        report_circles(steps, &after, &blocked, problems);
        let mut before = vec![vec![false; steps.len()]; steps.len()];
        for step in order {
            let mut row = vec![false; steps.len()];
            for earlier in &after[step] {
                row[*earlier] = true;
                row.iter_mut().zip(&before[*earlier]).for_each(|(mine, theirs)| *mine |= theirs);
            }
            before[step] = row;
        }
        for step in blocked {
            before[step] = vec![true; steps.len()];
        }
        Self { after, before }
    }

    /// Whether `earlier` is surely done, skipped or continued when `later` begins.
    pub fn is_before(&self, earlier: usize, later: usize) -> bool {
        self.before[later][earlier]
    }

    /// What a step must wait for, ascending, without what follows from the rest.
    pub fn after(&self, step: usize) -> Vec<usize> {
        let waits = &self.after[step];
        let implied = |one: usize| waits.iter().any(|other| *other != one && self.before[*other][one]);
        waits.iter().copied().filter(|one| !implied(*one)).collect()
    }
}

fn waits(steps: &[RawStep<'_>], problems: &mut Problems) -> Vec<BTreeSet<usize>> {
    let mut index = BTreeMap::new();
    for (number, step) in steps.iter().enumerate() {
        index.entry(step.name).or_insert(number);
    }
    let names: Vec<&str> = index.keys().copied().filter(|name| !name.is_empty()).collect();
    let mut waits = Vec::with_capacity(steps.len());
    for step in steps {
        waits.push(match &step.after {
            After::Above(range) => range.clone().collect(),
            After::Named(written) => {
                for (name, span) in written.iter().filter(|(name, _)| !index.contains_key(name)) {
                    problems.error(*span, format!("there is no step `{name}`"), did_you_mean(name, &names));
                }
                written.iter().filter_map(|(name, _)| index.get(name).copied()).collect()
            }
        });
    }
    waits
}

/// Steps in an order in which each comes after all that it waits for; those that never can are left out.
fn order(after: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut followers = vec![Vec::new(); after.len()];
    let mut open: Vec<usize> = after.iter().map(BTreeSet::len).collect();
    for (step, waits) in after.iter().enumerate() {
        waits.iter().for_each(|earlier| followers[*earlier].push(step));
    }
    let mut order: Vec<usize> = (0..after.len()).filter(|step| open[*step] == 0).collect();
    let mut next = 0;
    while next < order.len() {
        for follower in &followers[order[next]] {
            open[*follower] -= 1;
            if open[*follower] == 0 {
                order.push(*follower);
            }
        }
        next += 1;
    }
    order
}

fn report_circles(
    steps: &[RawStep<'_>],
    after: &[BTreeSet<usize>],
    blocked: &BTreeSet<usize>,
    problems: &mut Problems,
) {
    let mut explained: BTreeSet<usize> = BTreeSet::new();
    for start in blocked {
        let mut path = vec![*start];
        // Each blocked step waits for a blocked one, so that the walk ends in a circle.
        while let Some(next) = after[path[path.len() - 1]].iter().find(|step| blocked.contains(step)) {
            if let Some(at) = path.iter().position(|step| step == next) {
                report_circle(steps, &path[at..], &mut explained, problems);
                break;
            }
            path.push(*next);
        }
        if !explained.contains(start) {
            let step = &steps[*start];
            let message =
                format!("nobody reaches `{}`: it waits for `{}`, which never ends", step.name, steps[path[1]].name);
            problems.error(step.name_span, message, "break the circle that it waits for");
        }
    }
}

fn report_circle(steps: &[RawStep<'_>], circle: &[usize], explained: &mut BTreeSet<usize>, problems: &mut Problems) {
    let first = circle.iter().copied().min().unwrap_or_default();
    if !explained.insert(first) {
        return;
    }
    explained.extend(circle);
    let at = circle.iter().position(|step| *step == first).unwrap_or_default();
    let names: Vec<&str> = (0..=circle.len()).map(|i| steps[circle[(at + i) % circle.len()]].name).collect();
    let span = steps[first].fields.get("after").map_or(steps[first].name_span, |node| node.span);
    let message = format!("a circle: {}", names.join(" waits for "));
    problems.error(span, message, "take one of them out of the other's `after`");
}

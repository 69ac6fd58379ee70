//! What runs before what. A step that waits for all of its `after` comes surely behind each, and behind all that is surely before that;
//! one that waits for some comes surely behind what so many of them share that the others are too few.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{After, RawStep};
use crate::fields::did_you_mean;
use crate::report::Problems;

/// The order of the steps.
pub struct Graph {
    after: Vec<BTreeSet<usize>>,
    /// How many of them are enough; none: all.
    at_least: Vec<Option<u32>>,
    /// For each step, whether each other is surely done before it. Steps in a circle count as before everything, so as not to
    /// cause complaints that vanish with the circle.
    before: Vec<Vec<bool>>,
    /// For each step, whether each other has perhaps been done before it.
    maybe: Vec<Vec<bool>>,
}

impl Graph {
    /// Resolves names; reports circles and what they block.
    pub fn of(steps: &[RawStep<'_>], problems: &mut Problems) -> Self {
        let after: Vec<BTreeSet<usize>> = waits(steps, problems);
        let order = order(&after);
        let blocked: BTreeSet<usize> = (0..steps.len()).filter(|step| !order.contains(step)).collect();
        report_circles(steps, &after, &blocked, problems);
        let at_least = steps.iter().map(enough).collect();
        let never = vec![vec![false; steps.len()]; steps.len()];
        let mut graph = Self { after, at_least, before: never.clone(), maybe: never };
        for step in order {
            graph.before[step] = graph.surely(step);
            graph.maybe[step] = graph.perhaps(step);
        }
        for step in blocked {
            graph.before[step] = vec![true; steps.len()];
            graph.maybe[step] = vec![true; steps.len()];
        }
        graph
    }

    /// What is shared by so many of a step's `after` that those without it are too few to let the step begin.
    fn surely(&self, step: usize) -> Vec<bool> {
        let waits = &self.after[step];
        let enough = self.at_least[step].map_or(waits.len(), |enough| enough as usize);
        let with = |one: usize| waits.iter().filter(|wait| **wait == one || self.before[**wait][one]).count();
        (0..self.after.len()).map(|one| enough > 0 && with(one) > waits.len() - enough.min(waits.len())).collect()
    }

    fn perhaps(&self, step: usize) -> Vec<bool> {
        let mut row = vec![false; self.after.len()];
        for earlier in &self.after[step] {
            row[*earlier] = true;
            row.iter_mut().zip(&self.maybe[*earlier]).for_each(|(mine, theirs)| *mine |= theirs);
        }
        row
    }

    /// Whether `earlier` is surely done, skipped or continued when `later` begins.
    pub fn is_before(&self, earlier: usize, later: usize) -> bool {
        self.before[later][earlier]
    }

    /// Whether `earlier` may have run when `later` begins, by the order of the steps.
    pub fn may_be_before(&self, earlier: usize, later: usize) -> bool {
        self.maybe[later][earlier]
    }

    /// How many of `after` are enough; none: all.
    pub fn at_least(&self, step: usize) -> Option<u32> {
        self.at_least[step]
    }

    /// What a step must wait for, ascending, without what follows from the rest.
    pub fn after(&self, step: usize) -> Vec<usize> {
        let waits = &self.after[step];
        if self.at_least[step].is_some() {
            return waits.iter().copied().collect();
        }
        let implied = |one: usize| waits.iter().any(|other| *other != one && self.before[*other][one]);
        waits.iter().copied().filter(|one| !implied(*one)).collect()
    }
}

fn enough(step: &RawStep<'_>) -> Option<u32> {
    match &step.after {
        After::Above(_) => None,
        After::Named { at_least, .. } => *at_least,
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
            After::Named { steps: written, .. } => {
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

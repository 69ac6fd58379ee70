//! Which words a step has, and which steps they send work back to: read off the definition, the same for every saga.

use std::collections::BTreeSet;

use sagaline_definition::model::{Definition, Step, Verb, Word};

/// All words of a step, whatever for.
pub(crate) fn words_of(step: &Step) -> impl Iterator<Item = &Word> {
    choices_of(step).chain(words_but_choices(step))
}

fn choices_of(step: &Step) -> impl Iterator<Item = &Word> {
    let approve = match &step.verb {
        Verb::Approve(approve) => Some(approve),
        Verb::Call(_) | Verb::Saga(_) | Verb::Sleep(_) | Verb::Wait(_) | Verb::Until(_) | Verb::Decide(_) => None,
    };
    approve.into_iter().flat_map(|approve| approve.choices.values())
}

fn words_but_choices(step: &Step) -> impl Iterator<Item = &Word> {
    let mut words: Vec<&Word> = step.guard.iter().map(|guard| &guard.otherwise).collect();
    match &step.verb {
        Verb::Call(call) => words.extend(call.refused.values().chain([&call.refused_else, &call.failed])),
        Verb::Saga(child) => words.push(&child.failed),
        Verb::Wait(wait) => words.push(&wait.patience.otherwise),
        Verb::Until(until) => words.push(&until.patience.otherwise),
        Verb::Approve(approve) => words.push(&approve.patience.otherwise),
        Verb::Sleep(_) | Verb::Decide(_) => {}
    }
    words.into_iter()
}

/// Whether one of the step's words may leave a place without its result, at once or once its rounds are used up. Only then may people leave
/// it out: the types of expressions know that the result may be missing. A choice that continues is no such word: it is the result.
pub(crate) fn may_be_left_out(step: &Step) -> bool {
    let passes_over = |word: &Word| matches!(word, Word::Continue | Word::Skip);
    let in_the_end = |word: &Word| matches!(word, Word::BackTo(back) if passes_over(&back.otherwise));
    choices_of(step).any(in_the_end) || words_but_choices(step).any(|word| passes_over(word) || in_the_end(word))
}

/// The step and all that stand after it.
pub(crate) fn from_here(definition: &Definition, step: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([step]);
    loop {
        let before = found.len();
        for (number, step) in (0..).zip(&definition.steps) {
            if step.after.iter().any(|after| found.contains(&(*after as u32))) {
                found.insert(number);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether some `back_to` of the definition lets the step run again.
pub(crate) fn may_run_again(definition: &Definition, step: u32) -> bool {
    let of_steps = definition.steps.iter().flat_map(words_of);
    let of_rules = definition.react.iter().flat_map(|rule| [&rule.then, &rule.after_pivot]);
    of_steps.chain(of_rules).any(|word| match word {
        Word::BackTo(back) => from_here(definition, back.step as u32).contains(&step),
        Word::Continue | Word::Skip | Word::Compensate | Word::Hold | Word::Stuck => false,
    })
}
